internal import ModuleKit
internal import NetBase
internal import RTPStack
internal import Runtime

/// Video beside the audio, or alone.
extension MediaTransport {
  /// Takes what was agreed for the video; where that is nothing any more, its figures stay.
  func configureVideo(_ agreement: MediaAgreement) throws(ModuleError) {
    guard let settings = agreement.video else {
      self.video?.sayGoodbye(now: self.context.now, self)
      self.video?.finish()
      return
    }
    self.routing.videoID = settings.mediaID
    let video =
      self.video
      ?? VideoStream(
        settings, isShared: agreement.audio != nil, seed: self.settings.seed,
        wallClockOffset: self.settings.wallClockOffset, now: self.context.now)
    self.video = video
    try video.configure(settings, now: self.context.now)
  }

  /// Media can leave from now on.
  func outputIsReady(now: Instant) {
    self.stream.outputIsReady(now: now)
    self.video?.poke(now: now, self)
  }

  /// Where there is video, each stream has what is its own; reports are for both.
  func deliver(_ packet: borrowing Packet, isRTCP: Bool, besides video: VideoStream, now: Instant) {
    self.isUnsettled = true
    let bytes = packet.bytes
    guard isRTCP else {
      guard let header = try? RTPHeader(parsing: bytes) else {
        self.drops.unknown += 1
        return
      }
      let isVideo = self.routing.isVideo(header, in: bytes, isVideoType: video.has(header.payloadType))
      let isTaken =
        isVideo
        ? video.receive(header, in: bytes, now: now, self) : self.stream.receive(packet: bytes, now: now) != .refused
      if !isTaken { self.drops.unknown += 1 }
      return
    }
    let isSound = video.receive(report: bytes, now: now, self)
    if self.stream.isConfigured { _ = self.stream.receive(report: bytes, isShared: true, now: now) }
    if isSound { self.videoReports += self.stream.isConfigured ? 0 : 1 } else { self.drops.unknown += 1 }
    self.keys.roundTrip = self.stream.roundTrip ?? video.roundTrip
  }
}
