/// One video stream's figures at one moment.
package struct VideoStatistics: Equatable, Sendable {
  /// As in `a=rtpmap`.
  package var encodingName = ""
  package var sentPackets = 0
  /// RTP payload bytes.
  package var sentBytes = 0
  package var sentFrames = 0
  package var sentKeyFrames = 0
  package var receivedPackets = 0
  package var receivedBytes = 0
  package var receivedFrames = 0
  package var receivedKeyFrames = 0
  /// By sequence numbers (RFC 3550 A.3), in the end: what came again as it was counts as received, and what came as a
  /// retransmission of its own (RFC 4588), which has other numbers, does not.
  package var lost = 0
  /// Frames that were not handed on, as they, or one that they need, had come in part only.
  package var discardedFrames = 0
  /// Packets that came twice, or too far from the others.
  package var duplicate = 0
  package var suspect = 0
  /// Packets that came when they had been given up, and those that there was no room for.
  package var late = 0
  package var refused = 0
  /// Packets that came when they had been asked for, all of the payload type for them, and our packets that were sent again.
  package var recovered = 0
  package var repairs = 0
  package var resent = 0
  /// Packets of ours that were asked for, and not sent again: gone, or asked for too often.
  package var refusedResends = 0
  /// Key frames that we asked for, and that the peer asked for.
  package var keyFrameRequests = 0
  package var receivedKeyFrameRequests = 0
  /// Milliseconds.
  package var jitter = 0.0
  /// Payloads that are none of the codec's.
  package var malformed = 0
  package var sentReports = 0

  package init() {}

  /// Frames, for a line about a call.
  package var line: String { "sent \(self.sentFrames), received \(self.receivedFrames) frames" }
}
