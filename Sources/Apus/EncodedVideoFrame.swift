/// One frame of video as it is encoded: VP8 (RFC 6386), or H.264 as a byte stream (ITU-T H.264, Annex B), as
/// `Call.videoCodec` says.
public struct EncodedVideoFrame: Hashable, Sendable {
  /// All of the frame, without RTP.
  public let bytes: [UInt8]
  /// On the RTP clock, 90 kHz; it may begin anywhere.
  public let timestamp: UInt32
  /// Whether it can be decoded without those before it.
  public let isKeyFrame: Bool

  /// A frame to be sent; nothing is checked.
  public init(bytes: [UInt8], timestamp: UInt32, isKeyFrame: Bool) {
    (self.bytes, self.timestamp, self.isKeyFrame) = (bytes, timestamp, isKeyFrame)
  }
}
