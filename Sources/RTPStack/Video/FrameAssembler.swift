package import NetBase

/// A frame whose packets are all there.
package struct AssembledFrame: Equatable, Sendable {
  package let timestamp: UInt32
  package let isKeyFrame: Bool
  /// Its packets' extended sequence numbers. Padding between them has a number too, and an empty payload.
  package let sequences: ClosedRange<Int64>
}

/// Puts the packets of one video stream in order, and tells which frames are complete and can be decoded after those before them.
///
/// A frame is a run of packets with one timestamp, up to a marker or another timestamp. Its first packet is known by the frame
/// that ends before it, or by what the codec says. Before the first key frame, and behind a gap that was given up, frames are
/// discarded until a key frame comes.
///
/// After `insert` and `timeout` call `nextFrame` until it has none, then `takeMissing` and `takeKeyFrameRequest`. A packet costs
/// bounded work, whatever its number is, and nothing is allocated after the first frames. The transport that receives owns it;
/// `RTPReceiver` judges the packets first, and a restart or another source is a `reset`.
package struct FrameAssembler: ~Copyable {
  /// The longest payload that is taken, in bytes.
  package static let longestPayload = 2048
  /// How long a packet that nobody asks for may be reordered.
  package static let reorderingTime = Duration.milliseconds(60)

  /// Whether lost packets will be asked for (generic NACK). Without, a gap is given up after the time for reordering.
  package var asksForLost = false
  package internal(set) var statistics = FrameAssemblerStatistics()

  /// What is known of a sequence number, from `first` to `highest`.
  enum Place {
    case held(Held)
    case missing(Missing)
    /// Given up.
    case lost
  }

  struct Held {
    var timestamp: UInt32
    var isPadding: Bool
    var hasMarker: Bool
    var beginsFrame: Bool
    var isOfKeyFrame: Bool
  }

  struct Missing {
    /// When a later packet showed that it is missing.
    var since: Instant
    var lastAsked: Instant
    var timesAsked = 0
  }

  /// A frame whose end was not seen yet.
  struct Partial {
    var timestamp: UInt32
    var isStartKnown: Bool
    var isKeyFrame = false
    var first: Int64
    var last: Int64
  }

  let capacity: Int
  let patience: Duration
  private var places: [Place]
  private var slab: PacketSlab

  var hasBegun = false
  /// Until when a frame whose beginning is not known may just be reordered: the stream's first packets are. Nil once one
  /// is known to begin, or was discarded.
  var beginning: Instant?
  /// The first number that belongs to no frame that was delivered or discarded; all from here to `highest` have a place.
  var first: Int64 = 0
  /// The next number that `nextFrame` looks at.
  var cursor: Int64 = 0
  /// The first missing number; one above `highest` without any.
  var firstMissing: Int64 = 0
  var highest: Int64 = 0
  var missingCount = 0
  /// Payloads are kept from the first frame that was not released to the end of the last that was delivered.
  var released: Int64 = 0
  var deliveredEnd: Int64 = 0

  var partial: Partial?
  /// Whether a frame ends right before the cursor, so that the next begins with it.
  var followsFrame = false
  var needsKeyFrame = true
  /// The timestamp of the frame that was discarded last; nil when another was delivered since.
  var lastDiscarded: UInt32?
  /// The newest number that was given up.
  var lastLost: Int64 = -1
  /// The newest number that is of a key frame, and when a packet of one was heard last.
  var keyFrame: (sequence: Int64, heard: Instant)?
  var lastKeyFrameRequest: Instant?
  /// When a number is to be asked for, at the earliest.
  var nextAsk: Instant?
  /// When something happened last.
  var now = Instant(nanoseconds: .min)
  /// Deadlines up to here were told.
  var lastTimeout = Instant(nanoseconds: .min)

  /// Keeps `capacity` numbers, of which the longest frame has no more. A packet that was asked for is waited for as long as
  /// `patience`.
  package init(capacity: Int = 512, patience: Duration = .milliseconds(500)) {
    precondition((1...0x4000).contains(capacity), "a capacity that a sequence number can tell from an old one")
    (self.capacity, self.patience) = (capacity, patience)
    self.places = [Place](repeating: .lost, count: capacity)
    self.slab = PacketSlab(count: capacity, longest: Self.longestPayload)
  }

  /// Takes a packet when it comes. An empty payload is padding: it fills its number, and is of no frame; its marker
  /// ends the frame of its timestamp.
  package mutating func insert(
    _ header: RTPHeader, payload: RawSpan, beginsFrame: Bool, isOfKeyFrame: Bool, now: Instant
  ) {
    guard payload.byteCount <= Self.longestPayload else {
      self.statistics.refused += 1
      return
    }
    self.now = now
    guard let sequence = self.place(for: header.sequenceNumber, now: now) else { return }
    self[sequence] = .held(
      Held(
        timestamp: header.timestamp, isPadding: payload.isEmpty, hasMarker: header.marker, beginsFrame: beginsFrame,
        isOfKeyFrame: isOfKeyFrame))
    self.slab.store(payload, at: self.index(of: sequence))
    if beginsFrame, sequence == self.first { self.beginning = nil }
    if isOfKeyFrame { self.keyFrame = (max(sequence, self.keyFrame?.sequence ?? sequence), now) }
    self.passHeld()
  }

  /// Whether a number is missing, and still waited for.
  package func isMissing(_ number: UInt16) -> Bool {
    let sequence = self.highest + Int64(Int16(bitPattern: number &- UInt16(truncatingIfNeeded: self.highest)))
    guard self.hasBegun, sequence >= self.first, sequence <= self.highest else { return false }
    return if case .missing = self[sequence] { true } else { false }
  }

  /// The payload of a packet of a frame that was delivered and not released; empty for any other.
  @_lifetime(borrow self)
  package func payload(of sequence: Int64) -> RawSpan {
    let packet = self.slab.packet(at: self.index(of: max(sequence, 0)))
    return sequence >= self.released && sequence < self.deliveredEnd ? packet : packet.extracting(0..<0)
  }

  /// Forgets the stream, for another source or a restart; what was counted stays.
  package mutating func reset() {
    self.statistics.lostPackets += UInt64(self.missingCount)
    self.hasBegun = false
    self.begin(at: self.highest)
    self.lastKeyFrameRequest = nil
  }

  subscript(sequence: Int64) -> Place {
    get { self.places[self.index(of: sequence)] }
    set { self.places[self.index(of: sequence)] = newValue }
  }

  /// Moves `firstMissing` over what is held or given up.
  mutating func passHeld() {
    while self.firstMissing <= self.highest {
      if case .missing = self[self.firstMissing] { return }
      self.firstMissing += 1
    }
  }

  private func index(of sequence: Int64) -> Int { Int(sequence % Int64(self.capacity)) }

  /// The extended sequence number of a packet that is of use, its gap to the others noted; nil for one that is counted and dropped.
  private mutating func place(for number: UInt16, now: Instant) -> Int64? {
    guard self.hasBegun else {
      // Above all that went before, so that a frame from before a reset has none of the new numbers.
      self.begin(at: (self.highest >> 16 + 2) << 16 + Int64(number))
      (self.hasBegun, self.beginning) = (true, now.advanced(by: Self.reorderingTime))
      return self.highest
    }
    let step = Int64(Int16(bitPattern: number &- UInt16(truncatingIfNeeded: self.highest)))
    let sequence = self.highest + step
    if step > Int64(self.capacity) {
      self.statistics.lostPackets += UInt64(self.missingCount)
      self.statistics.restarts += 1
      self.begin(at: sequence)
      return sequence
    }
    if step > 0 { return self.advance(to: sequence, now: now) }
    if sequence < self.first { return self.goBack(to: sequence, now: now) }
    switch self[sequence] {
    case .held:
      self.statistics.duplicates += 1
      return nil
    case .lost:
      self.statistics.latePackets += 1
      return nil
    case .missing(let missing):
      if missing.timesAsked > 0 { self.statistics.recovered += 1 }
      self.missingCount -= 1
      return sequence
    }
  }

  private mutating func advance(to sequence: Int64, now: Instant) -> Int64? {
    let oldest = self.released < self.deliveredEnd ? self.released : self.first
    guard sequence - oldest < Int64(self.capacity) else {
      self.statistics.refused += 1
      return nil
    }
    self.miss(self.highest + 1..<sequence, now: now)
    self.highest = sequence
    return sequence
  }

  /// Before any frame was delivered or discarded, the first packets may have been reordered: the stream begins with an older one,
  /// unless a frame is known to begin where it did so far.
  private mutating func goBack(to sequence: Int64, now: Instant) -> Int64? {
    guard !self.followsFrame, self.first == self.deliveredEnd, self.highest - sequence < Int64(self.capacity),
      case .held(let held) = self[self.first], !held.beginsFrame
    else {
      self.statistics.latePackets += 1
      return nil
    }
    self.miss(sequence + 1..<self.first, now: now)
    (self.first, self.cursor, self.firstMissing, self.partial) = (sequence, sequence, sequence, nil)
    (self.released, self.deliveredEnd) = (sequence, sequence)
    return sequence
  }

  private mutating func miss(_ sequences: Range<Int64>, now: Instant) {
    guard !sequences.isEmpty else { return }
    if self.missingCount == 0 { self.nextAsk = nil }
    for sequence in sequences { self[sequence] = .missing(Missing(since: now, lastAsked: now)) }
    self.missingCount += sequences.count
    self.noteMissing(now: now)
  }

  /// Begins with `sequence`, and waits for a key frame.
  private mutating func begin(at sequence: Int64) {
    (self.first, self.cursor, self.firstMissing, self.highest) = (sequence, sequence, sequence, sequence)
    (self.released, self.deliveredEnd, self.lastLost) = (sequence, sequence, sequence - 1)
    (self.missingCount, self.nextAsk, self.partial, self.keyFrame) = (0, nil, nil, nil)
    (self.followsFrame, self.needsKeyFrame, self.beginning, self.lastDiscarded) = (false, true, nil, nil)
  }
}
