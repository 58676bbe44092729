package import NetBase

/// Packets that came before their key: at most 32, for at most 500 ms, to be tried again when the key is there.
///
/// The memory (64 KiB) is allocated when the first packet is parked, and given back once none is left.
package struct ParkedPackets: ~Copyable {
  /// Packets kept at once; one more is dropped.
  package static let capacity = 32
  /// How long a packet is worth trying again.
  package static let lifetime = Duration.milliseconds(500)
  /// Longest packet that is kept, in bytes.
  package static let maximumLength = 2048

  /// Packets that were parked in vain, by reason.
  package private(set) var counters = ParkingCounters()

  private struct Slot {
    var count: Int
    var source: SocketAddress
    var arrival: Instant
  }

  private var memory: [UInt8] = []
  /// Of the packet that came first, the others follow in a circle.
  private var first = 0
  private var slots: [Slot] = []

  package init() {}

  /// Packets waiting.
  package private(set) var count = 0

  /// When `timeout` wants to be called.
  package var nextDeadline: Instant? {
    self.count > 0 ? self.slots[self.first].arrival.advanced(by: Self.lifetime) : nil
  }

  /// Keeps a copy of `packet` as it came, with the address it came from.
  package mutating func park(_ packet: borrowing Packet, from source: SocketAddress, now: Instant) {
    self.timeout(now: now)
    guard packet.count <= Self.maximumLength else {
      self.counters.tooLong += 1
      return
    }
    guard self.count < Self.capacity else {
      self.counters.overflowed += 1
      return
    }
    if self.memory.isEmpty {
      self.memory = [UInt8](repeating: 0, count: Self.capacity * Self.maximumLength)
      let none = Slot(count: 0, source: source, arrival: now)
      self.slots = [Slot](repeating: none, count: Self.capacity)
    }
    let place = (self.first + self.count) % Self.capacity
    self.slots[place] = Slot(count: packet.count, source: source, arrival: now)
    var span = self.memory.mutableSpan
    var bytes = unsafe span.mutableBytes
    bytes.copy(packet.bytes, at: place * Self.maximumLength)
    self.count += 1
  }

  /// Hands every packet that is not too old to `body`, oldest first, with its source and when it came; forgets them all.
  package mutating func drain(now: Instant, body: (inout Packet, SocketAddress, Instant) -> Void) {
    self.timeout(now: now)
    let (slots, first, count) = (self.slots, self.first, self.count)
    var memory: [UInt8] = []
    swap(&memory, &self.memory)
    self.clear()
    var span = memory.mutableSpan
    var bytes = unsafe span.mutableBytes
    for offset in 0..<count {
      let place = (first + offset) % Self.capacity
      let start = place * Self.maximumLength
      let room = bytes._mutatingExtracting(start..<start + Self.maximumLength)
      var packet = Packet(storage: room, count: slots[place].count)
      body(&packet, slots[place].source, slots[place].arrival)
    }
  }

  /// Drops what is too old.
  package mutating func timeout(now: Instant) {
    while let deadline = self.nextDeadline, deadline <= now {
      self.first = (self.first + 1) % Self.capacity
      self.count -= 1
      self.counters.expired += 1
    }
    if self.count == 0 { self.clear() }
  }

  private mutating func clear() {
    (self.memory, self.slots, self.first, self.count) = ([], [], 0, 0)
  }
}

/// Why parked packets were given up.
package struct ParkingCounters: Equatable, Sendable {
  /// Their key did not come within 500 ms.
  package var expired = 0
  /// 32 were waiting already.
  package var overflowed = 0
  package var tooLong = 0

  package init() {}
}
