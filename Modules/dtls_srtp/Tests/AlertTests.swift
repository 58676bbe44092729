import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

private let hostA: UInt32 = 0xC000_0201
private let hostB: UInt32 = 0xC000_0202

@Suite("Alerts that nothing authenticates") struct AlertTests {
  /// A record of an alert in the clear; OpenSSL looks at its sequence number, to see a replay.
  private func alert(_ description: UInt8, isFatal: Bool, serial: UInt8) -> [UInt8] {
    [21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, serial, 0, 2, isFatal ? 2 : 1, description]
  }

  /// An empty record of no known meaning, and an alert behind it.
  private func hidden(_ description: UInt8) -> [UInt8] {
    [23, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 90, 0, 0] + self.alert(description, isFatal: true, serial: 91)
  }

  @Test(
    "alerts in the clear, from the peer's own address, end no handshake, at any step, nor what came of it",
    arguments: [false, true])
  func forged(hasRTCP: Bool) throws {
    let plain = DTLSPair(try Peer(hostA), try Peer(hostB))
    plain.startBoth(hasRTCP: hasRTCP)
    plain.run()
    for step in 0..<plain.log.count {
      let pair = DTLSPair(try Peer(hostA), try Peer(hostB))
      var forged = 0
      pair.fate = { [unowned pair] datagram in
        guard datagram.index == step else { return [5] }
        // handshake_failure, bad_certificate, close_notify: before the datagram, to both ends.
        let alerts = [
          self.alert(40, isFatal: true, serial: 80), self.alert(42, isFatal: true, serial: 81),
          self.alert(0, isFatal: false, serial: 82), self.hidden(10),
        ]
        for (peer, other) in [(pair.first, pair.second), (pair.second, pair.first)] {
          for bytes in alerts {
            forged += 1
            pair.flying.append(
              .init(
                bytes: bytes, from: other.addresses[datagram.component]!, to: peer.addresses[datagram.component]!,
                component: datagram.component, index: -1, fromFirst: other === pair.first,
                arrival: pair.now.advanced(byMilliseconds: 1)))
          }
        }
        return [5]
      }
      pair.startBoth(hasRTCP: hasRTCP)
      pair.run()
      #expect(pair.first.failures.isEmpty && pair.second.failures.isEmpty, "step \(step)")
      #expect(pair.first.keys[.rtp] != nil && pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
      #expect(pair.first.count(.closed(.rtp)) == 0 && pair.second.count(.closed(.rtp)) == 0)
      let counters = [pair.first, pair.second].map(\.exchange.counters)
      #expect(counters.reduce(0) { $0 + $1.dropped + $1.strangers } == forged, "step \(step): each is counted")
      #expect(counters.reduce(0) { $0 + $1.retransmissions } == 0, "step \(step): nothing is held up")
    }
  }

  @Test("a refusal in the clear is believed once nothing else has come for two seconds")
  func believed() throws {
    let pair = DTLSPair(try Peer(hostA), try Peer(hostB))
    let other = try Certificate().fingerprint
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false, fingerprints: [other]))
    pair.run(milliseconds: 1900)
    #expect(pair.first.failures.count == 1 && pair.second.failures.isEmpty)
    pair.run(milliseconds: 300)
    #expect(pair.second.failures == ["192.0.2.1:4000 refused the DTLS handshake: bad certificate"])
    #expect(pair.second.exchange.nextDeadline == nil && pair.second.exchange.counters.dropped == 0)
  }
}
