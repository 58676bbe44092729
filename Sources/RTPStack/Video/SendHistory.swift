package import NetBase

/// The packets that were sent last, for a peer that asks for one again (RFC 4585 §6.2.1, RFC 4588).
///
/// Every call costs the same bounded work, and nothing is allocated after the first packets. The transport that sends owns it.
package struct SendHistory: ~Copyable {
  /// Counters since it was made.
  package struct Statistics: Equatable, Sendable {
    /// Packets kept, and packets that were too long to be kept.
    package fileprivate(set) var stored: UInt64 = 0
    package fileprivate(set) var tooLong: UInt64 = 0
    /// Requests that were granted, that came too soon after the last for the same packet, and for packets that are no longer here.
    package fileprivate(set) var resent: UInt64 = 0
    package fileprivate(set) var tooSoon: UInt64 = 0
    package fileprivate(set) var unknown: UInt64 = 0
    /// Requests above one for each packet that was sent: a few bytes of a peer's must not make us send for ever.
    package fileprivate(set) var tooMany: UInt64 = 0

    /// Requests that were not granted.
    package var refused: UInt64 { self.tooSoon + self.unknown + self.tooMany }
  }

  /// The longest packet that is kept, in bytes.
  package static let longestPacket = 1500
  /// Nobody waits for a packet that is older.
  package static let longestAge = Duration.seconds(2)
  /// The least time between two resends of a packet.
  package static let leastInterval = Duration.milliseconds(20)

  private struct Entry {
    var sequence: UInt16
    var sent: Instant
    var resent: Instant?
  }

  package private(set) var statistics = Statistics()
  private var entries: [Entry?]
  private var slab: PacketSlab
  /// Resends that are left: each packet brings one, and there are never more than packets kept.
  private var allowance: Int

  /// Keeps the last `capacity` packets, a power of two: numbers wrap at one.
  package init(capacity: Int = 512) {
    precondition(
      capacity > 0 && capacity <= 0x8000 && capacity & (capacity - 1) == 0, "a capacity that is a power of two")
    self.entries = [Entry?](repeating: nil, count: capacity)
    self.allowance = capacity
    self.slab = PacketSlab(count: capacity, longest: Self.longestPacket)
  }

  /// Keeps a whole packet, as it was before it was protected, in the place of the oldest.
  package mutating func store(sequence: UInt16, _ packet: RawSpan, now: Instant) {
    let index = self.index(of: sequence)
    guard packet.byteCount <= Self.longestPacket else {
      self.statistics.tooLong += 1
      self.entries[index] = nil
      return
    }
    self.statistics.stored += 1
    self.allowance = min(self.allowance + 1, self.entries.count)
    self.entries[index] = Entry(sequence: sequence, sent: now)
    self.slab.store(packet, at: index)
  }

  /// The packet of this number; nil when it is no longer here.
  @_lifetime(borrow self)
  package func packet(_ sequence: UInt16) -> RawSpan? {
    let index = self.index(of: sequence)
    guard self.entries[index]?.sequence == sequence else { return nil }
    return self.slab.packet(at: index)
  }

  /// Whether the packet of this number may be sent again now, which is counted as done: it is here, not too old, and its last
  /// resend is `max(20 ms, roundTrip)` ago; and no more are than were stored, but for a first `capacity`.
  package mutating func mayResend(_ sequence: UInt16, now: Instant, roundTrip: Duration?) -> Bool {
    let index = self.index(of: sequence)
    guard let entry = self.entries[index], entry.sequence == sequence, now <= entry.sent.advanced(by: Self.longestAge)
    else {
      self.statistics.unknown += 1
      return false
    }
    let interval = max(Self.leastInterval, roundTrip ?? .zero)
    if let resent = entry.resent, now < resent.advanced(by: interval) {
      self.statistics.tooSoon += 1
      return false
    }
    guard self.allowance > 0 else {
      self.statistics.tooMany += 1
      return false
    }
    self.allowance -= 1
    self.entries[index]?.resent = now
    self.statistics.resent += 1
    return true
  }

  private func index(of sequence: UInt16) -> Int { Int(sequence) & (self.entries.count - 1) }
}
