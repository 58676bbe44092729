internal import NetBase

/// Datagrams that came before the peer's description: an answerer's ClientHello is faster than its 200.
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

  /// Keeps a copy; false when the bounds do not allow it. A ClientHello that is sent again takes the other's place.
  mutating func keep(
    _ datagram: RawSpan, _ kind: HandshakeDatagram, from source: SocketAddress, now: Instant
  ) -> Bool {
    self.forget(now: now)
    guard datagram.byteCount <= Self.maximumBytes else { return false }
    var isFirstClientHello = false
    if case .firstClientHello = kind { isFirstClientHello = true }
    if isFirstClientHello { self.kept.removeAll { $0.source == source && $0.isFirstClientHello } }
    let others = Set(self.kept.map(\.source)).subtracting([source])
    guard others.count < Self.maximumSources, self.kept.count(where: { $0.source == source }) < Self.maximumPerSource
    else { return false }
    self.kept.append(
      Early(bytes: datagram.copied(), source: source, arrival: now, isFirstClientHello: isFirstClientHello))
    return true
  }

  /// Gives up all that is not too old, in the order of arrival.
  mutating func take(now: Instant) -> [(bytes: [UInt8], source: SocketAddress)] {
    self.forget(now: now)
    defer { self.kept = [] }
    return self.kept.map { ($0.bytes, $0.source) }
  }

  private mutating func forget(now: Instant) {
    self.kept.removeAll { now.milliseconds(since: $0.arrival) >= Self.maximumAge }
  }
}
