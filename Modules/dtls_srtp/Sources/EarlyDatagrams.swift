internal import ModuleKit
internal import NetBase

/// Datagrams that came before their time: before the peer's description, for an answerer's ClientHello is faster than its
/// 200; or from another address than the described one.
struct EarlyDatagrams {
  static let maximumSources = 4
  static let maximumPerSource = 4
  static let maximumBytes = 2048
  static let maximumAge: Int64 = 10_000

  private struct Early {
    let bytes: [UInt8]
    let source: SocketAddress
    let arrival: Instant
    let isFirstClientHello: Bool
  }

  private var kept: [Early] = []

  /// Datagrams that wait.
  var count: Int { self.kept.count }

  /// Whether any is from `source`.
  func has(_ source: SocketAddress) -> Bool { self.kept.contains { $0.source == source } }

  /// Keeps a copy, or counts it as dropped when the bounds do not allow it. A ClientHello that is sent again takes the
  /// other's place, which then counts as taken.
  mutating func keep(
    _ datagram: RawSpan, _ kind: HandshakeDatagram, from source: SocketAddress, now: Instant,
    _ counters: inout KeyExchangeCounters
  ) {
    self.forget(now: now, &counters)
    guard datagram.byteCount <= Self.maximumBytes else {
      counters.dropped += 1
      return
    }
    var isFirstClientHello = false
    if case .firstClientHello = kind { isFirstClientHello = true }
    if isFirstClientHello {
      let before = self.kept.count
      self.kept.removeAll { $0.source == source && $0.isFirstClientHello }
      counters.taken += before - self.kept.count
    }
    let others = Set(self.kept.map(\.source)).subtracting([source])
    guard others.count < Self.maximumSources, self.kept.count(where: { $0.source == source }) < Self.maximumPerSource
    else {
      counters.dropped += 1
      return
    }
    self.kept.append(
      Early(bytes: datagram.copied(), source: source, arrival: now, isFirstClientHello: isFirstClientHello))
  }

  /// Gives up all that is not too old, in the order of arrival.
  mutating func take(
    now: Instant, _ counters: inout KeyExchangeCounters
  ) -> [(bytes: [UInt8], source: SocketAddress)] {
    self.forget(now: now, &counters)
    defer { self.kept = [] }
    return self.kept.map { ($0.bytes, $0.source) }
  }

  private mutating func forget(now: Instant, _ counters: inout KeyExchangeCounters) {
    let before = self.kept.count
    self.kept.removeAll { now.milliseconds(since: $0.arrival) >= Self.maximumAge }
    counters.dropped += before - self.kept.count
  }
}
