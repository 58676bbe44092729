internal import NetBase

/// One key of the ring, and what was heard under it.
struct InboundGeneration: ~Copyable {
  // What every packet touches comes first.
  /// Whether a packet was authenticated since this key became the newest.
  var heard = false
  /// By position in the source table, as far as there was anything to note.
  private var marks = InlineFirst<Mark>()
  private var context: InboundSRTP
  private let continuity: SRTPContinuity
  /// When it goes out of use; nil for the newest.
  private(set) var retirement: Instant?
  /// Kept for SSRCs whose rollover counter has to be set; wiped with the generation.
  private let material: SRTPKeyMaterial

  /// How far one SSRC has come under this key.
  private struct Mark {
    /// Highest RTP index authenticated under this key.
    var highestIndex: UInt64?
    /// The first RTP index heard since this key became the newest: older keys open lower ones only.
    var firstIndex: UInt64?
    /// The same for SRTCP; nil also where the peer's SRTCP index started anew, so that nothing can be compared.
    var firstControlIndex: UInt32?
    var hasControl = false
  }

  /// How an attempt to read a packet under this key ended; with the RTP or SRTCP index when it opened.
  enum Opening {
    case opened(index: UInt64)
    case refused(SRTPResult)
  }

  init(
    _ material: consuming SRTPKeyMaterial, continuity: SRTPContinuity, replayWindow: Int, transform: SRTPTransform
  ) throws(SRTPError) {
    self.context = try InboundSRTP(material, replayWindow: replayWindow, transform: transform)
    self.material = material
    self.continuity = continuity
  }

  // MARK: Life

  func isKey(_ other: borrowing SRTPKeyMaterial) -> Bool { self.material.isSameKey(as: other) }

  /// The newest again, after others came: what older keys may open is told anew.
  mutating func renew() {
    (self.heard, self.retirement) = (false, nil)
    for position in self.marks.indices {
      (self.marks[position].firstIndex, self.marks[position].firstControlIndex) = (nil, nil)
      self.marks[position].hasControl = false
    }
  }

  /// Brings retirement forward, never back.
  mutating func retire(by instant: Instant) {
    if let retirement = self.retirement, retirement <= instant { return }
    self.retirement = instant
  }

  mutating func forget(ssrc: UInt32, at source: Int) {
    self.context.forget(ssrc: ssrc)
    if source < self.marks.count { self.marks[source] = Mark() }
  }

  mutating func adopt() { self.context.adopt() }

  consuming func releaseSession() -> SRTPSession { self.context.releaseSession() }

  // MARK: Packets

  /// Whether no RTP packet of this SSRC was heard under this key: one may need two attempts, at two rollover counters.
  func isUndecided(_ source: Int) -> Bool { self.mark(source).highestIndex == nil }

  /// Authenticates and decrypts in place. After a refusal the packet is as it was if `scratch` has it, else undefined.
  ///
  /// `carried` is the highest index of the SSRC under any key.
  mutating func open(
    _ packet: inout Packet, _ header: SecureHeader, isRTCP: Bool, source: Int?, carried: UInt64?,
    scratch: borrowing ScratchPacket
  ) -> Opening {
    if isRTCP {
      let index = UInt64(self.controlIndex(of: packet.bytes))
      return self.attempt(&packet, header, isRTCP: true, index: index, scratch: scratch)
    }
    if let source, let highest = self.mark(source).highestIndex {
      let index = PacketIndex.estimate(header.sequenceNumber, highest: highest)
      return self.attempt(&packet, header, isRTCP: false, index: index, scratch: scratch)
    }
    // Practice differs in whether a new key restarts the rollover counter, so both are tried until the first success.
    let restarted = UInt64(header.sequenceNumber)
    let continued = carried.map { PacketIndex.estimate(header.sequenceNumber, highest: $0) } ?? restarted
    guard continued != restarted else {
      return self.attempt(&packet, header, at: restarted, scratch: scratch)
    }
    let (first, second) =
      switch self.continuity {
      case .carryRollover: (continued, restarted)
      case .fresh: (restarted, continued)
      }
    if case .opened(let index) = self.attempt(&packet, header, at: first, scratch: scratch) {
      return .opened(index: index)
    }
    return self.attempt(&packet, header, at: second, scratch: scratch)
  }

  /// What can be told without the cipher; the packet is not touched.
  func refusal(of bytes: RawSpan, _ header: SecureHeader, isRTCP: Bool) -> SRTPResult? {
    self.context.refusal(of: bytes, header: header, isRTCP: isRTCP)
  }

  /// The SRTCP index, which the packet carries in the clear (RFC 3711 §3.4); 0 when it is too short to have one.
  func controlIndex(of bytes: RawSpan) -> UInt32 { (self.context.layout.controlWord(of: bytes) ?? 0) & 0x7FFF_FFFF }

  private mutating func attempt(
    _ packet: inout Packet, _ header: SecureHeader, at index: UInt64, scratch: borrowing ScratchPacket
  ) -> Opening {
    if let refusal = self.context.refusal(of: packet.bytes, header: header, isRTCP: false) { return .refused(refusal) }
    let rolloverCounter = PacketIndex.rolloverCounter(of: index)
    guard self.context.expect(rolloverCounter: rolloverCounter, of: header.ssrc, self.material) else {
      return .refused(.failed)
    }
    return self.attempt(&packet, header, isRTCP: false, index: index, scratch: scratch)
  }

  private mutating func attempt(
    _ packet: inout Packet, _ header: SecureHeader, isRTCP: Bool, index: UInt64, scratch: borrowing ScratchPacket
  ) -> Opening {
    switch self.context.unprotect(&packet, header: header, isRTCP: isRTCP) {
    case .ok: return .opened(index: index)
    case let refusal:
      scratch.restore(&packet)
      return .refused(refusal)
    }
  }

  // MARK: What was heard

  private func mark(_ source: Int) -> Mark { source < self.marks.count ? self.marks[source] : Mark() }

  private mutating func makeMark(_ source: Int) { while self.marks.count <= source { self.marks.append(Mark()) } }

  /// Notes an authenticated RTP packet and returns the highest index under this key.
  mutating func note(index: UInt64, at source: Int) -> UInt64 {
    self.makeMark(source)
    if self.marks[source].firstIndex == nil { self.marks[source].firstIndex = index }
    let highest = max(self.marks[source].highestIndex ?? index, index)
    self.marks[source].highestIndex = highest
    return highest
  }

  /// Notes an authenticated SRTCP packet; `known` is the highest index of the SSRC under any key before it.
  mutating func note(controlIndex: UInt32, at source: Int, known: UInt32?) {
    self.makeMark(source)
    guard !self.marks[source].hasControl else { return }
    self.marks[source].hasControl = true
    if known.map({ $0 < controlIndex }) ?? true { self.marks[source].firstControlIndex = controlIndex }
  }

  func hasHeard(_ source: Int, isRTCP: Bool) -> Bool {
    isRTCP ? self.mark(source).hasControl : self.mark(source).highestIndex != nil
  }

  /// Whether this key, being newer, forbids older ones to open a packet at this place.
  func supersedes(sequenceNumber: UInt16, at source: Int) -> Bool {
    guard let first = self.mark(source).firstIndex else { return false }
    return !PacketIndex.precedes(sequenceNumber, first)
  }

  /// The same for SRTCP.
  func supersedes(controlIndex: UInt32, at source: Int) -> Bool {
    guard let first = self.mark(source).firstControlIndex else { return false }
    return controlIndex >= first
  }
}
