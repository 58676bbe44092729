internal import ModuleKit
internal import NetBase
internal import RTPStack
internal import SIPStack

/// The sending half of a video stream: frames of a source leave as packets, and again when the peer asks for them.
///
/// Owned by its stream, on the transport's loop; nothing here allocates once the rooms have grown.
struct VideoSender: ~Copyable {
  /// Bytes of a payload: with headers, a tag and what relays put before it, a packet stays below every path's limit.
  static let longestPayload = 1120
  /// Frames that leave at once where a source brings more.
  private static let burst = 8

  /// The least time between two key frames that a peer asks for.
  static let keyFrameInterval = Duration.milliseconds(200)

  struct Figures {
    var frames = 0
    var keyFrames = 0
    var keyFrameRequests = 0
    /// Frames that could not be cut into packets.
    var malformed = 0
  }

  private(set) var rtp: RTPSender
  private var repair: RTPSender
  private(set) var figures = Figures()
  private var history = SendHistory()
  private var source: (any VideoSource)?
  private var packetizer: (any VideoPacketizer)?
  private var settings: VideoSettings?
  private var lastKeyFrameRequest: Instant?
  /// Timestamps begin at random (RFC 3550 §5.1), and go on with time where another source begins.
  private var origin: UInt32
  private var isSourceNew = false
  private var room = [UInt8](repeating: 0, count: Self.longestPayload + 256)
  private var repairRoom = [UInt8](repeating: 0, count: SendHistory.longestPacket + 256)

  init(ssrc: UInt32, repairSSRC: UInt32, random: inout SeededGenerator) {
    self.rtp = RTPSender(ssrc: ssrc, clockRate: 90_000, random: &random)
    self.repair = RTPSender(ssrc: repairSSRC, clockRate: 90_000, random: &random)
    self.origin = random.next()
  }

  var resent: Int { Int(self.history.statistics.resent) }
  var refusedResends: Int { Int(self.history.statistics.refused) }

  /// Takes a new agreement; the source is made once for a codec.
  mutating func configure(_ new: VideoSettings) throws(ModuleError) {
    let old = self.settings
    self.settings = new
    guard old?.codec.encodingName != new.codec.encodingName || old?.remoteParameters != new.remoteParameters else {
      return
    }
    self.packetizer = new.codec.makePacketizer(remote: new.remoteParameters)
    guard old?.codec.encodingName != new.codec.encodingName else { return }
    self.source?.finish()
    self.source = try new.source?()
    self.isSourceNew = true
  }

  var nextDeadline: Instant? { self.settings?.canSend == true ? self.source?.nextDeadline : nil }

  /// Sends the frames that are due.
  mutating func sendDue(now: Instant, _ output: any StreamOutput) {
    guard let settings, settings.canSend, let source, let packetizer else { return }
    for _ in 0..<Self.burst {
      let hasFrame = source.next(now: now) { frame, info in
        self.send(frame, info, settings, packetizer, now: now, output)
      }
      guard hasFrame else { return }
    }
  }

  private mutating func send(
    _ frame: RawSpan, _ info: VideoFrameInfo, _ settings: VideoSettings, _ packetizer: any VideoPacketizer,
    now: Instant, _ output: any StreamOutput
  ) {
    let elements = SentElements(mediaID: settings.mediaID)
    if self.isSourceNew {
      if self.rtp.packets > 0 { self.origin = self.rtp.timestamp(at: now) &- info.timestamp }
      self.isSourceNew = false
    }
    packetizer.begin(frame)
    var last = self.sendNext(of: frame, info, elements, settings, packetizer, now: now, output)
    while last == false { last = self.sendNext(of: frame, info, elements, settings, packetizer, now: now, output) }
    guard last != nil else {
      self.figures.malformed += 1
      return
    }
    self.figures.frames += 1
    if info.isKeyFrame { self.figures.keyFrames += 1 }
  }

  /// Sends the frame's next packet, and tells whether it is the last; nil where the frame is given up.
  private mutating func sendNext(
    of frame: RawSpan, _ info: VideoFrameInfo, _ elements: SentElements, _ settings: VideoSettings,
    _ packetizer: any VideoPacketizer, now: Instant, _ output: any StreamOutput
  ) -> Bool? {
    var taken: [UInt8] = []
    swap(&taken, &self.room)
    defer { swap(&taken, &self.room) }
    return taken.withPacket { packet -> Bool? in
      let start = elements.headerLength
      var payload = packet.storage._mutatingExtracting(start..<start + Self.longestPayload)
      guard let part = packetizer.next(frame, into: &payload) else { return nil }
      let header = self.rtp.frame(
        timestamp: self.origin &+ info.timestamp, marker: part.isLast, payloadType: settings.sendType,
        payloadCount: part.count, now: now)
      header.write(into: &packet.storage, elements)
      packet.count = start + part.count
      // Under a payload type of its own what is sent again is a new packet; else it is the same, tag and all.
      if settings.repairSendType != nil { self.history.store(sequence: header.sequenceNumber, packet.bytes, now: now) }
      let isSent = output.send(packet: &packet)
      if settings.repairSendType == nil, settings.asksForLost, isSent {
        self.history.store(sequence: header.sequenceNumber, packet.bytes, now: now)
      }
      return part.isLast
    }
  }

  /// The peer asks for a packet once more.
  mutating func resend(_ number: UInt16, now: Instant, roundTrip: Duration?, _ output: any StreamOutput) {
    guard let settings, settings.asksForLost, self.history.mayResend(number, now: now, roundTrip: roundTrip) else {
      return
    }
    guard let type = settings.repairSendType else {
      if let packet = self.history.packet(number) { output.send(again: packet) }
      return
    }
    var taken: [UInt8] = []
    swap(&taken, &self.repairRoom)
    defer { swap(&taken, &self.repairRoom) }
    taken.withPacket { packet in
      let length = self.history.packet(number)?.byteCount ?? 0
      let header = self.repair.frame(
        timestamp: 0, marker: false, payloadType: type, payloadCount: length, now: now)
      guard let original = self.history.packet(number) else { return }
      packet.count = RTXPayload.write(
        original: original, payloadType: type, sequenceNumber: header.sequenceNumber, ssrc: header.ssrc,
        into: &packet.storage)
      if packet.count > 0 { _ = output.send(packet: &packet) }
    }
  }

  /// The peer can't decode what it has. Who asks all the time gets no more key frames than others.
  mutating func requestKeyFrame(now: Instant) {
    self.figures.keyFrameRequests += 1
    if let last = self.lastKeyFrameRequest, now < last.advanced(by: Self.keyFrameInterval) { return }
    self.lastKeyFrameRequest = now
    self.source?.requestKeyFrame()
  }

  mutating func finish() {
    self.source?.finish()
    (self.source, self.settings) = (nil, nil)
  }
}
