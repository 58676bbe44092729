internal import NetBase
internal import RTPStack

/// Which of the streams of one transport a packet is of (RFC 9143 §9.2): by the line that it names, then by its source, then by
/// its payload type, which no two lines share.
struct BundleRouting {
  /// The header extension with the name of the packet's line, and the video's.
  var videoID: SentMediaID?
  /// Sources that were told apart before.
  private var audioSource: UInt32?
  private var videoSources: (first: UInt32, second: UInt32?)?

  /// Whether a packet is the video's.
  ///
  /// - Parameter isVideoType: whether its payload type is.
  mutating func isVideo(_ header: RTPHeader, in packet: RawSpan, isVideoType: Bool) -> Bool {
    if let videoID, let name = header.mediaID(videoID.id, in: packet) {
      let isVideo = videoID.isSame(as: packet.extracting(name))
      self.learn(header.ssrc, isVideo: isVideo)
      return isVideo
    }
    if header.ssrc == self.audioSource { return false }
    if let known = self.videoSources, header.ssrc == known.first || header.ssrc == known.second { return true }
    return isVideoType
  }

  private mutating func learn(_ ssrc: UInt32, isVideo: Bool) {
    guard isVideo else {
      self.audioSource = ssrc
      return
    }
    guard let known = self.videoSources, known.first != ssrc else {
      self.videoSources = self.videoSources ?? (ssrc, nil)
      return
    }
    self.videoSources = (known.first, ssrc)
  }
}
