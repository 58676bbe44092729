internal import ModuleKit
internal import NetBase

/// The DTLS associations of one path: mostly one; while keys change the next one too, and for a while those before it.
///
/// Which of them a datagram is for is written in it (`KeyExchange.claims`); one that none claims is for none.
struct PathAssociations {
  private struct Entry {
    let exchange: any KeyExchange
    /// The components that have keys from it.
    var secured: Set<Component> = []
    /// Whether all that it is for have.
    var isComplete = false
    /// When it is let go; nil for the one in force and the next one.
    var end: Instant?
  }

  /// As many as there are generations of keys, and the next one.
  private static let maximum = 5
  /// One that was replaced is let go by then, whatever the peer does.
  private static let longestLinger: Int64 = 30_000

  /// Oldest first.
  private var entries: [Entry] = []
  /// What those that were let go have counted.
  private var gone = KeyExchangeCounters()

  /// The first one, or the next. A next one that has not secured everything yet goes on beside it: the peer may be done.
  mutating func add(_ exchange: any KeyExchange, now: Instant) {
    self.entries.append(Entry(exchange: exchange))
    self.endAllButCurrent(now: now)
    if self.entries.count > Self.maximum, let oldest = self.entries.firstIndex(where: { $0.end != nil }) {
      self.letGo(oldest)
    }
  }

  /// What the packet path asks; it counts no references.
  var isEmpty: Bool { self.entries.isEmpty }

  /// The one in force, or the first one, until it is.
  var current: (any KeyExchange)? { self.currentPlace.map { self.entries[$0].exchange } }

  /// Takes the place of `current` once it has secured all components.
  var next: (any KeyExchange)? {
    guard self.entries.count > 1, let last = self.entries.last, !last.isComplete else { return nil }
    return last.exchange
  }

  /// Whether keys are under way.
  var isHandshaking: Bool { self.entries.contains { !$0.isComplete } }

  /// Whether `exchange` follows another one on this path.
  func follows(_ exchange: any KeyExchange) -> Bool {
    self.entries.dropFirst().contains { $0.exchange === exchange }
  }

  /// The next one will not be.
  mutating func withdrawNext() { if self.next != nil { self.letGo(self.entries.count - 1) } }

  /// It failed.
  mutating func remove(_ exchange: any KeyExchange) {
    if let place = self.place(of: exchange) { self.letGo(place) }
  }

  /// Whose `datagram` is.
  func owner(of datagram: RawSpan) -> (any KeyExchange)? {
    // One that is alone takes what it is given.
    guard self.entries.count > 1 else { return self.entries.first?.exchange }
    return self.entries.last { $0.exchange.claims(datagram) }?.exchange
  }

  func hasSecured(_ component: Component, by exchange: any KeyExchange) -> Bool {
    self.place(of: exchange).map { self.entries[$0].secured.contains(component) } ?? false
  }

  /// Notes keys of `exchange`; false when the component has newer ones already. It is the one in force as soon as all of
  /// `components` have keys from it.
  mutating func secure(
    _ component: Component, by exchange: any KeyExchange, of components: [Component], now: Instant
  ) -> Bool {
    guard let place = self.place(of: exchange) else { return false }
    self.entries[place].secured.insert(component)
    self.entries[place].isComplete = components.allSatisfy { self.entries[place].secured.contains($0) }
    self.endAllButCurrent(now: now)
    return !self.entries[(place + 1)...].contains { $0.secured.contains(component) }
  }

  /// The peer uses the newest keys: what it has to say to former ones comes within `grace`.
  mutating func endFormer(within grace: Duration, now: Instant) {
    for place in self.entries.indices {
      if let end = self.entries[place].end { self.entries[place].end = min(end, now.advanced(by: grace)) }
    }
  }

  /// Lets former ones go whose time is over; true when there were any.
  mutating func timeout(now: Instant) -> Bool {
    let count = self.entries.count
    while let place = self.entries.firstIndex(where: { $0.end.map { $0 <= now } ?? false }) { self.letGo(place) }
    return self.entries.count < count
  }

  /// All that are there, the newest first.
  var all: [any KeyExchange] { self.entries.reversed().map(\.exchange) }

  var nextDeadline: Instant? {
    self.entries.reduce(nil) { next, entry in
      [entry.end, entry.exchange.nextDeadline].reduce(next) { next, deadline in
        deadline.map { min(next ?? $0, $0) } ?? next
      }
    }
  }

  var counters: KeyExchangeCounters { self.entries.reduce(into: self.gone) { $0.add($1.exchange.counters) } }

  private var currentPlace: Int? {
    self.entries.lastIndex { $0.isComplete } ?? self.entries.indices.first
  }

  private func place(of exchange: any KeyExchange) -> Int? { self.entries.firstIndex { $0.exchange === exchange } }

  /// What is neither in force nor the next one has an end.
  private mutating func endAllButCurrent(now: Instant) {
    let current = self.currentPlace
    for place in self.entries.indices where place != current && self.entries[place].end == nil {
      if place == self.entries.count - 1, !self.entries[place].isComplete { continue }
      self.entries[place].end = now.advanced(byMilliseconds: Self.longestLinger)
    }
    if let current { self.entries[current].end = nil }
  }

  private mutating func letGo(_ place: Int) { self.gone.add(self.entries.remove(at: place).exchange.counters) }
}
