import NetBase

@testable import SRTPEngine

/// One seeded conversation, sent and received by both transforms in step.
struct DifferentialRun: ~Copyable {
  private struct Source {
    var ssrc: UInt32
    /// The next packet's index; its last 16 bits are the sequence number.
    var next: Int
  }

  private struct Sent {
    var bytes: [UInt8]
    var isRTCP: Bool
    /// The number that it was sent under, among those of its SSRC; RTP only.
    var index: Int
    var source: Int
  }

  private struct Senders: ~Copyable {
    var ours: OutboundSRTP
    var theirs: OutboundSRTP

    init(_ material: borrowing SRTPKeyMaterial) throws {
      let ours = try OutboundSRTP(material, transform: .openssl)
      let theirs = try OutboundSRTP(material, transform: .libsrtp2)
      self.ours = ours
      self.theirs = theirs
    }
  }

  private struct Receivers: ~Copyable {
    var ours: InboundSRTP
    var theirs: InboundSRTP

    init(
      _ material: borrowing SRTPKeyMaterial, theirs other: borrowing SRTPKeyMaterial,
      _ windows: (ours: Int, theirs: Int)
    ) throws {
      let ours = try InboundSRTP(material, replayWindow: windows.ours, transform: .openssl)
      let theirs = try InboundSRTP(other, replayWindow: windows.theirs, transform: .libsrtp2)
      self.ours = ours
      self.theirs = theirs
    }
  }

  private(set) var census = PacketCensus()
  private(set) var differences: [String] = []
  private var random: Seeded
  private let profile: SRTPProfile
  private let identifier: [UInt8]?
  private var keyNumber: Int
  private let windows: (ours: Int, theirs: Int)
  private var outbound: Senders
  private var inbound: Receivers
  private var sources: [Source] = []
  private var recent: [Sent] = []
  /// Packets of the present key only.
  private var highest: [Int: Int] = [:]

  /// - Parameter keyDiffers, window: planted differences.
  init(seed: UInt64, window: (ours: Int, theirs: Int)? = nil, keyDiffers: Bool = false) throws {
    var random = Seeded(state: seed)
    let profile = SRTPProfile.allCases[Int(seed % 5)]
    let identifier: [UInt8]? =
      Int.random(in: 0..<4, using: &random) == 0 ? [1, 2, 3, UInt8(truncatingIfNeeded: seed)] : nil
    let size = [64, 65, 127, 128, 128, 200, 512, 1024].randomElement(using: &random) ?? 128
    let windows = window ?? (size, size)
    let theirs = try key(Int(seed), profile, identifier: identifier)
    let ours = try key(Int(seed) + (keyDiffers ? 1 : 0), profile, identifier: identifier)
    let outbound = try Senders(theirs)
    let inbound = try Receivers(ours, theirs: theirs, windows)
    self.random = random
    self.profile = profile
    self.identifier = identifier
    self.windows = windows
    self.keyNumber = Int(seed)
    self.outbound = outbound
    self.inbound = inbound
  }

  mutating func play(_ count: Int) throws {
    while self.census.packets < count, self.differences.isEmpty {
      switch Int.random(in: 0..<1000, using: &self.random) {
      case 0..<4: self.addSource()
      case 4: if Bool.random(using: &self.random) { try self.changeKey() }
      case 5: self.setRolloverCounter()
      case 6: self.forget()
      case 7..<17: self.jump()
      case 17..<540: self.sendAndDeliver()
      case 540..<580: self.deliverLater()
      case 580..<860: self.deliverOld()
      case 860..<910: self.deliverReplay()
      case 910..<980: self.deliverCorrupted()
      default: self.deliverShort()
      }
    }
  }

  // MARK: Sending

  private mutating func addSource() {
    if self.sources.count == 4 { self.sources.removeFirst() }
    // Most start shortly before a wrap.
    let start =
      Int.random(in: 0..<3, using: &self.random) == 0
      ? Int.random(in: 0..<65_536, using: &self.random) : Int.random(in: 64_000..<65_536, using: &self.random)
    self.sources.append(Source(ssrc: UInt32.random(in: 0...UInt32.max, using: &self.random), next: start))
    self.census.newSources += 1
  }

  private mutating func jump() {
    guard !self.sources.isEmpty else { return }
    let position = Int.random(in: self.sources.indices, using: &self.random)
    let next = self.sources[position].next
    // To a little before the next wrap, or anywhere.
    let target =
      Bool.random(using: &self.random)
      ? (next | 0xFFFF) - Int.random(in: 0..<300, using: &self.random)
      : next + Int.random(in: -2_000..<34_000, using: &self.random)
    self.sources[position].next = max(0, target)
    self.census.jumps += 1
  }

  /// A packet as both senders make it; nil when they refuse it, or differ.
  private mutating func send() -> Sent? {
    if self.sources.isEmpty { self.addSource() }
    let place = Int.random(in: self.sources.indices, using: &self.random)
    let source = self.sources[place]
    let isRTCP = Int.random(in: 0..<8, using: &self.random) == 0
    let clear: [UInt8]
    if isRTCP {
      let words = Int.random(in: 0..<30, using: &self.random)
      clear = [0x80, 201, 0, UInt8(words + 1)] + big(source.ssrc) + self.bytes(4 * words)
    } else {
      clear = self.packet(source)
      self.sources[place].next += 1
    }
    let ours = self.outbound.ours.sent(clear, isRTCP: isRTCP)
    let theirs = self.outbound.theirs.sent(clear, isRTCP: isRTCP)
    self.compare(ours, theirs, "sent", isRTCP: isRTCP, source.next)
    guard ours.result == .ok else { return nil }
    let sent = Sent(bytes: ours.bytes, isRTCP: isRTCP, index: source.next, source: Int(source.ssrc))
    if self.recent.count < 2500 {
      self.recent.append(sent)
    } else {
      self.recent[Int.random(in: self.recent.indices, using: &self.random)] = sent
    }
    return sent
  }

  private mutating func packet(_ source: Source) -> [UInt8] {
    let number = UInt16(truncatingIfNeeded: source.next)
    let contributors = Int.random(in: 0..<6, using: &self.random) == 0 ? Int.random(in: 1...15, using: &self.random) : 0
    let hasExtension = Int.random(in: 0..<6, using: &self.random) == 0
    var packet: [UInt8] = [
      0x80 | UInt8(contributors) | (hasExtension ? 0x10 : 0), 0, UInt8(number >> 8), UInt8(number & 255), 1, 2, 3, 4,
    ]
    packet += big(source.ssrc) + self.bytes(4 * contributors)
    if hasExtension {
      let words = Int.random(in: 0..<8, using: &self.random)
      packet += [0xBE, 0xDE, 0, UInt8(words)] + self.bytes(4 * words)
    }
    let length =
      Int.random(in: 0..<4, using: &self.random) == 0 ? Int.random(in: 0..<1200, using: &self.random) : 160
    return packet + self.bytes(length)
  }

  private mutating func bytes(_ count: Int) -> [UInt8] {
    let value = self.random.next()
    return (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 & 31) &+ UInt64($0)) }
  }

  // MARK: Receiving

  private mutating func sendAndDeliver() { if let sent = self.send() { self.deliver(sent) } }

  /// Sent now, kept for later: it arrives by one of the others.
  private mutating func deliverLater() {
    for _ in 0..<Int.random(in: 1...40, using: &self.random) { _ = self.send() }
  }

  private mutating func deliverOld() {
    guard let sent = self.recent.randomElement(using: &self.random) else { return }
    self.deliver(sent)
  }

  private mutating func deliverReplay() {
    guard let sent = self.recent.last else { return }
    self.census.replays += 1
    self.deliver(sent)
    self.deliver(sent)
  }

  private mutating func deliverCorrupted() {
    guard var sent = self.send() else { return }
    let place = Int.random(in: sent.bytes.indices, using: &self.random)
    sent.bytes[place] ^= UInt8.random(in: 1...255, using: &self.random)
    self.census.corrupted += 1
    self.deliver(sent)
  }

  private mutating func deliverShort() {
    guard var sent = self.send() else { return }
    sent.bytes.removeLast(Int.random(in: 1...sent.bytes.count, using: &self.random))
    self.census.cutShort += 1
    self.deliver(sent)
  }

  private mutating func deliver(_ sent: Sent) {
    let ours = self.inbound.ours.received(sent.bytes, isRTCP: sent.isRTCP)
    let theirs = self.inbound.theirs.received(sent.bytes, isRTCP: sent.isRTCP)
    self.compare(ours, theirs, "received", isRTCP: sent.isRTCP, sent.index)
    self.census.packets += 1
    self.census.verdicts["\(ours.result)", default: 0] += 1
    if sent.isRTCP {
      self.census.control += 1
      return
    }
    if (sent.index + 512) & 0xFFFF < 1024 { self.census.nearWrap += 1 }
    let before = self.highest[sent.source] ?? sent.index
    if before - sent.index >= self.windows.ours { self.census.pastWindow += 1 }
    if sent.index < before, before - sent.index < self.windows.ours { self.census.reordered += 1 }
    if case .ok = ours.result { self.highest[sent.source] = max(before, sent.index) }
  }

  private mutating func compare(_ ours: Outcome, _ theirs: Outcome, _ way: String, isRTCP: Bool, _ index: Int) {
    // What is left of a packet that failed is undefined.
    guard ours.result != theirs.result || (ours.result == .ok && ours.bytes != theirs.bytes) else { return }
    self.differences.append(
      "\(way) \(isRTCP ? "SRTCP" : "SRTP") \(index), packet \(self.census.packets), \(self.profile.rawValue), window "
        + "\(self.windows): ours \(ours.result) \(ours.bytes.count), theirs \(theirs.result) \(theirs.bytes.count)")
  }

  // MARK: Keys and streams

  private mutating func changeKey() throws {
    self.keyNumber += 1000
    let material = try key(self.keyNumber, self.profile, identifier: self.identifier)
    try self.outbound.ours.update(material)
    try self.outbound.theirs.update(material)
    self.inbound = try Receivers(material, theirs: material, self.windows)
    self.highest = [:]
    // Some of what was sent under the old key still comes, and is refused.
    self.recent.removeFirst(self.recent.count * 3 / 4)
    self.census.keyChanges += 1
    // The new contexts are told where each SSRC is, as `InboundKeys` tells them.
    for source in self.sources { self.expect(UInt32(truncatingIfNeeded: source.next >> 16), of: source.ssrc) }
  }

  private mutating func setRolloverCounter() {
    guard let source = self.sources.randomElement(using: &self.random) else { return }
    let counter = max(0, source.next >> 16 + Int.random(in: -1...1, using: &self.random))
    self.expect(UInt32(truncatingIfNeeded: counter), of: source.ssrc)
  }

  private mutating func expect(_ rolloverCounter: UInt32, of ssrc: UInt32) {
    guard let material = try? key(self.keyNumber, self.profile, identifier: self.identifier) else { return }
    let ours = self.inbound.ours.expect(rolloverCounter: rolloverCounter, of: ssrc, material)
    let theirs = self.inbound.theirs.expect(rolloverCounter: rolloverCounter, of: ssrc, material)
    guard ours != theirs else { return }
    self.differences.append("expect \(rolloverCounter) of \(ssrc): ours \(ours), theirs \(theirs)")
  }

  private mutating func forget() {
    guard let source = self.sources.randomElement(using: &self.random) else { return }
    self.inbound.ours.forget(ssrc: source.ssrc)
    self.inbound.theirs.forget(ssrc: source.ssrc)
    self.highest[Int(source.ssrc)] = nil
  }
}
