import ModuleKit
import NetBase
import Testing

@testable import UACore

/// Datagrams of a handshake that came before what the peer has to say of it.
@Suite struct EarlyDatagramTests {
  /// Keeps all that it is given, and begins nothing.
  private final class PatientExchange: KeyExchange {
    private(set) var counters = KeyExchangeCounters()

    func start(_ remote: KeyExchangeRemote, now: Instant) {}
    func claims(_ datagram: RawSpan) -> Bool { true }
    func receive(_ datagram: RawSpan, from source: SocketAddress, on component: Component, now: Instant) {
      self.counters.waiting += 1
    }
    func timeout(now: Instant) {}
    var nextDeadline: Instant? { nil }
    func nextAction() -> KeyExchangeAction? { nil }
    func close(now: Instant) { (self.counters.ended, self.counters.waiting) = (self.counters.waiting, 0) }
  }

  @Test("one that still waited when its call ended is counted as that, and as nothing that was wrong")
  func ended() throws {
    let transport = try LoneTransport()
    transport.post(.keying(.makeKeyExchange { PatientExchange() }))
    // The first byte says that it is DTLS (RFC 7983).
    for _ in 0..<3 { [UInt8](repeating: 22, count: 60).withRawSpan { transport.send($0) } }
    let drops = try #require(transport.stop()).drops
    #expect(drops.ended == 3 && drops.total == 3, "\(drops)")
  }
}
