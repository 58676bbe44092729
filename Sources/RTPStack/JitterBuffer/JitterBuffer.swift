package import NetBase

/// Orders the packets of one source and hands each out at its time, driven by the RTP timestamps.
///
/// The caller keeps a queue of decoded samples and calls `pop` whenever it needs more; every answer says how many samples
/// (timestamp units) it stands for, and the caller plays exactly these. So the remote packets may have any duration.
/// Nothing allocates per packet. The transport that receives owns the buffer.
package struct JitterBuffer: ~Copyable {
  /// What became of a packet.
  package enum InsertResult: Equatable, Sendable {
    /// Kept until its time.
    case queued
    /// Dropped: its time has passed.
    case late
    /// Dropped: it was there before.
    case duplicate
    /// Dropped: no room.
    case overflow
    /// Kept, and the source or its sequence restarted: reset the decoder.
    case reset
  }

  /// A packet that was handed out.
  package struct PlayedPacket: Equatable, Sendable {
    package var sequenceNumber: UInt16
    package var timestamp: UInt32
    package var payloadType: UInt8
    package var marker: Bool
  }

  /// What to play next.
  package enum Pop: Equatable, Sendable {
    /// Decode `payload`; tell `decoded(samples:)` how long it was when that may differ from the packet before.
    case packet(PlayedPacket)
    /// A packet is lost: conceal `samples`, with `followingPayload` when that is there (in-band FEC).
    case missing(samples: Int)
    /// Nothing came in time, or the delay is being raised: conceal `samples`.
    case conceal(samples: Int)
    /// The sender paused: play `samples` of silence or comfort noise.
    case silence(samples: Int)
    /// The delay at the start is being filled: play silence for one tick and ask again.
    case buffering
    /// No stream, or none for a second: play silence for one tick and ask again.
    case empty
  }

  enum State { case idle, buffering, playing, paused }

  // What every packet touches comes first.
  var state = State.idle
  let mode: JitterMode
  let clock: MediaClock
  let largestPayload: Int
  let minimum: Int64
  let maximum: Int64
  var slots: PacketSlots

  // The receiving end: the newest packet in sequence.
  var ssrc: UInt32 = 0
  var highest: Int64 = 0
  var window = SequenceWindow()
  var newestTimestamp: UInt32 = 0
  var newestMedia: Int64 = 0
  var newestArrival: Int64 = 0
  var suspectNext: UInt16?
  /// Samples in a packet: the step of the timestamp seen twice in a row.
  var duration: Int64
  var durationCandidate: Int64

  // The playing end.
  /// The media time that is due next.
  var position: Int64 = 0
  /// Everything up to this sequence number is played, dropped or given up.
  var floor: Int64 = 0
  /// The oldest packet held, while any is.
  var lowest: Int64 = 0
  var lastPlayed: Int64?
  /// Samples concealed since the last packet, because nothing was there.
  var starved: Int64 = 0
  var lateSince: Int64?
  var lastAdjustment: Int64 = 0
  /// Without delay: the fewest packets that were there at a `pop` since the last adjustment.
  var leastHeld = Int.max
  var hasFollowing = false
  var concealedInGap = 0

  package internal(set) var statistics = JitterBufferStatistics()
  var delays: DelayEstimate

  /// A buffer of `slotCount` packets. Payload room begins at `payloadCapacity` bytes each and grows to `largestPayload` at
  /// most. `packetSamples` is the expected duration of a packet; it is corrected from the timestamps.
  package init(
    mode: JitterMode, clockRate: Int, packetSamples: Int, slotCount: Int = 50, payloadCapacity: Int = 256,
    largestPayload: Int = 2048, start: Instant
  ) {
    precondition(slotCount > 1 && slotCount <= SequenceWindow.length, "2 to 128 slots")
    precondition(packetSamples > 0, "packets of some duration")
    self.mode = mode
    self.clock = MediaClock(rate: clockRate, origin: start)
    self.largestPayload = largestPayload
    self.slots = PacketSlots(count: slotCount, payloadCapacity: payloadCapacity, largestPayload: largestPayload)
    self.duration = Int64(packetSamples)
    self.durationCandidate = Int64(packetSamples)
    switch mode {
    case .off: (self.minimum, self.maximum) = (0, Int64(clockRate) * 3600)
    case .fixed(let range), .adaptive(let range):
      self.minimum = self.clock.samples(milliseconds: max(range.lowerBound, 0))
      self.maximum = self.clock.samples(milliseconds: max(range.upperBound, 0))
    }
    self.delays = DelayEstimate(longest: min(self.maximum, Int64(clockRate)), period: 5 * Int64(clockRate))
  }

  /// The payload of the packet that the last `pop` handed out; until the next `pop` or `insert`. It borrows the buffer: where
  /// one struct owns buffer and decoder, hand both to a static function (`borrowing`, `inout`), and no copy is needed.
  package var payload: RawSpan {
    @_lifetime(borrow self)
    get { self.slots.payload(of: self.lastPlayed ?? 0) }
  }

  /// After `.missing`: the payload of the packet right after the missing one, when it is here.
  package var followingPayload: RawSpan? {
    @_lifetime(borrow self)
    get { self.hasFollowing ? self.slots.payload(of: self.lowest) : nil }
  }

  /// Packets that wait.
  package var held: Int { self.slots.held }

  /// Bytes that the buffer has reserved.
  package var footprint: Int { self.slots.footprint }

  /// The delay aimed at, in milliseconds.
  package var targetDelay: Double { self.clock.milliseconds(self.target) }

  /// The delay at `now` that the fastest packets have, in milliseconds; zero while nothing plays.
  package func delay(at now: Instant) -> Double {
    switch self.state {
    case .playing: self.clock.milliseconds(max(self.delay(self.clock.samples(at: now)), 0))
    case .idle, .buffering, .paused: 0
    }
  }

  /// Corrects the duration of the packet that was handed out last, once the decoder knows it; before the next `insert`.
  package mutating func decoded(samples: Int) {
    guard let sequence = self.lastPlayed, samples > 0 else { return }
    self.position = self.slots.media(of: sequence) + Int64(samples)
  }

  /// Forgets the stream, as for a new source; packets that wait are counted as flushed.
  package mutating func reset() {
    self.statistics.flushed += UInt64(self.slots.held)
    while self.slots.held > 0 { self.removeLowest() }
    self.state = .idle
    (self.suspectNext, self.lastPlayed, self.lateSince, self.hasFollowing) = (nil, nil, nil, false)
  }

  /// Never more than the slots hold: the oldest packet would be dropped before its time comes.
  var target: Int64 {
    let wanted =
      switch self.mode {
      case .off, .fixed: self.minimum
      case .adaptive: min(max(self.delays.wantedDelay + self.duration / 2, self.minimum), self.maximum)
      }
    return min(wanted, Int64(self.slots.count - 1) * self.duration)
  }

  var isTimed: Bool {
    switch self.mode {
    case .off: false
    case .fixed, .adaptive: true
    }
  }

  /// The playout delay of the fastest packets, were the position played at `clock`.
  func delay(_ clock: Int64) -> Int64 { clock - self.delays.leastTransit - self.position }

  /// Takes the oldest packet away and finds the next one.
  mutating func removeLowest() {
    self.slots.remove(self.lowest)
    self.floor = max(self.floor, self.lowest)
    (self.hasFollowing, self.concealedInGap) = (false, 0)
    guard self.slots.held > 0 else { return }
    repeat { self.lowest += 1 } while !self.slots.holds(self.lowest)
  }
}
