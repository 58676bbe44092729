internal import ModuleKit
internal import NetBase
internal import RTPStack
internal import SIPStack

/// One RTP stream of video each way, with its RTCP and feedback (RFC 4585).
///
/// Owned by its transport, on the transport's loop; knows no socket and is told the time.
final class VideoStream {
  private var sender: VideoSender
  private var receiver = VideoReceiver()
  private var rtcp: RTCPSession
  private var feedback: RTCPFeedback
  private var settings: VideoSettings
  /// As feedback has it.
  private let canonicalName: [UInt8]
  private var random: SeededGenerator
  private var keyFrameRequests = 0
  /// The number of the last one.
  private var fullIntraRequests: UInt8 = 0
  private var feedbackSent = 0
  /// Whether anything is agreed on.
  private var isActive = false
  /// Whether media can leave, as was found last.
  private var isReady = false
  /// Whether the transport carries other streams too, whose RTCP comes here as well.
  private let isShared: Bool
  private var reportRoom = [UInt8](repeating: 0, count: RTCPSession.roomNeeded + 384)

  init(_ settings: VideoSettings, isShared: Bool, seed: UInt64, wallClockOffset: Int64, now: Instant) {
    self.settings = settings
    self.canonicalName = Array(settings.canonicalName.utf8)
    self.isShared = isShared
    self.random = SeededGenerator(seed: seed ^ 0x5EED)
    self.sender = VideoSender(ssrc: settings.ssrc, repairSSRC: settings.repairSSRC, random: &self.random)
    self.feedback = RTCPFeedback(ssrc: settings.ssrc)
    self.rtcp = RTCPSession(
      ssrc: settings.ssrc, canonicalName: self.canonicalName,
      wallClock: WallClock(unixNanosecondsAtOrigin: wallClockOffset), now: now, random: &self.random)
  }

  /// Takes a new agreement.
  func configure(_ settings: VideoSettings, now: Instant) throws(ModuleError) {
    (self.settings, self.isActive) = (settings, true)
    try self.receiver.configure(settings)
    try self.sender.configure(settings)
  }

  /// Whether a payload type is the stream's.
  func has(_ payloadType: UInt8) -> Bool { self.receiver.has(payloadType) }

  var roundTrip: Duration? { self.rtcp.remote.roundTrip }

  // MARK: Packets

  /// Takes an RTP packet, decrypted; false when it belongs to nothing that was negotiated.
  func receive(_ header: RTPHeader, in packet: RawSpan, now: Instant, _ output: any StreamOutput) -> Bool {
    switch self.receiver.receive(header, in: packet, now: now) {
    case .unknown: return false
    case .taken: break
    case .changedSource: self.rtcp.sourceChanged()
    }
    self.ask(now: now, output)
    return true
  }

  /// Takes a compound RTCP packet, decrypted; false when it is malformed.
  func receive(report: RawSpan, now: Instant, _ output: any StreamOutput) -> Bool {
    let source = self.isShared ? self.receiver.rtp.ssrc ?? 0 : nil
    guard let contents = try? self.rtcp.receive(report, from: source, now: now) else { return false }
    guard contents.contains(.feedback), var compound = try? RTCPCompound(report) else { return true }
    let roundTrip = self.rtcp.remote.roundTrip
    let asked = self.feedback.receive(&compound, in: report) {
      self.sender.resend($0, now: now, roundTrip: roundTrip, output)
    }
    if asked.wantsKeyFrame {
      self.sender.requestKeyFrame(now: now)
      self.sendDue(now: now, output)
    }
    return true
  }

  // MARK: Time

  var nextDeadline: Instant? {
    guard self.isActive else { return nil }
    var next = self.rtcp.nextDeadline
    if let deadline = self.receiver.nextDeadline { next = min(next, deadline) }
    if self.isReady, let deadline = self.sender.nextDeadline { next = min(next, deadline) }
    return next
  }

  func timeout(now: Instant, _ output: any StreamOutput) {
    guard self.isActive else { return }
    self.receiver.timeout(now: now)
    self.sendDue(now: now, output)
    self.ask(now: now, output)
    if self.rtcp.nextDeadline <= now { self.sendReport(now: now, output) }
  }

  /// Media can leave from now on, or a source or sink has something to say.
  func poke(now: Instant, _ output: any StreamOutput) {
    guard self.isActive else { return }
    self.receiver.askSink()
    self.sendDue(now: now, output)
    self.ask(now: now, output)
  }

  private func sendDue(now: Instant, _ output: any StreamOutput) {
    self.isReady = output.canSend
    if self.isReady { self.sender.sendDue(now: now, output) }
  }

  /// Asks for what is missing, as far as the peer is to be asked.
  private func ask(now: Instant, _ output: any StreamOutput) {
    guard let source = self.receiver.rtp.ssrc else { return }
    if self.settings.asksForLost {
      let lost = self.receiver.takeMissing(now: now, roundTrip: self.rtcp.remote.roundTrip)
      if lost.wordCount > 0 {
        self.send(output) { $0.nack(sender: self.settings.ssrc, source: source, lost, into: &$1) }
      }
    }
    if self.receiver.takeKeyFrameRequest(now: now) { self.askForKeyFrame(of: source, output) }
  }

  /// By PLI where the peer has both: it needs no number.
  private func askForKeyFrame(of source: UInt32, _ output: any StreamOutput) {
    guard self.settings.asksForKeyFrames || self.settings.asksByFullIntraRequest else { return }
    self.keyFrameRequests += 1
    guard !self.settings.asksForKeyFrames else {
      return self.send(output) { $0.pictureLoss(sender: self.settings.ssrc, source: source, into: &$1) }
    }
    // Each has a number of its own: the key frame that the last one brought may be what was lost.
    self.fullIntraRequests &+= 1
    self.send(output) {
      $0.fullIntraRequest(sender: self.settings.ssrc, source: source, number: self.fullIntraRequests, into: &$1)
    }
  }

  /// Sends one feedback message, behind an empty report where the peer wants one.
  private func send(_ output: any StreamOutput, _ write: (inout RTCPWriter, inout MutableRawSpan) -> Void) {
    self.reportRoom.withPacket { packet in
      var writer = RTCPWriter()
      if !self.settings.usesReducedSize {
        writer.receiverReport(ssrc: self.settings.ssrc, nil, into: &packet.storage)
        writer.canonicalName(self.canonicalName, ssrc: self.settings.ssrc, into: &packet.storage)
      }
      write(&writer, &packet.storage)
      packet.count = writer.count
      if output.send(report: &packet) { self.feedbackSent += 1 }
    }
  }

  private func sendReport(now: Instant, _ output: any StreamOutput) {
    guard output.canReport else { return self.rtcp.postpone(now: now) }
    self.reportRoom.withPacket { packet in
      self.receiver.takeReport { receiver in
        packet.count = self.rtcp.timeout(
          now: now, sender: self.sender.rtp, receiver: &receiver, random: &self.random, into: &packet.storage)
      }
      if packet.count > 0 { _ = output.send(report: &packet) }
    }
  }

  /// Sends RTCP BYE.
  func sayGoodbye(now: Instant, _ output: any StreamOutput) {
    guard self.isActive, output.canReport, self.sender.rtp.packets > 0 || self.receiver.rtp.packets > 0 else { return }
    self.reportRoom.withPacket { packet in
      self.receiver.takeReport { receiver in
        packet.count = self.rtcp.goodbye(
          now: now, sender: self.sender.rtp, receiver: &receiver, into: &packet.storage)
      }
      _ = output.send(report: &packet)
    }
  }

  /// Source and sink complete what they have; nothing is called after this.
  func finish() {
    self.isActive = false
    self.sender.finish()
    self.receiver.finish()
  }

  var statistics: VideoStatistics {
    var all = VideoStatistics()
    let (sender, receiver) = (self.sender.rtp, self.receiver.rtp)
    all.encodingName = self.settings.codec.encodingName
    (all.sentPackets, all.sentBytes) = (Int(sender.packets), Int(sender.octets))
    (all.sentFrames, all.sentKeyFrames) = (self.sender.figures.frames, self.sender.figures.keyFrames)
    (all.receivedPackets, all.receivedBytes) = (Int(receiver.packets), Int(receiver.octets))
    (all.receivedFrames, all.receivedKeyFrames) = (self.receiver.figures.frames, self.receiver.figures.keyFrames)
    all.lost = Int(receiver.lost)
    (all.duplicate, all.suspect) = (Int(receiver.duplicates), Int(receiver.suspects))
    let assembly = self.receiver.assembly
    (all.discardedFrames, all.recovered) = (Int(assembly.discardedFrames), Int(assembly.recovered))
    (all.late, all.refused) = (Int(assembly.latePackets), Int(assembly.refused))
    all.refusedResends = self.sender.refusedResends
    (all.resent, all.repairs) = (self.sender.resent, self.receiver.figures.repairs)
    (all.keyFrameRequests, all.receivedKeyFrameRequests) = (
      self.keyFrameRequests, self.sender.figures.keyFrameRequests
    )
    all.jitter = receiver.jitterInMilliseconds
    all.malformed = self.receiver.figures.malformed + self.sender.figures.malformed
    all.sentReports = Int(self.rtcp.packetsSent) + self.feedbackSent
    return all
  }
}
