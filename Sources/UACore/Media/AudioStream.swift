package import ModuleKit
package import NetBase
internal import RTPStack
internal import SIPStack

/// One RTP stream each way, with its PCM: from a source through an encoder to packets, and from packets to a player.
///
/// Owned by its transport, on the transport's loop; knows no socket and is told the time.
package struct AudioStream: ~Copyable {
  /// What each packet asks of the agreement: plain values, for a copy of all of it would count references.
  private struct Terms {
    let canSend: Bool
    let canReceive: Bool
    let opensPinhole: Bool
    let eventSendType: UInt8?
    let eventReceiveTypes: PayloadTypeSet
    let redundantType: UInt8?
    let levelSendID: UInt8?
    let levelReceiveID: UInt8?
    let transportNumberID: UInt8?
    let mediaID: SentMediaID?
    let packetTime: Int
  }

  // What every packet and tick touches comes first.
  private var terms: Terms?
  private var nextTick: Instant?
  private var lastHeard: Instant?
  /// Samples of one tick, all channels.
  private var frameCount = 0
  /// Whether what comes is decoded and played.
  private let decodes: Bool
  private var hasEstablished = false
  private var hasTimedOut = false
  /// Whether a telephone event goes on, or was heard since the last tick.
  private var hearsEvents = false
  private let id: StreamID
  /// Milliseconds; 0 for never.
  private let receiveTimeout: Int
  private var receiveChain: (any AudioStage)?
  private var waiting: [StreamEvent] = []
  /// Silences what is sent.
  package var isMuted = false
  private var sender: RTPSender
  private var transmitter = AudioTransmitter()
  private var playout: AudioPlayout
  private var receiver: RTPReceiver
  private var rtcp: RTCPSession
  private var eventReceiver = TelephoneEventReceiver(clockRate: 8000)
  private var arrivals: TransportFeedback
  /// Reports of arrivals that left.
  private var arrivalReports = 0
  private var random: SeededGenerator
  private let jitterBuffer: JitterBufferSettings
  private var stream: StreamSettings?
  private var lostAtEnd = (receiving: 0, sending: 0, unencodable: 0)
  /// When the next empty packet may leave, and milliseconds between the last two.
  private var nextPinhole = Instant(nanoseconds: .min)
  private var pinholeWait: Int64 = 10
  /// RFC 6263 §4.6: a NAT keeps a way open for 15 s at least.
  private static let longestPinholeWait: Int64 = 10_000
  /// When main is told again of a report: the peer may send as many as it likes.
  private var nextReportNotice = Instant(nanoseconds: .min)
  private static let reportNoticeInterval: Int64 = 500

  /// What the peer said of its last packet.
  private var audioLevel: AudioLevel?

  package init(settings: TransportSettings, now: Instant) {
    (self.id, self.receiveTimeout, self.jitterBuffer) = (
      settings.stream, settings.receiveTimeout, settings.jitterBuffer
    )
    self.decodes = settings.decodes
    self.playout = AudioPlayout(now: now)
    self.random = SeededGenerator(seed: settings.seed)
    self.sender = RTPSender(ssrc: settings.ssrc, clockRate: 8000, random: &self.random)
    self.receiver = RTPReceiver(clockRate: 8000)
    self.arrivals = TransportFeedback(origin: now)
    self.rtcp = RTCPSession(
      ssrc: settings.ssrc, canonicalName: Array(settings.canonicalName.utf8),
      wallClock: WallClock(unixNanosecondsAtOrigin: settings.wallClockOffset), now: now, random: &self.random)
  }

  // MARK: What main and the transport tell it

  /// Takes a new agreement. Chains are made once; encoders and decoders when their format changes.
  package mutating func configure(_ new: StreamSettings, now: Instant) throws(ModuleError) {
    let old = self.stream
    self.stream = new
    self.terms = Terms(
      canSend: new.canSend, canReceive: new.canReceive, opensPinhole: new.opensPinhole,
      eventSendType: new.eventSendType,
      eventReceiveTypes: new.eventReceiveTypes, redundantType: new.redundantType, levelSendID: new.levelSendID,
      levelReceiveID: new.levelReceiveID, transportNumberID: new.transportNumberID, mediaID: new.mediaID,
      packetTime: new.packetTime)
    if new.levelReceiveID == nil { self.audioLevel = nil }
    if old == nil {
      let format = new.plan.format
      self.frameCount = format.sampleCount(milliseconds: new.packetTime)
      self.transmitter.begin(try new.plan.makeTransmitChain(), new.plan)
      self.receiveChain = try new.plan.makeReceiveChain()
      self.playout = AudioPlayout(
        format: format, settings: self.jitterBuffer,
        clockRate: new.receiveCodecs.first?.codec.clockRate ?? 8000, packetTime: new.packetTime, now: now)
      self.nextTick = now
    }
    if let codec = new.sendCodec,
      !codec.isSame(as: old?.sendCodec) || old?.packetTime != new.packetTime
        || old?.eventClockRate != new.eventClockRate
    {
      self.sender.change(clockRate: codec.codec.clockRate)
      try self.transmitter.use(codec, packetTime: new.packetTime, eventClockRate: new.eventClockRate)
      self.frameCount = new.plan.format.sampleCount(milliseconds: new.packetTime)
    }
    let rate = new.receiveCodecs.first?.codec.clockRate
    if let rate, rate != old?.receiveCodecs.first?.codec.clockRate { self.receiver.change(clockRate: rate) }
    self.playout.accept(new.receiveCodecs, now: now)
    if old?.canReceive != new.canReceive || old?.canSend != new.canSend { self.lastHeard = now }
  }

  /// Makes the plan's stages of one direction, and then lets those that ran complete what they have.
  package mutating func replaceStages(_ plan: StagePlan, _ direction: MediaDirection) throws(ModuleError) {
    switch direction {
    case .transmit:
      guard self.transmitter.isActive else { return }
      let chain = try plan.makeTransmitChain()
      self.transmitter.replace(chain, of: self.id)
    case .receive:
      guard let old = self.receiveChain else { return }
      self.receiveChain = try plan.makeReceiveChain()
      old.finish(self.id)
    }
  }

  /// Whether there is an agreement, so that packets can be understood.
  package var isConfigured: Bool { self.terms != nil }

  package mutating func send(digits: String) {
    let refused = self.transmitter.isActive ? self.transmitter.send(digits: digits) : digits
    if !refused.isEmpty { self.waiting.append(.digitsRefused(refused)) }
  }

  /// Media can leave from now on: the first packet does not wait for a tick that was set before.
  package mutating func outputIsReady(now: Instant) {
    if self.sender.packets == 0, self.nextTick != nil { self.nextTick = now }
  }

  /// Sends RTCP BYE.
  package mutating func sayGoodbye(now: Instant, _ workspace: inout Workspace, output: any StreamOutput) {
    guard self.terms != nil, output.canReport, self.sender.packets > 0 || self.receiver.packets > 0 else { return }
    workspace.packet.withPacket { packet in
      packet.count = self.rtcp.goodbye(now: now, sender: self.sender, receiver: &self.receiver, into: &packet.storage)
      _ = output.send(report: &packet)
    }
  }

  /// The stages complete what they have; nothing is called after this.
  package mutating func finish() {
    self.transmitter.finish(self.id)
    self.receiveChain?.finish(self.id)
    self.lostAtEnd = (self.lostReceiving, self.lostSending, self.unencodable)
    self.receiveChain = nil
    self.transmitter = AudioTransmitter()
  }

  // MARK: Packets

  /// What became of an RTP packet.
  package enum Reception: Sendable {
    /// It belongs to nothing that was negotiated.
    case refused
    case taken
    /// It was taken, and there are events.
    case eventful
  }

  /// Takes an RTP packet, decrypted.
  package mutating func receive(packet: RawSpan, now: Instant) -> Reception {
    guard self.take(packet, now: now) else { return .refused }
    return self.waiting.isEmpty ? .taken : .eventful
  }

  private mutating func take(_ packet: RawSpan, now: Instant) -> Bool {
    guard let terms, let header = try? RTPHeader(parsing: packet) else { return false }
    let isEvent = terms.eventReceiveTypes.contains(header.payloadType)
    let isRedundant = header.payloadType == terms.redundantType
    if !isEvent, !isRedundant {
      guard let rate = self.playout.clockRate(of: header.payloadType, now: now) else {
        self.pass(header, now: now)
        return false
      }
      // A codec of another clock than the last packet's has its jitter reckoned by its own.
      self.receiver.change(clockRate: rate)
    }
    self.lastHeard = now
    self.hasTimedOut = false
    let reordered = self.receiver.reordered
    switch self.receiver.receive(header, now: now) {
    case .duplicate, .suspect: return true
    case .restarted: self.forgetSource()
    case .changedSource:
      self.forgetSource()
      self.rtcp.sourceChanged()
    case .accepted: break
    }
    if let id = terms.transportNumberID, let number = header.transportNumber(id, in: packet) {
      self.arrivals.note(number, now: now)
    }
    if !self.hasEstablished {
      self.hasEstablished = true
      self.waiting.append(.established)
    }
    if let id = terms.levelReceiveID, let level = header.audioLevel(id, in: packet) { self.audioLevel = level }
    let payload = packet.extracting(header.payload)
    if isEvent {
      self.playout.note(header)
      self.take(event: payload, header, isReordered: self.receiver.reordered != reordered, now: now)
    } else if isRedundant, let event = Self.event(in: payload, of: terms.eventReceiveTypes) {
      self.playout.note(header)
      let isReordered = self.receiver.reordered != reordered
      self.take(event: payload.extracting(event), header, isReordered: isReordered, now: now)
    } else if payload.isEmpty {
      // Padding alone: a browser's congestion control tries what its path can carry.
      self.playout.note(header)
    } else if !self.decodes {
      return true
    } else if isRedundant, terms.canReceive {
      self.playout.insert(redundant: header, payload: payload, packetTime: terms.packetTime, now: now)
    } else if terms.canReceive {
      self.playout.insert(header, payload: payload, packetTime: terms.packetTime, now: now)
    }
    return true
  }

  /// A packet of the source whose payload type is none that was agreed on, such as comfort noise: nothing is lost where it
  /// stands, and the peer is there (RFC 3550 §5.1, A.3).
  private mutating func pass(_ header: RTPHeader, now: Instant) {
    switch self.receiver.pass(header) {
    case nil, .duplicate, .suspect, .changedSource: return
    case .restarted: self.forgetSource()
    case .accepted: break
    }
    self.lastHeard = now
    self.hasTimedOut = false
    self.playout.note(header)
  }

  /// The numbers and timestamps that come now have nothing to do with those that came.
  private mutating func forgetSource() {
    self.playout.reset()
    self.arrivals.reset()
    self.eventReceiver.reset()
    self.reportEvents()
  }

  /// Takes a compound RTCP packet, decrypted; false when it is malformed.
  ///
  /// - Parameter isShared: whether reports about other streams come here too.
  package mutating func receive(report: RawSpan, isShared: Bool = false, now: Instant) -> Bool {
    let source = isShared ? self.receiver.ssrc ?? 0 : nil
    guard let contents = try? self.rtcp.receive(report, from: source, now: now) else { return false }
    if contents.contains(.goodbye) { self.waiting.append(.goodbye) }
    if contents.contains(.report) {
      if self.nextReportNotice <= now {
        self.nextReportNotice = now.advanced(byMilliseconds: Self.reportNoticeInterval)
        self.waiting.append(.peerReported)
      }
      self.transmitter.adapt(lossPercent: Int(self.rtcp.remote.fractionLost * 100))
    }
    return true
  }

  /// Where the telephone event is that a packet of redundant data (RFC 2198) has for its own payload; nil without one.
  private static func event(in payload: RawSpan, of types: PayloadTypeSet) -> Range<Int>? {
    guard let own = RedundantPayload(parsing: payload)?.primary, types.contains(own.payloadType) else { return nil }
    return own.bytes
  }

  private mutating func take(event payload: RawSpan, _ header: RTPHeader, isReordered: Bool, now: Instant) {
    self.hearsEvents = true
    self.eventReceiver.receive(payload, timestamp: header.timestamp, isReordered: isReordered, now: now)
    self.reportEvents()
  }

  private mutating func reportEvents() {
    while let report = self.eventReceiver.poll() {
      switch report {
      case .started(let event): if let digit = event.digit { self.waiting.append(.digit(digit)) }
      case .ended(let event, _): if event.digit != nil { self.waiting.append(.digit(nil)) }
      }
    }
  }

  // MARK: Time

  package var nextDeadline: Instant? {
    guard let nextTick else { return nil }
    let next = min(nextTick, self.rtcp.nextDeadline)
    return self.arrivalsDeadline.map { min($0, next) } ?? next
  }

  /// Nanoseconds by which the tick that is due now is late; nil where none is due.
  package func lateness(now: Instant) -> Int64? {
    guard let nextTick, nextTick <= now else { return nil }
    return now.nanoseconds(since: nextTick)
  }

  /// Where nobody is told, a tick does not touch what is noted of arrivals.
  private var arrivalsDeadline: Instant? {
    self.terms?.transportNumberID == nil ? nil : self.arrivals.nextDeadline
  }

  package mutating func timeout(now: Instant, _ workspace: inout Workspace, output: any StreamOutput) {
    guard let terms else { return }
    if let tick = self.nextTick, tick <= now {
      self.tick(terms, now: now, &workspace.frame, &workspace.scratch, &workspace.packet, output)
      var next = tick.advanced(byMilliseconds: Int64(terms.packetTime))
      // Starved for more than half a second: what was missed is not sent in a burst.
      if now.milliseconds(since: next) > 500 { next = now }
      self.nextTick = next
    }
    if self.rtcp.nextDeadline <= now { self.sendReport(now: now, &workspace, output) }
    if let deadline = self.arrivalsDeadline, deadline <= now { self.sendArrivals(now: now, &workspace, output) }
  }

  private mutating func tick(
    _ terms: Terms, now: Instant, _ room: inout [Int16], _ scratch: inout [Int16], _ packet: inout [UInt8],
    _ output: any StreamOutput
  ) {
    if terms.canSend, output.canSend {
      let (isFirst, isMuted) = (self.sender.packets == 0, self.isMuted)
      let verdict = self.transmitter.transmit(
        &self.sender, eventType: terms.eventSendType, levelID: terms.levelSendID, mediaID: terms.mediaID,
        isMuted: isMuted, now: now, &room, &scratch, &packet, output: output)
      if isFirst, self.sender.packets > 0 { self.waiting.append(.sending) }
      if case .end = verdict { self.waiting.append(.sourceEnded) }
    } else {
      if terms.opensPinhole, terms.canReceive, output.canSend {
        self.openPinhole(mediaID: terms.mediaID, now, &packet, output)
      }
      if self.sender.packets > 0 { self.transmitter.pass(&self.sender, isHeld: !terms.canSend) }
    }
    if self.playout.isActive, let chain = self.receiveChain {
      room.enlarge(to: self.frameCount)
      var all = room.mutableSpan
      var samples = all._mutatingExtracting(..<self.frameCount)
      self.playout.play(into: &samples, scratch: &scratch, now: now)
      var frame = AudioFrame(samples: samples, direction: .receive, stream: self.id)
      _ = chain.process(&frame)
    }
    if self.hearsEvents {
      self.eventReceiver.timeout(now: now)
      self.reportEvents()
      self.hearsEvents = self.eventReceiver.nextDeadline != nil
    }
    self.watchForSilence(terms, now: now)
  }

  /// An empty packet opens a NAT's way to us, and the next ones keep it open: at once, then ever more rarely.
  private mutating func openPinhole(
    mediaID: SentMediaID?, _ now: Instant, _ packet: inout [UInt8], _ output: any StreamOutput
  ) {
    guard self.nextPinhole <= now else { return }
    self.pinholeWait = min(self.pinholeWait * 2, Self.longestPinholeWait)
    self.nextPinhole = now.advanced(byMilliseconds: self.pinholeWait)
    let isFirst = self.sender.packets == 0
    self.transmitter.transmitNothing(&self.sender, mediaID: mediaID, now: now, &packet, output: output)
    if isFirst, self.sender.packets > 0 { self.waiting.append(.sending) }
  }

  /// Only of a peer that hears us, too: one that holds us may have no music.
  private mutating func watchForSilence(_ terms: Terms, now: Instant) {
    guard self.receiveTimeout > 0, terms.canReceive, terms.canSend, !self.hasTimedOut else { return }
    let last = self.lastHeard ?? now
    self.lastHeard = last
    guard now.milliseconds(since: last) >= self.receiveTimeout else { return }
    self.hasTimedOut = true
    self.waiting.append(.timedOut)
  }

  private mutating func sendReport(now: Instant, _ workspace: inout Workspace, _ output: any StreamOutput) {
    guard output.canReport else { return self.rtcp.postpone(now: now) }
    workspace.packet.withPacket { packet in
      packet.count = self.rtcp.timeout(
        now: now, sender: self.sender, receiver: &self.receiver, random: &self.random, into: &packet.storage)
      if packet.count > 0 { _ = output.send(report: &packet) }
    }
  }

  private mutating func sendArrivals(now: Instant, _ workspace: inout Workspace, _ output: any StreamOutput) {
    workspace.packet.withPacket { packet in
      packet.count = self.arrivals.timeout(
        now: now, ssrc: self.rtcp.ssrc, source: self.receiver.ssrc ?? 0, into: &packet.storage)
      if packet.count > 0, output.send(report: &packet) { self.arrivalReports += 1 }
    }
  }

  // MARK: What it tells

  /// Whether there are any that main has not heard of.
  package var hasEvents: Bool { !self.waiting.isEmpty }

  /// The oldest event that main has not heard of.
  package mutating func takeEvent() -> StreamEvent? {
    guard !self.waiting.isEmpty else { return nil }
    let first = self.waiting.removeFirst()
    // No room is kept: events are few, and an empty array of its own costs a cache line at every packet.
    if self.waiting.isEmpty { self.waiting = [] }
    return first
  }

  /// Frames that were lost on their way to another executor, and frames that did not come from one in time.
  private var lostReceiving: Int {
    self.receiveChain.map { ($0 as? any LossyStage)?.lostFrames ?? 0 } ?? self.lostAtEnd.receiving
  }
  private var lostSending: Int {
    self.transmitter.isActive ? self.transmitter.underruns : self.lostAtEnd.sending
  }

  /// Frames that the encoder refused.
  private var unencodable: Int {
    self.transmitter.isActive ? self.transmitter.unencodable : self.lostAtEnd.unencodable
  }

  package var roundTrip: Duration? { self.rtcp.remote.roundTrip }

  package var statistics: TransportStatistics {
    var all = TransportStatistics()
    let playout = self.playout.figures
    all.sentPackets = Int(self.sender.packets)
    all.sentBytes = Int(self.sender.octets)
    all.receivedPackets = Int(self.receiver.packets)
    all.receivedBytes = Int(self.receiver.octets)
    all.lost = Int(self.receiver.lost)
    all.duplicate = Int(self.receiver.duplicates)
    all.suspect = Int(self.receiver.suspects)
    all.jitter = self.receiver.jitterInMilliseconds
    all.late = Int(playout.late)
    all.recovered = Int(playout.recovered)
    all.concealed = Int(playout.concealed)
    all.playedFrames = playout.playedFrames
    all.decodedSamples = playout.decodedSamples
    all.roundTrip = self.rtcp.remote.roundTrip?.inMilliseconds
    all.sentReports = Int(self.rtcp.packetsSent) + self.arrivalReports
    all.receivedReports = Int(self.rtcp.remote.packets)
    all.audioLevel = self.audioLevel
    all.undecodable = playout.malformed
    all.drops.unknown = all.undecodable
    all.drops.mailboxFull = self.lostReceiving
    all.sourceUnderruns = self.lostSending
    all.unencodable = self.unencodable
    all.meanOpinionScore = self.meanOpinionScore
    return all
  }

  private var meanOpinionScore: Double? {
    guard self.receiver.packets > 0, let codec = self.stream?.receiveCodecs.first else { return nil }
    let playout = self.playout.figures
    let delay = (self.rtcp.remote.roundTrip?.inMilliseconds ?? 0) / 2 + playout.delay
    return MOSEstimate(
      codec: codec.codec.encodingName == "opus" ? .opus : .g711,
      lossPercentage: self.receiver.statistics(late: playout.late).lossPercentage,
      oneWayDelay: delay + 20
    ).score
  }
}

/// What a stream has to tell main.
package enum StreamEvent: Sendable {
  case sending
  case established
  case digit(Character?)
  /// Digits that will not be sent: too many wait, or there is no agreement yet.
  case digitsRefused(String)
  /// The peer's sender or receiver report came, the first one for half a second.
  case peerReported
  case goodbye
  case timedOut
  case sourceEnded
}
