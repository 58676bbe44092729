import ModuleKit
import NetBase
import Testing

@testable import dtls_srtp

/// What happens to one end at one moment, in this order.
private enum Happening: String, CaseIterable, Sendable {
  /// Its retransmission timer is due.
  case timer
  /// A datagram of the peer's arrives.
  case packet
  /// The call ends.
  case close
}

@Suite("The timer, a packet and the end, at one moment") struct MomentTests {
  private static let orders: [[Happening]] = [
    [.timer, .packet, .close], [.timer, .close, .packet], [.packet, .timer, .close], [.packet, .close, .timer],
    [.close, .timer, .packet], [.close, .packet, .timer],
  ]

  /// A pair whose datagram number `late` takes as long as the first retransmission waits, brought to that very moment.
  private func pair(late: Int) throws -> DTLSPair {
    let pair = DTLSPair(try Peer(0xC000_0201), try Peer(0xC000_0202))
    pair.fate = { $0.index == late ? [Association.firstInterval] : [5] }
    pair.startBoth()
    // One millisecond before; nothing is due at the moment itself but what the test makes happen.
    while let sent = pair.log.first(where: { $0.index == late })?.arrival.advanced(
      byMilliseconds: Association.firstInterval), pair.now < sent.advanced(byMilliseconds: -1)
    {
      pair.run(milliseconds: 1)
    }
    if pair.log.count <= late { pair.run(milliseconds: Association.firstInterval) }
    pair.now = pair.now.advanced(byMilliseconds: 1)
    return pair
  }

  private func happen(_ one: Happening, to peer: Peer, of pair: DTLSPair) {
    switch one {
    case .timer:
      peer.exchange.timeout(now: pair.now)
      pair.take(peer)
    case .close: pair.close(peer)
    case .packet:
      let isFirst = peer === pair.first
      let other = isFirst ? pair.second : pair.first
      // What is on its way, or else the last one again.
      let flying = pair.flying.firstIndex { $0.fromFirst != isFirst }.map { pair.flying.remove(at: $0) }
      guard let datagram = flying ?? pair.log.last(where: { $0.fromFirst != isFirst }) else { return }
      pair.receive(datagram.bytes, at: peer, from: other.addresses[.rtp]!)
    }
  }

  @Test("in any order, on either end, at any step of the handshake: nothing follows the end", arguments: Self.orders)
  private func atOneMoment(order: [Happening]) throws {
    let whole = DTLSPair(try Peer(0xC000_0201), try Peer(0xC000_0202))
    whole.startBoth()
    whole.run()
    for late in 0...whole.log.count {
      for isFirst in [true, false] {
        let pair = try self.pair(late: late)
        let peer = isFirst ? pair.first : pair.second
        let note: Comment = "datagram \(late), \(isFirst ? "client" : "server"), \(order.map(\.rawValue))"
        var before = 0
        for one in order {
          self.happen(one, to: peer, of: pair)
          if one == .close { before = peer.seen.count }
        }
        #expect(peer.seen.count == before, note)
        #expect(peer.exchange.nextDeadline == nil, note)
        #expect(peer.count(.secured(.rtp)) <= 1 && peer.failures.isEmpty, note)
        // The other end goes on trying, and gives up or hears the good-bye; this one is not heard of again.
        pair.run(milliseconds: 40_000)
        #expect(peer.seen.count == before, note)
        #expect(pair.flying.isEmpty, note)
      }
    }
  }

  @Test("the retransmission and the peer's answer to the first transmission cross, again and again")
  func crossing() throws {
    for seed in 0..<20 {
      var generator = Seeded(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1)
      let pair = DTLSPair(try Peer(0xC000_0201), try Peer(0xC000_0202))
      // Every delay is next to a multiple of the timer's, so that timers and packets meet.
      pair.fate = { _ in [Association.firstInterval / 2 + Int64(generator.next() % 3) - 1] }
      pair.startBoth(hasRTCP: true)
      pair.run()
      for component in Component.allCases {
        #expect(pair.first.count(.secured(component)) == 1 && pair.second.count(.secured(component)) == 1)
        #expect(pair.first.keys[component]?.inbound == pair.second.keys[component]?.outbound)
      }
    }
  }
}
