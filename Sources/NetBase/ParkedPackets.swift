/// Packets that came before their key, or before it was known whose they are: at most 32, or as many as their owner says,
/// for at most 500 ms, to be tried again then.
///
/// Nobody knows yet who is the peer, so whoever floods takes no places from others. When all are taken, a packet of a host
/// that has fewer than another takes the place of that one's oldest, and so it is among the ports of one host: a host has
/// an N-th of the places where N send, whatever ports it sends from.
///
/// The memory (2 KiB a place) is allocated when the first packet is parked, and given back once none is left.
package struct ParkedPackets: ~Copyable {
  /// Packets kept at once, where nothing else is said.
  package static let capacity = 32
  /// How long a packet is worth trying again.
  package static let lifetime = Duration.milliseconds(500)
  /// Longest packet that is kept, in bytes.
  package static let maximumLength = 2048

  /// Packets that were parked in vain, by reason.
  package private(set) var counters = ParkingCounters()

  /// Packets kept at once; one more is dropped.
  private let capacity: Int

  private struct Slot {
    var count: Int
    var source: SocketAddress
    var arrival: Instant
    /// Which of `hosts` and of `ports` count it.
    var host: Int
    var port: Int
  }

  private var memory: [UInt8] = []
  private var slots: [Slot] = []
  /// Places of packets in the order in which they came, in a circle; those that are free follow.
  private var order: [Int] = []
  private var first = 0
  /// How many places each host has, and each address and port.
  private var hosts: [Int] = []
  private var ports: [Int] = []

  package init(capacity: Int = Self.capacity) { self.capacity = capacity }

  /// Packets waiting.
  package private(set) var count = 0

  /// When `timeout` wants to be called.
  package var nextDeadline: Instant? {
    self.count > 0 ? self.slots[self.order[self.first]].arrival.advanced(by: Self.lifetime) : nil
  }

  /// Keeps a copy of `packet` as it came, with the address it came from.
  package mutating func park(_ packet: borrowing Packet, from source: SocketAddress, now: Instant) {
    self.timeout(now: now)
    guard packet.count <= Self.maximumLength else {
      self.counters.tooLong += 1
      return
    }
    if self.memory.isEmpty {
      self.memory = [UInt8](repeating: 0, count: self.capacity * Self.maximumLength)
      let none = Slot(count: 0, source: source, arrival: now, host: 0, port: 0)
      self.slots = [Slot](repeating: none, count: self.capacity)
      self.order = Array(0..<self.capacity)
      self.hosts = [Int](repeating: 0, count: self.capacity)
      self.ports = self.hosts
    }
    if self.count == self.capacity {
      self.counters.overflowed += 1
      guard self.makeRoom(for: source) else { return }
    }
    let known = self.known(source)
    let host = known.host ?? self.hosts.firstIndex(of: 0) ?? 0
    let port = known.port ?? self.ports.firstIndex(of: 0) ?? 0
    self.hosts[host] += 1
    self.ports[port] += 1
    let place = self.place(self.count)
    self.slots[place] = Slot(count: packet.count, source: source, arrival: now, host: host, port: port)
    var span = self.memory.mutableSpan
    var bytes = unsafe span.mutableBytes
    bytes.copy(packet.bytes, at: place * Self.maximumLength)
    self.count += 1
  }

  /// Hands every packet that is not too old to `body`, oldest first, with its source and when it came; forgets them all.
  package mutating func drain(now: Instant, body: (inout Packet, SocketAddress, Instant) -> Void) {
    self.timeout(now: now)
    let (slots, order, first, count) = (self.slots, self.order, self.first, self.count)
    var memory: [UInt8] = []
    swap(&memory, &self.memory)
    self.clear()
    var span = memory.mutableSpan
    var bytes = unsafe span.mutableBytes
    for offset in 0..<count {
      let place = order[(first + offset) % self.capacity]
      let start = place * Self.maximumLength
      let room = bytes._mutatingExtracting(start..<start + Self.maximumLength)
      var packet = Packet(storage: room, count: slots[place].count)
      body(&packet, slots[place].source, slots[place].arrival)
    }
  }

  /// Drops what is too old.
  package mutating func timeout(now: Instant) {
    while let deadline = self.nextDeadline, deadline <= now {
      self.release(self.place(0))
      self.first = (self.first + 1) % self.capacity
      self.counters.expired += 1
    }
    if self.count == 0 { self.clear() }
  }

  private mutating func clear() {
    (self.memory, self.slots, self.order, self.hosts, self.ports) = ([], [], [], [], [])
    (self.first, self.count) = (0, 0)
  }

  // MARK: Shares

  /// Where the packet lies that came as the `offset`-th of those that wait; behind them, a free place.
  private func place(_ offset: Int) -> Int { self.order[(self.first + offset) % self.capacity] }

  /// Who counts packets of `source`, where any waits.
  private func known(_ source: SocketAddress) -> (host: Int?, port: Int?) {
    var host: Int?
    for offset in 0..<self.count {
      let slot = self.slots[self.place(offset)]
      if slot.source == source { return (slot.host, slot.port) }
      if slot.source.isSameSite(as: source) { host = slot.host }
    }
    return (host, nil)
  }

  /// Gives up the oldest packet of who has most places; false where that is `source` itself.
  private mutating func makeRoom(for source: SocketAddress) -> Bool {
    let known = self.known(source)
    var host = 0
    for index in 0..<self.capacity where self.hosts[index] > self.hosts[host] { host = index }
    if let own = known.host, self.hosts[own] == self.hosts[host] { host = own }
    var victim = 0
    var most = 0
    for offset in 0..<self.count {
      let slot = self.slots[self.place(offset)]
      if slot.host == host, self.ports[slot.port] > most { (victim, most) = (offset, self.ports[slot.port]) }
    }
    if host == known.host, let own = known.port, self.ports[own] == most { return false }
    let place = self.place(victim)
    self.release(place)
    for offset in victim..<self.count { self.order[(self.first + offset) % self.capacity] = self.place(offset + 1) }
    self.order[(self.first + self.count) % self.capacity] = place
    return true
  }

  private mutating func release(_ place: Int) {
    self.hosts[self.slots[place].host] -= 1
    self.ports[self.slots[place].port] -= 1
    self.count -= 1
  }
}

extension SocketAddress {
  /// An IPv6 site has 2^64 addresses of its own, so their first half counts.
  fileprivate func isSameSite(as other: SocketAddress) -> Bool {
    self.family == other.family && self.high == other.high && (self.family == .ipv6 || self.low == other.low)
  }
}

/// Why parked packets were given up.
package struct ParkingCounters: Equatable, Sendable {
  /// Neither key nor owner came within 500 ms.
  package var expired = 0
  /// All places were taken already, and its source had most of them.
  package var overflowed = 0
  package var tooLong = 0

  package init() {}
}
