package import NetBase

/// Receive-side keys of one transport: a ring of at most four generations, so that a re-key loses no packet in flight.
///
/// Owned by the transport's executor; neither copyable nor `Sendable`. A generation goes out of use when the peer was
/// heard under a newer one and three round trips have passed (0.5 to 3 s), and at the latest 30 s after the newer one
/// was installed; packets under it are refused from then on.
package struct InboundKeys: ~Copyable {
  /// Generations that can be alive at once; one more puts the oldest out of use.
  package static let maximumGenerations = 4

  // What every packet touches comes first.
  /// To be set while a new key is expected: a packet that no key opens is then left as it came, fit to be parked.
  /// While several generations live, it always is.
  package var preservesFailures = false
  /// Whether a packet was authenticated under the newest generation.
  package private(set) var heard = false
  /// Generations alive.
  package private(set) var generationCount = 0
  /// When `timeout` wants to be called; `unprotect` keeps to it as well.
  package private(set) var nextDeadline: Instant?
  /// Place in the ring of the generation that worked last; 0 when none of them did.
  private var lastWorked = 0
  private var sources = SourceTable()
  private var scratch = ScratchPacket()
  package private(set) var counters = InboundCounters()
  /// Newest first, no gaps.
  private var ring: InlineArray<4, InboundGeneration?>

  /// The peer's round-trip time as RTCP measures it.
  package var roundTripTime: Duration = .milliseconds(200)
  private let replayWindow: Int
  private let transform: SRTPTransform
  private var retired: RetiredSRTP?

  /// `replayWindow` is 64 to 1024 packets; a value outside is refused when a key is installed.
  package init(replayWindow: Int = 128, transform: SRTPTransform = .standard) {
    self.replayWindow = replayWindow
    self.transform = transform
    self.ring = InlineArray { _ in nil }
  }

  /// Makes `material` the newest generation. On an error nothing has changed.
  ///
  /// A key that is alive already, for example after a rolled back re-key, becomes the newest again with its replay
  /// state; nothing changes when it is the newest.
  package mutating func install(
    _ material: consuming SRTPKeyMaterial, continuity: SRTPContinuity = .carryRollover, now: Instant
  ) throws(SRTPError) {
    self.timeout(now: now)
    if let place = self.place(of: material) {
      guard place > 0 else { return }
      self.moveToFront(place)
      self.ring[0]?.renew()
    } else {
      let generation = try InboundGeneration(
        material, continuity: continuity, replayWindow: self.replayWindow, transform: self.transform)
      if self.generationCount == Self.maximumGenerations {
        self.retireOldest()
        self.counters.displacedGenerations += 1
      }
      self.ring[self.generationCount] = consume generation
      self.generationCount += 1
      self.moveToFront(self.generationCount - 1)
    }
    self.heard = false
    if self.generationCount > 1 { self.ring[1]?.retire(by: now.advanced(by: .seconds(30))) }
    self.updateDeadline()
  }

  /// Adds a key that the peer sent under before the newest one: it came late, and packets under it are on their way. It goes
  /// out of use as if it had been there when the newest came, and no later than a key that is here already. Nothing changes
  /// when it is one of these, or when there is no room.
  package mutating func installFormer(_ material: consuming SRTPKeyMaterial, now: Instant) throws(SRTPError) {
    self.timeout(now: now)
    guard (1..<Self.maximumGenerations).contains(self.generationCount), self.place(of: material) == nil else { return }
    var generation = try InboundGeneration(
      material, continuity: .fresh, replayWindow: self.replayWindow, transform: self.transform)
    generation.retire(by: now.advanced(by: self.heard ? self.grace : .seconds(30)))
    // The last in the ring is retired first: those before it must not have to wait for it.
    if let earliest = self.ring[self.generationCount - 1]?.retirement { generation.retire(by: earliest) }
    self.ring[self.generationCount] = consume generation
    self.generationCount += 1
    self.updateDeadline()
  }

  /// How long packets under an old key may still come, once the peer was heard under a newer one.
  private var grace: Duration { min(max(self.roundTripTime * 3, .milliseconds(500)), .seconds(3)) }

  /// Authenticates and decrypts in place, trying the newest key first, then the one that worked last.
  ///
  /// Unless the result is `.ok` the packet is to be dropped (or parked, where it is left as it came).
  package mutating func unprotect(_ packet: inout Packet, isRTCP: Bool, now: Instant) -> SRTPResult {
    if let deadline = self.nextDeadline, deadline <= now { self.timeout(now: now) }
    let result = self.open(&packet, isRTCP: isRTCP, now: now)
    self.counters.add(result)
    return result
  }

  /// Puts out of use what is due.
  package mutating func timeout(now: Instant) {
    while let deadline = self.nextDeadline, deadline <= now {
      self.retireOldest()
      self.updateDeadline()
    }
  }

  /// Contexts that are out of use, to be freed on another executor (libsrtp2's take about 0.5 ms each); freed here if
  /// never taken.
  package mutating func takeRetired() -> RetiredSRTP? { self.retired.take() }

  /// Lets the next call come from another thread; debug builds trap otherwise.
  package mutating func adopt() {
    for place in 0..<self.generationCount { self.ring[place]?.adopt() }
  }

  // MARK: Packets

  private mutating func open(_ packet: inout Packet, isRTCP: Bool, now: Instant) -> SRTPResult {
    guard self.generationCount > 0 else { return .noKey }
    guard let header = SecureHeader(packet.bytes, isRTCP: isRTCP) else { return .malformed }
    let source = self.sources.position(of: header.ssrc)
    let carried = source.flatMap { self.sources.sources[$0].highestIndex }
    if self.mayFailFirst(source, carried: carried, isRTCP: isRTCP) {
      self.scratch.save(packet)
    } else {
      self.scratch.discard()
    }
    var verdict = SRTPResult.authenticationFailed
    for attempt in 0..<self.generationCount {
      let place = self.place(ofAttempt: attempt)
      if place > 0, let refusal = self.refusal(by: place, packet.bytes, header, isRTCP: isRTCP, source: source) {
        verdict.weigh(refusal, isFirst: false)
        continue
      }
      let opening = self.ring[place]?.open(
        &packet, header, isRTCP: isRTCP, source: source, carried: carried, scratch: self.scratch)
      switch opening {
      case .opened(let index):
        self.note(index, under: place, header.ssrc, isRTCP: isRTCP, source: source, now: now)
        return .ok
      case .refused(let refusal): verdict.weigh(refusal, isFirst: attempt == 0)
      case nil: break
      }
    }
    return verdict
  }

  /// Whether a packet that one attempt fails on is still of use, so that it has to be saved.
  private mutating func mayFailFirst(_ source: Int?, carried: UInt64?, isRTCP: Bool) -> Bool {
    if self.generationCount > 1 || self.preservesFailures { return true }
    guard let source, let carried, carried > 0x7FFF, !isRTCP else { return false }
    return self.ring[0]?.isUndecided(source) ?? false
  }

  /// Newest first, then the one that worked last, then the others by age.
  private func place(ofAttempt attempt: Int) -> Int {
    guard attempt > 0, attempt <= self.lastWorked else { return attempt }
    return attempt == 1 ? self.lastWorked : attempt - 1
  }

  /// Why an older key is out of the question: not its packet at all, or a newer key was heard at or before its index.
  private mutating func refusal(
    by place: Int, _ bytes: RawSpan, _ header: SecureHeader, isRTCP: Bool, source: Int?
  ) -> SRTPResult? {
    if let refusal = self.ring[place]?.refusal(of: bytes, header, isRTCP: isRTCP) { return refusal }
    guard let source else { return nil }
    let controlIndex = isRTCP ? self.ring[place]?.controlIndex(of: bytes) ?? 0 : 0
    for newer in 0..<place {
      let isLater =
        isRTCP
        ? self.ring[newer]?.supersedes(controlIndex: controlIndex, at: source)
        : self.ring[newer]?.supersedes(sequenceNumber: header.sequenceNumber, at: source)
      if isLater == true { return .supersededKey }
    }
    return nil
  }

  private mutating func note(
    _ index: UInt64, under place: Int, _ ssrc: UInt32, isRTCP: Bool, source known: Int?, now: Instant
  ) {
    let source = known ?? self.claimSource(ssrc, now: now)
    self.sources.heard(source, now: now)
    let isLeading = !self.isHeard(underNewerThan: place, source, isRTCP: isRTCP)
    if isRTCP {
      let controlIndex = UInt32(truncatingIfNeeded: index)
      let before = self.sources.sources[source].highestControlIndex
      self.ring[place]?.note(controlIndex: controlIndex, at: source, known: before)
      if isLeading { self.sources.set(highestControlIndex: max(before ?? 0, controlIndex), at: source) }
    } else if let highest = self.ring[place]?.note(index: index, at: source), isLeading {
      self.sources.set(highestIndex: highest, at: source)
    }
    self.lastWorked = place
    if place > 0 { self.counters.acceptedUnderOlderKey += 1 }
    if self.ring[place]?.heard == false { self.noteFirst(under: place, now: now) }
  }

  private mutating func isHeard(underNewerThan place: Int, _ source: Int, isRTCP: Bool) -> Bool {
    for newer in 0..<place where self.ring[newer]?.hasHeard(source, isRTCP: isRTCP) == true { return true }
    return false
  }

  /// The peer uses this key: those before it have three round trips left.
  private mutating func noteFirst(under place: Int, now: Instant) {
    self.ring[place]?.heard = true
    if place == 0 { self.heard = true }
    let grace = self.grace
    for older in (place + 1)..<max(self.generationCount, place + 1) {
      self.ring[older]?.retire(by: now.advanced(by: grace))
    }
    self.updateDeadline()
  }

  private mutating func claimSource(_ ssrc: UInt32, now: Instant) -> Int {
    let (position, evicted) = self.sources.claim(ssrc, now: now)
    if let evicted {
      for place in 0..<self.generationCount { self.ring[place]?.forget(ssrc: evicted, at: position) }
    }
    return position
  }

  // MARK: The ring

  private mutating func place(of material: borrowing SRTPKeyMaterial) -> Int? {
    for place in 0..<self.generationCount where self.ring[place]?.isKey(material) == true {
      return place
    }
    return nil
  }

  private mutating func moveToFront(_ place: Int) {
    var place = place
    while place > 0 {
      self.ring.swapAt(place, place - 1)
      place -= 1
    }
    self.lastWorked = 0
  }

  private mutating func retireOldest() {
    self.generationCount -= 1
    if let generation = self.ring[self.generationCount].take() {
      self.retired = RetiredSRTP(adding: generation.releaseSession(), to: self.retired.take())
    }
    if self.lastWorked >= self.generationCount { self.lastWorked = 0 }
    self.counters.retiredGenerations += 1
  }

  /// The oldest goes first: no key is retired before one that is older.
  private mutating func updateDeadline() {
    self.nextDeadline = self.generationCount > 1 ? self.ring[self.generationCount - 1]?.retirement : nil
  }
}

extension SRTPResult {
  /// Keeps what says most about the packet: a replay, then the newest key's word, then a refusal by age.
  fileprivate mutating func weigh(_ other: SRTPResult, isFirst: Bool) {
    switch (self, other) {
    case (.replayed, _): break
    case (_, .replayed): self = other
    case (.authenticationFailed, .supersededKey), (.unknownKeyIdentifier, _): self = other
    default: if isFirst { self = other }
    }
  }
}
