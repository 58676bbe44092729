package import NetBase

/// RTCP of one stream between two parties: when to report and what, and what the peer reported (RFC 3550 §6).
///
/// The transport that owns the stream calls `receive` for each packet and `timeout` at `nextDeadline`. Room of
/// `RTCPSession.roomNeeded` bytes holds every packet that is composed.
package struct RTCPSession: Sendable {
  /// Bytes that the largest packet composed here needs.
  package static let roomNeeded = 52 + 4 + 4 + 260 + 8 + 256

  /// What the peer told, and what follows from it.
  package struct Remote: Equatable, Sendable {
    /// The peer's report about our stream, the newest; nil before the first.
    package var report: RTCPReportBlock?
    /// The peer's last sender report.
    package var senderInfo: RTCPSenderInfo?
    /// Round-trip time; nil until the peer has answered one of our sender reports.
    package var roundTrip: Duration?
    /// RTCP packets received.
    package var packets: UInt64 = 0
    /// Whether the source said goodbye and was not heard since.
    package var hasLeft = false

    package init() {}

    /// The peer's fraction of our packets lost in its last interval, 0 to 1.
    package var fractionLost: Double { self.report.map { Double($0.fractionLost) / 256 } ?? 0 }
  }

  /// What was in a packet that was received.
  package struct Contents: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A report about our stream: `remote` has it.
    package static let report = Contents(rawValue: 1)
    package static let senderInfo = Contents(rawValue: 2)
    package static let goodbye = Contents(rawValue: 4)
    /// RTPFB or PSFB: the caller reads it with `RTCPCompound`.
    package static let feedback = Contents(rawValue: 8)
  }

  package let ssrc: UInt32
  /// When `timeout` is to be called.
  package private(set) var nextDeadline: Instant
  package private(set) var remote = Remote()
  /// RTCP packets composed.
  package private(set) var packetsSent: UInt64 = 0

  private let canonicalName: [UInt8]
  private let timing: RTCPTiming
  private let wallClock: WallClock
  private var lastSent: Instant
  private var averageSize = 128.0
  private var isInitial = true
  private var remoteSource: UInt32?
  private var lastSenderReport: (time: UInt32, heard: Instant)?
  /// How many RTP packets we had sent at the last two reports.
  private var sentBefore: (last: UInt64, beforeThat: UInt64) = (0, 0)

  package init(
    ssrc: UInt32, canonicalName: [UInt8], timing: RTCPTiming = RTCPTiming(), wallClock: WallClock, now: Instant,
    random: inout some RandomNumberGenerator
  ) {
    (self.ssrc, self.canonicalName, self.timing, self.wallClock) = (ssrc, canonicalName, timing, wallClock)
    (self.lastSent, self.nextDeadline) = (now, now)
    self.nextDeadline = self.lastSent.advanced(by: self.interval(isSender: false, &random))
  }

  /// Takes an RTCP packet of the peer, reduced size or not; refuses it whole when it is malformed.
  ///
  /// - Parameter source: whose reports count, where other streams have the same transport; nil for all. What is reported about
  ///   our stream counts whoever says it.
  package mutating func receive(
    _ bytes: RawSpan, from source: UInt32? = nil, now: Instant
  ) throws(RTCPError) -> Contents {
    var compound = try RTCPCompound(bytes)
    var contents: Contents = []
    self.remote.packets += 1
    self.averageSize += (Double(bytes.byteCount + 28) - self.averageSize) / 16
    while let packet = compound.next() {
      switch packet.kind {
      case .senderReport:
        let info = RTCPSenderInfo(packet, in: bytes)
        if source == nil || source == info.ssrc {
          self.heard(info.ssrc)
          self.remote.senderInfo = info
          self.lastSenderReport = (UInt32(truncatingIfNeeded: info.ntpTime >> 16), now)
          contents.insert(.senderInfo)
        }
        if self.takeReport(packet, bytes, now) { contents.insert(.report) }
      case .receiverReport:
        let reporter = bytes.uint32(at: packet.body.lowerBound)
        if source == nil || source == reporter { self.heard(reporter) }
        if self.takeReport(packet, bytes, now) { contents.insert(.report) }
      case .goodbye:
        if self.takeGoodbye(packet, bytes, of: source) { contents.insert(.goodbye) }
      case .transportFeedback, .payloadFeedback: contents.insert(.feedback)
      case .sourceDescription, .application, nil: break
      }
    }
    return contents
  }

  /// Composes the report that is due into `room` and returns its length; 0 when none is due, because the deadline has not
  /// come or was moved (timer reconsideration, §6.3.6).
  package mutating func timeout(
    now: Instant, sender: RTPSender, receiver: inout RTPReceiver, random: inout some RandomNumberGenerator,
    into room: inout MutableRawSpan
  ) -> Int {
    guard now >= self.nextDeadline else { return 0 }
    let due = self.lastSent.advanced(by: self.interval(isSender: self.isSender(sender), &random))
    guard due <= now else {
      self.nextDeadline = due
      return 0
    }
    var writer = RTCPWriter()
    self.report(&writer, now: now, sender: sender, receiver: &receiver, into: &room)
    self.sent(writer.count, now)
    self.nextDeadline = now.advanced(by: self.interval(isSender: self.isSender(sender), &random))
    return writer.count
  }

  /// Nothing can leave now: what is due is looked at again a little later, and nothing counts as reported or sent.
  package mutating func postpone(now: Instant) { self.nextDeadline = now.advanced(byMilliseconds: 100) }

  /// Composes a last report with a goodbye (§6.3.7) into `room` and returns its length.
  package mutating func goodbye(
    reason: [UInt8] = [], now: Instant, sender: RTPSender, receiver: inout RTPReceiver, into room: inout MutableRawSpan
  ) -> Int {
    var writer = RTCPWriter()
    self.report(&writer, now: now, sender: sender, receiver: &receiver, into: &room)
    writer.goodbye(ssrc: self.ssrc, reason: reason, into: &room)
    self.sent(writer.count, now)
    return writer.count
  }

  /// The last sender report counts for nothing once another source sends the stream.
  package mutating func sourceChanged() {
    self.lastSenderReport = nil
    (self.remote.senderInfo, self.remote.hasLeft) = (nil, false)
  }

  private mutating func report(
    _ writer: inout RTCPWriter, now: Instant, sender: RTPSender, receiver: inout RTPReceiver,
    into room: inout MutableRawSpan
  ) {
    var block = receiver.takeReport()
    if let last = self.lastSenderReport {
      block?.lastSenderReport = last.time
      block?.delaySinceLastSenderReport = Self.compact(now.nanoseconds(since: last.heard))
    }
    if self.isSender(sender) {
      let info = RTCPSenderInfo(
        ssrc: self.ssrc, ntpTime: self.wallClock.ntpTime(now), timestamp: sender.timestamp(at: now),
        packets: UInt32(truncatingIfNeeded: sender.packets), octets: UInt32(truncatingIfNeeded: sender.octets))
      writer.senderReport(info, block, into: &room)
    } else {
      writer.receiverReport(ssrc: self.ssrc, block, into: &room)
    }
    writer.canonicalName(self.canonicalName, ssrc: self.ssrc, into: &room)
    self.sentBefore = (sender.packets, self.sentBefore.last)
  }

  private mutating func sent(_ count: Int, _ now: Instant) {
    self.packetsSent += 1
    self.averageSize += (Double(count + 28) - self.averageSize) / 16
    (self.isInitial, self.lastSent) = (false, now)
  }

  /// We are a sender while packets went out since the report before the last (§6.4).
  private func isSender(_ sender: RTPSender) -> Bool { sender.packets > self.sentBefore.beforeThat }

  private func interval(isSender: Bool, _ random: inout some RandomNumberGenerator) -> Duration {
    let peers = self.remoteSource == nil || self.remote.hasLeft ? 0 : 1
    let calculated = self.timing.interval(
      members: 1 + peers, senders: (isSender ? 1 : 0) + (self.lastSenderReport == nil ? 0 : peers), isSender: isSender,
      averageSize: self.averageSize, isInitial: self.isInitial)
    return .nanoseconds(Int64(self.timing.randomised(calculated, &random) * 1e9))
  }

  private mutating func heard(_ ssrc: UInt32) {
    self.remoteSource = ssrc
    self.remote.hasLeft = false
  }

  private mutating func takeReport(_ packet: RTCPPacket, _ bytes: RawSpan, _ now: Instant) -> Bool {
    guard let first = packet.firstBlock else { return false }
    for index in 0..<packet.count {
      let block = RTCPReportBlock(at: first + RTCPReportBlock.length * index, in: bytes)
      guard block.ssrc == self.ssrc else { continue }
      self.remote.report = block
      self.measure(block, now)
      return true
    }
    return false
  }

  /// Round trip = now - LSR - DLSR, in 65536ths of a second (§6.4.1); what is negative or beyond a minute is nonsense.
  private mutating func measure(_ block: RTCPReportBlock, _ now: Instant) {
    guard block.lastSenderReport != 0 else { return }
    let elapsed = self.wallClock.compactTime(now) &- block.lastSenderReport &- block.delaySinceLastSenderReport
    let units = Int64(Int32(bitPattern: elapsed))
    // Both ends round down to a unit of 15 microseconds, so a fast path may come out just below zero.
    guard units >= -2, units < 60 << 16 else { return }
    self.remote.roundTrip = .nanoseconds((max(units, 0) * 1_000_000_000) >> 16)
  }

  private mutating func takeGoodbye(_ packet: RTCPPacket, _ bytes: RawSpan, of source: UInt32?) -> Bool {
    for index in 0..<packet.count {
      let ssrc = bytes.uint32(at: packet.body.lowerBound + 4 * index)
      guard ssrc != self.ssrc, source ?? self.remoteSource ?? ssrc == ssrc else { continue }
      self.remote.hasLeft = true
      return true
    }
    return false
  }

  /// Nanoseconds in 65536ths of a second, split at the second.
  private static func compact(_ nanoseconds: Int64) -> UInt32 {
    let (seconds, rest) = max(nanoseconds, 0).quotientAndRemainder(dividingBy: 1_000_000_000)
    return UInt32(clamping: seconds << 16 + (rest << 16) / 1_000_000_000)
  }
}
