package import NetBase

/// The receiving half of one synchronisation source: validates sequence numbers, counts loss, duplicates and reordering,
/// and estimates jitter (RFC 3550 §6.4.1, A.1, A.3, A.8).
///
/// Every packet costs the same bounded work, whatever its numbers are. The transport that receives owns it.
package struct RTPReceiver: Sendable {
  /// What to do with a packet.
  package enum Verdict: Equatable, Sendable {
    /// In order, or reordered within reason: play it.
    case accepted
    /// A sequence number that was heard before: drop it.
    case duplicate
    /// Too far from the others to be trusted alone, or in probation: drop it; the next one decides.
    case suspect
    /// The source restarted its sequence numbers: clear the jitter buffer, then play it.
    case restarted
    /// A new SSRC took over: clear the jitter buffer and everything else that belongs to the source, then play it.
    case changedSource
  }

  /// Jumps forward up to this many are loss (RFC 3550 A.1, MAX_DROPOUT).
  package static let maximumDropout = 3000
  /// Packets up to this far back are reordered (A.1, MAX_MISORDER), where nothing is asked for again.
  package static let maximumMisorder = 100

  // What every packet touches comes first.
  /// The source that is heard; nil before its first packet.
  package private(set) var ssrc: UInt32?
  private var lastTimestamp: UInt32 = 0
  /// Packets and payload bytes accepted since the start, over all sources.
  package private(set) var packets: UInt64 = 0
  package private(set) var octets: UInt64 = 0
  /// Accepted packets that came after a later one.
  package private(set) var reordered: UInt64 = 0
  /// When the last accepted packet came.
  package private(set) var lastHeard: Instant?
  private var transit: Int64?
  /// Jitter in timestamp units, times 16 (A.8).
  private var scaledJitter: UInt64 = 0
  private var clock: MediaClock
  private var sequence = SequenceState(first: 0)
  private var candidate: Candidate?

  /// Packets that came before, and those refused as suspect.
  package private(set) var duplicates: UInt64 = 0
  package private(set) var suspects: UInt64 = 0
  private let probationLength: Int
  private let misorder: Int
  private var lostBefore: Int64 = 0

  /// A receiver for a stream of `clockRate`. `probation` is how many packets in sequence must come before the first is
  /// accepted (A.1, MIN_SEQUENTIAL less one); 0 suits a source that signalling or SRTP vouches for. `misorder` is how far
  /// back a packet is not suspect: further than usual where lost packets are sent again.
  package init(clockRate: Int, probation: Int = 0, misorder: Int = RTPReceiver.maximumMisorder) {
    self.clock = MediaClock(rate: clockRate, origin: Instant(nanoseconds: 0))
    self.probationLength = probation
    self.misorder = misorder
  }

  /// Judges a packet that was authenticated, if the stream has authentication, and counts it.
  ///
  /// - Parameter isMissing: whether the caller knows that it did not come yet. Only the last 128 numbers are known here; an
  ///   older one is a duplicate without this.
  package mutating func receive(_ header: RTPHeader, now: Instant, isMissing: Bool = false) -> Verdict {
    let verdict = self.place(header, isMissing: isMissing)
    switch verdict {
    case .accepted, .restarted, .changedSource: self.count(header, now: now)
    case .duplicate: self.duplicates += 1
    case .suspect: self.suspects += 1
    }
    return verdict
  }

  /// Judges a packet of the present source whose payload nobody here understands. Its number is not lost (A.3); nothing else
  /// is counted. Nil where it is another source's, which it does not begin.
  package mutating func pass(_ header: RTPHeader) -> Verdict? {
    guard header.ssrc == self.ssrc else { return nil }
    return self.place(header)
  }

  private mutating func place(_ header: RTPHeader, isMissing: Bool = false) -> Verdict {
    guard let ssrc = self.ssrc else {
      guard self.probationLength == 0 || self.confirms(header, after: self.probationLength) else { return .suspect }
      self.start(header)
      return .accepted
    }
    guard header.ssrc == ssrc else {
      // Two packets in sequence, with none of the old source between them, move the stream to a new source.
      guard self.confirms(header, after: 1) else { return .suspect }
      self.start(header)
      return .changedSource
    }
    let step = Int(header.sequenceNumber &- self.sequence.highestNumber)
    if step == 0 {
      self.candidate = nil
      return .duplicate
    }
    if step < Self.maximumDropout {
      self.candidate = nil
      self.sequence.advance(by: step)
      return .accepted
    }
    let age = 0x10000 - step
    if age <= self.misorder {
      self.candidate = nil
      guard age < SequenceWindow.length || isMissing, self.sequence.fill(age: age) else { return .duplicate }
      self.reordered += 1
      return .accepted
    }
    guard self.confirms(header, after: 1) else { return .suspect }
    self.start(header)
    return .restarted
  }

  /// Changes the clock rate with the codec; the jitter estimate starts again.
  package mutating func change(clockRate: Int) {
    guard Int64(clockRate) != self.clock.rate else { return }
    self.clock = MediaClock(rate: clockRate, origin: self.clock.origin)
    (self.transit, self.scaledJitter) = (nil, 0)
  }

  /// The highest sequence number with its rollovers above it (A.1); zero before the first packet.
  package var extendedHighest: UInt32 { UInt32(truncatingIfNeeded: self.sequence.highest) }

  /// How many packets of the present source were expected since its first (A.3).
  package var expected: Int64 { self.ssrc == nil ? 0 : self.sequence.expected }

  /// Packets lost over all sources: expected less received; duplicates do not count as received.
  package var lost: Int64 { self.lostBefore + (self.ssrc == nil ? 0 : self.sequence.lost) }

  /// Interarrival jitter in timestamp units (A.8).
  package var jitter: UInt32 { UInt32(clamping: self.scaledJitter >> 4) }

  /// Interarrival jitter in milliseconds.
  package var jitterInMilliseconds: Double { Double(self.scaledJitter) / 16 * 1000 / Double(self.clock.rate) }

  /// The report block about the present source, nil while there is none; begins a new interval for the fraction lost.
  /// The caller fills in the times of the last sender report.
  package mutating func takeReport() -> RTCPReportBlock? {
    guard let ssrc = self.ssrc else { return nil }
    return RTCPReportBlock(
      ssrc: ssrc, fractionLost: self.sequence.takeFractionLost(), cumulativeLost: Int32(clamping: self.sequence.lost),
      extendedHighest: self.extendedHighest, jitter: self.jitter, lastSenderReport: 0, delaySinceLastSenderReport: 0)
  }

  /// What was heard so far; `late` is the jitter buffer's count of packets that came too late to play.
  package func statistics(late: UInt64 = 0) -> ReceptionStatistics {
    ReceptionStatistics(
      packets: self.packets, octets: self.octets, lost: self.lost, late: late, duplicates: self.duplicates,
      reordered: self.reordered, jitter: self.jitterInMilliseconds)
  }

  private mutating func start(_ header: RTPHeader) {
    if self.ssrc != nil { self.lostBefore += self.sequence.lost }
    self.ssrc = header.ssrc
    self.sequence = SequenceState(first: header.sequenceNumber)
    (self.candidate, self.transit, self.scaledJitter) = (nil, nil, 0)
  }

  /// Whether `header` follows `length` packets in sequence that did not fit; remembers it if not. One candidate is kept.
  private mutating func confirms(_ header: RTPHeader, after length: Int) -> Bool {
    var heard = 0
    if let candidate = self.candidate, candidate.ssrc == header.ssrc, candidate.next == header.sequenceNumber {
      heard = candidate.heard
    }
    if heard >= length { return true }
    self.candidate = Candidate(ssrc: header.ssrc, next: header.sequenceNumber &+ 1, heard: heard + 1)
    return false
  }

  private mutating func count(_ header: RTPHeader, now: Instant) {
    self.packets += 1
    self.octets += UInt64(header.payload.count)
    self.lastHeard = now
    self.estimateJitter(header.timestamp, now: now)
  }

  private mutating func estimateJitter(_ timestamp: UInt32, now: Instant) {
    // Packets of one timestamp (telephone events) say nothing about the network's pace.
    if self.transit != nil, timestamp == self.lastTimestamp { return }
    let arrival = UInt32(truncatingIfNeeded: self.clock.samples(at: now))
    let transit = Int64(Int32(bitPattern: arrival &- timestamp))
    defer { (self.transit, self.lastTimestamp) = (transit, timestamp) }
    guard let before = self.transit else { return }
    let difference = Int64(Int32(truncatingIfNeeded: transit - before)).magnitude
    // Two seconds at once is a jump of the timestamp, not jitter.
    guard difference < UInt64(2 * self.clock.rate) else { return }
    self.scaledJitter = self.scaledJitter + difference - ((self.scaledJitter + 8) >> 4)
  }

  private struct Candidate: Sendable {
    var ssrc: UInt32
    var next: UInt16
    var heard: Int
  }
}

/// The sequence numbers of one source since it started (RFC 3550 A.1, A.3).
private struct SequenceState: Sendable {
  private var window = SequenceWindow()
  private(set) var highest: Int64
  private var received: Int64 = 1
  private var base: Int64
  private var prior: (expected: Int64, received: Int64) = (0, 0)

  init(first: UInt16) { (self.highest, self.base) = (Int64(first), Int64(first)) }

  var highestNumber: UInt16 { UInt16(truncatingIfNeeded: self.highest) }
  var expected: Int64 { self.highest - self.base + 1 }
  var lost: Int64 { self.expected - self.received }

  mutating func advance(by step: Int) {
    self.window.advance(by: step)
    self.highest += Int64(step)
    self.received += 1
  }

  /// Takes a reordered packet; false when it was there already.
  mutating func fill(age: Int) -> Bool {
    guard self.window.mark(age: age) else { return false }
    // One from before the first that was heard moves the start back: it was expected after all.
    self.base = min(self.base, self.highest - Int64(age))
    self.received += 1
    return true
  }

  mutating func takeFractionLost() -> UInt8 {
    let (expected, received) = (self.expected - self.prior.expected, self.received - self.prior.received)
    self.prior = (self.expected, self.received)
    let lost = expected - received
    guard expected > 0, lost > 0 else { return 0 }
    return UInt8(clamping: (lost << 8) / expected)
  }
}
