/// Counts what each host does within a window of time, in bounded memory.
package struct SourceLimiter {
  private struct Source: Hashable {
    var high: UInt64
    var low: UInt64
    var family: SocketAddress.Family

    /// An IPv6 site has 2^64 addresses of its own, so its first half counts.
    init(_ address: SocketAddress) {
      (self.high, self.low, self.family) = (address.high, address.family == .ipv6 ? 0 : address.low, address.family)
    }
  }

  private struct Window {
    var end: Instant
    var count: Int
  }

  private let limit: Int
  private let window: Duration
  private var sources: [Source: Window] = [:]
  /// The table is looked through once in a window at most, lest a flood from many addresses make it do nothing else.
  private var nextSweep = Instant(nanoseconds: 0)

  /// Hosts that are told apart; beyond that, those whose window has ended are forgotten, and newcomers share one count.
  package static let maximumSources = 4_096
  private var others = Window(end: Instant(nanoseconds: 0), count: 0)

  package init(limit: Int, window: Duration) { (self.limit, self.window) = (limit, window) }

  /// Hosts that are remembered at this moment.
  package var count: Int { self.sources.count }

  /// Whether one more is within the limit; it is counted either way.
  package mutating func allows(_ address: SocketAddress, _ now: Instant) -> Bool {
    self.note(address, now)
    return self.current(address, now) <= self.limit
  }

  /// Whether the limit is reached already; nothing is counted.
  package func isExhausted(_ address: SocketAddress, _ now: Instant) -> Bool {
    self.current(address, now) >= self.limit
  }

  package mutating func note(_ address: SocketAddress, _ now: Instant) {
    let source = Source(address)
    if self.sources[source] == nil, self.sources.count >= Self.maximumSources {
      if self.nextSweep <= now {
        self.sources = self.sources.filter { $0.value.end > now }
        self.nextSweep = now.advanced(by: self.window)
      }
      if self.sources.count >= Self.maximumSources {
        self.others = self.counted(self.others, now)
        return
      }
    }
    self.sources[source] = self.counted(self.sources[source], now)
  }

  private func current(_ address: SocketAddress, _ now: Instant) -> Int {
    let window = self.sources[Source(address)] ?? (self.sources.count >= Self.maximumSources ? self.others : nil)
    guard let window, window.end > now else { return 0 }
    return window.count
  }

  private func counted(_ window: Window?, _ now: Instant) -> Window {
    guard var window, window.end > now else { return Window(end: now.advanced(by: self.window), count: 1) }
    window.count += 1
    return window
  }
}
