import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

private let hostA: UInt32 = 0xC000_0201
private let hostB: UInt32 = 0xC000_0202

private func makePair() throws -> DTLSPair { DTLSPair(try Peer(hostA), try Peer(hostB)) }

private func stranger(_ number: UInt32) -> SocketAddress { SocketAddress(ipv4: 0xCB00_7100 + number, port: 9) }

/// A client's first datagram.
private func clientHello() throws -> [UInt8] {
  let pair = try makePair()
  pair.fate = { _ in [] }
  pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
  return try #require(pair.log.first).bytes
}

@Suite("Strangers, early birds and malformed datagrams") struct StrangerTests {
  @Test("a ClientHello that comes before the description is kept and answered at start")
  func early() throws {
    let pair = try makePair()
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run(milliseconds: 50)
    #expect(pair.second.seen.isEmpty)
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    pair.run()
    #expect(pair.first.count(.secured(.rtp)) == 1 && pair.second.count(.secured(.rtp)) == 1)
    #expect(pair.first.exchange.counters.retransmissions == 0)
  }

  @Test("a ClientHello that waited when the call ended counts as that, not as one that was wrong")
  func earlyAndOver() throws {
    let pair = try makePair()
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run(milliseconds: 50)
    #expect(pair.second.exchange.counters.waiting == 1)
    pair.second.exchange.close(now: pair.now)
    let counters = pair.second.exchange.counters
    #expect(counters.ended == 1 && counters.waiting == 0 && counters.dropped == 0)
  }

  @Test("what came early for RTCP is of no use where the description says that there is none")
  func earlyAndMuxed() throws {
    let hello = try clientHello()
    let pair = try makePair()
    pair.receive(hello, at: pair.second, from: stranger(1), on: .rtcp)
    #expect(pair.second.exchange.counters.waiting == 1)
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    let counters = pair.second.exchange.counters
    #expect(counters.dropped == 1 && counters.waiting == 0)
  }

  @Test("what is kept is bounded: four sources, four datagrams each, 2,048 bytes, 10 s")
  func earlyBounds() throws {
    let hello = try clientHello()
    // The message after it: what would take another's place is kept only once.
    var later = hello
    later[18] = 1
    let pair = try makePair()
    pair.fate = { _ in [] }
    for source in 0..<6 {
      for _ in 0..<6 { pair.receive(later, at: pair.second, from: stranger(UInt32(source))) }
    }
    #expect(pair.second.exchange.counters.dropped == 36 - 16)
    pair.now = pair.now.advanced(byMilliseconds: 9_999)
    pair.receive(hello, at: pair.second, from: stranger(9))
    #expect(pair.second.exchange.counters.dropped == 36 - 16 + 1)
    pair.now = pair.now.advanced(byMilliseconds: 1)
    pair.receive(hello, at: pair.second, from: stranger(9))
    // The sixteen are too old now.
    #expect(pair.second.exchange.counters.dropped == 36 + 1)
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    #expect(pair.log.map(\.to) == [stranger(9)])
  }

  @Test("a client behind a NAT is found by its fingerprint, and its source is pinned")
  func clientBehindNAT() throws {
    let pair = try makePair()
    let described = pair.remote(pair.first, isActive: false, hasRTCP: false)
    let translated = SocketAddress(ipv4: 0xCB00_7109, port: 61000)
    pair.first.addresses[.rtp] = translated
    pair.start(pair.second, remote: described)
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.second.by[.rtp]?.source == translated)
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    let before = (pair.log.count, pair.second.exchange.counters.strangers)
    pair.receive(try clientHello(), at: pair.second, from: stranger(1))
    pair.receive(try clientHello(), at: pair.second, from: described.rtpAddress)
    #expect(pair.log.count == before.0)
    #expect(pair.second.exchange.counters.strangers == before.1 + 2)
  }

  @Test("a server that answers from behind a NAT is found, and pinned")
  func serverBehindNAT() throws {
    let pair = try makePair()
    let described = pair.remote(pair.second, isActive: true, hasRTCP: false)
    let translated = SocketAddress(ipv4: 0xCB00_7109, port: 61000)
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    pair.start(pair.first, remote: described)
    // Its own address reaches it once; the answers come from, and the rest goes to, the translated one.
    pair.run(milliseconds: 5)
    pair.flying = pair.flying.map {
      .init(
        bytes: $0.bytes, from: translated, to: $0.to, component: $0.component, index: $0.index, fromFirst: $0.fromFirst,
        arrival: $0.arrival)
    }
    pair.second.addresses[.rtp] = translated
    pair.run()
    #expect(pair.first.by[.rtp]?.source == translated)
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
  }

  /// What `evil` answers to the first ClientHello of the pair's first end.
  private func answer(_ pair: DTLSPair, _ evil: Peer) throws {
    evil.exchange.start(pair.remote(pair.first, isActive: false, hasRTCP: false), now: pair.now)
    let hello = try #require(pair.log.first).bytes
    hello.withRawSpan { evil.exchange.receive($0, from: pair.first.addresses[.rtp]!, on: .rtp, now: pair.now) }
    while let action = evil.exchange.nextAction() {
      if case .send(let datagram, _, _) = consume action {
        pair.receive(datagram, at: pair.first, from: evil.addresses[.rtp]!)
      }
    }
  }

  @Test("an answer of a stranger's does nothing while the described address may still speak")
  func describedAddressFirst() throws {
    for usesCookies in [true, false] {
      let pair = DTLSPair(try Peer(hostA), try Peer(hostB, usesCookies: usesCookies))
      pair.startBoth()
      try self.answer(pair, try Peer(0xCB00_7101))
      #expect(pair.log.allSatisfy { $0.to != SocketAddress(ipv4: 0xCB00_7101, port: 4000) })
      pair.run()
      #expect(pair.first.by[.rtp]?.source == pair.second.addresses[.rtp])
      #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
      let counters = pair.first.exchange.counters
      #expect(counters.strangers == 1 && counters.waiting == 0 && counters.retransmissions == 0)
    }
  }

  @Test("a client that a stranger answered first begins anew when the described address speaks")
  func describedAddressWins() throws {
    let pair = try makePair()
    pair.startBoth()
    let evil = try Peer(0xCB00_7101)
    // The described address hears nothing for a second and a half.
    let deaf = pair.now.advanced(byMilliseconds: 1500)
    pair.flying = []
    pair.fate = { [unowned pair] in $0.fromFirst && pair.now < deaf ? [] : [5] }
    try self.answer(pair, evil)
    #expect(pair.log.count == 1)
    pair.run(milliseconds: 1100)
    #expect(pair.log.last?.to == evil.addresses[.rtp])
    pair.run()
    #expect(pair.first.by[.rtp]?.source == pair.second.addresses[.rtp])
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.first.failures.isEmpty)
  }

  @Test("answers of many strangers, none of them right, end no handshake, however long the described address is silent")
  func manyAnswers() throws {
    // The start of a HelloVerifyRequest with a cookie of 20 bytes, and one of a ServerHello that makes no sense.
    let verify: [UInt8] =
      [22, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 35, 3, 0, 0, 23, 0, 0, 0, 0, 0, 0, 0, 23, 0xFE, 0xFF, 20]
      + [UInt8](repeating: 7, count: 20)
    var hello = verify
    hello[13] = 2
    for forged in [verify, hello] {
      let pair = try makePair()
      pair.startBoth()
      let deaf = pair.now.advanced(byMilliseconds: 9000)
      pair.flying = []
      pair.fate = { [unowned pair] in $0.fromFirst && pair.now < deaf ? [] : [5] }
      for number in 0..<120 {
        pair.receive(forged, at: pair.first, from: stranger(UInt32(number)))
        pair.run(milliseconds: 50)
        pair.now = max(pair.now, Instant(nanoseconds: 1_000_000_000).advanced(byMilliseconds: 50 * Int64(number + 1)))
      }
      // An association's first record has the number 0.
      let starts = pair.log.count { $0.fromFirst && $0.bytes[5..<11].allSatisfy { $0 == 0 } }
      #expect(starts == (forged == hello ? 1 + ComponentExchange.maximumRestarts : 2))
      pair.run()
      #expect(pair.first.failures.isEmpty)
      #expect(pair.first.by[.rtp]?.source == pair.second.addresses[.rtp])
      let counters = pair.first.exchange.counters
      #expect(counters.strangers + counters.taken + counters.dropped >= 120 && counters.waiting == 0)
    }
  }

  @Test("a stranger's handshake with a wrong certificate neither wins nor stops the right one")
  func wrongStranger() throws {
    let pair = try makePair()
    let evil = try Peer(0xCB00_7101)
    let attack = DTLSPair(evil, pair.second)
    attack.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    attack.start(evil, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    attack.run(milliseconds: 3000)
    #expect(pair.second.keys.isEmpty && evil.keys.isEmpty)
    #expect(pair.second.failures.isEmpty && evil.failures.count == 1)
    pair.now = attack.now
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.second.by[.rtp]?.source == pair.first.addresses[.rtp])
  }

  @Test("the last stranger's refusal is the reason when nobody else comes")
  func reasonAfterPatience() throws {
    let pair = try makePair()
    let evil = try Peer(0xCB00_7101)
    let attack = DTLSPair(evil, pair.second)
    attack.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    attack.start(evil, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    attack.run()
    #expect(pair.second.failures.count == 1)
    #expect(pair.second.failures.first?.contains("203.0.113.1:4000 does not have the fingerprint") == true)
  }

  @Test("four strangers' ClientHellos do not keep the described peer out, and cost one short answer each")
  func flood() throws {
    let hello = try clientHello()
    let pair = try makePair()
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    for source in 0..<200 { pair.receive(hello, at: pair.second, from: stranger(UInt32(source))) }
    #expect(pair.log.count == 4)
    #expect(pair.log.allSatisfy { $0.bytes.count < hello.count })
    #expect(pair.second.exchange.counters.strangers == 196)
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.first.exchange.counters.retransmissions == 0)
  }

  @Test("ClientHellos of many strangers that prove nothing leave room for a client behind a NAT, once they are over")
  func floodThenNAT() throws {
    let hello = try clientHello()
    let pair = try makePair()
    let described = pair.remote(pair.first, isActive: false, hasRTCP: false)
    pair.start(pair.second, remote: described)
    for source in 0..<200 {
      pair.receive(hello, at: pair.second, from: stranger(UInt32(source)))
      pair.now = pair.now.advanced(byMilliseconds: 50)
    }
    // Four at once, each for half a second.
    #expect(pair.log.count > ComponentExchange.maximumAttempts && pair.log.count <= 4 + 10_000 / 125)
    pair.now = pair.now.advanced(byMilliseconds: 500)
    pair.first.addresses[.rtp] = SocketAddress(ipv4: 0xCB00_7209, port: 61000)
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
  }

  @Test("one stranger's ClientHello, repeated without end, is answered once in 50 ms, and each is counted")
  func floodOfOne() throws {
    let hello = try clientHello()
    let pair = try makePair()
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    for _ in 0..<200 {
      pair.receive(hello, at: pair.second, from: stranger(1))
      pair.now = pair.now.advanced(byMilliseconds: 5)
    }
    let counters = pair.second.exchange.counters
    #expect(pair.log.count == 20 && counters.taken == 200 && counters.dropped == 0, "\(counters)")
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.first.exchange.counters.retransmissions == 0)
  }

  @Test("a forged ClientHello with a wrong cookie does not end the handshake")
  func forgedCookie() throws {
    let pair = try makePair()
    var isForged = false
    pair.fate = { [unowned pair] datagram in
      // The client's second ClientHello: a forged copy overtakes it.
      if datagram.index == 2, !isForged {
        isForged = true
        var forged = datagram.bytes
        let session = 13 + 12 + 34
        forged[session + 1 + Int(forged[session]) + 1] ^= 1
        pair.flying.append(
          .init(
            bytes: forged, from: datagram.from, to: datagram.to, component: .rtp, index: 99, fromFirst: true,
            arrival: pair.now))
      }
      return [5]
    }
    pair.startBoth()
    pair.run()
    #expect(isForged)
    #expect(pair.second.exchange.counters.dropped == 1)
    #expect(pair.first.keys[.rtp] != nil && pair.second.keys[.rtp] != nil)
  }

  @Test("datagrams that are not whole DTLS records are dropped and counted, and never trap")
  func malformed() throws {
    let hello = try clientHello()
    for isSecured in [false, true] {
      let pair = try makePair()
      pair.startBoth()
      if isSecured { pair.run() }
      var generator = Seeded(state: 88_172_645_463_325_252)
      let source = pair.first.addresses[.rtp]!
      for length in 0..<hello.count { pair.receive(Array(hello[..<length]), at: pair.second, from: source) }
      #expect(pair.second.exchange.counters.dropped >= hello.count - 1)
      for _ in 0..<2000 {
        var noise = hello
        for _ in 0..<3 { noise[Int(generator.next() % 13)] = UInt8(truncatingIfNeeded: generator.next()) }
        noise.removeLast(Int(generator.next() % 40))
        pair.receive(noise, at: pair.second, from: source)
      }
      if isSecured { #expect(pair.second.failures.isEmpty && pair.second.count(.closed(.rtp)) == 0) }
    }
  }

  @Test("a corrupted datagram at any place of a handshake never traps and never secures with other keys")
  func corrupted() throws {
    var generator = Seeded(state: 4_101_842_887_655_102_017)
    for index in 0..<7 {
      for _ in 0..<12 {
        let pair = try makePair()
        pair.fate = { [unowned pair] datagram in
          guard datagram.index == index else { return [5] }
          var bytes = datagram.bytes
          bytes[13 + Int(generator.next() % UInt64(bytes.count - 13))] ^= UInt8(1 << (generator.next() % 8))
          pair.flying.append(
            .init(
              bytes: bytes, from: datagram.from, to: datagram.to, component: .rtp, index: index,
              fromFirst: datagram.fromFirst, arrival: pair.now))
          return []
        }
        pair.startBoth()
        pair.run()
        for (peer, other) in [(pair.first, pair.second), (pair.second, pair.first)] {
          if let keys = peer.keys[.rtp], let others = other.keys[.rtp] { #expect(keys.inbound == others.outbound) }
          #expect(peer.failures.count <= 1)
        }
      }
    }
  }

  @Test("the last flight goes out again when the client repeats its own")
  func lastFlight() throws {
    let pair = try makePair()
    var dropped = 0
    pair.fate = { [unowned pair] datagram in
      // Lose the server's last flight three times.
      if !datagram.fromFirst, pair.second.count(.secured(.rtp)) == 1, dropped < 3 {
        dropped += 1
        return []
      }
      return [5]
    }
    pair.startBoth()
    pair.run()
    #expect(dropped == 3)
    #expect(pair.first.count(.secured(.rtp)) == 1 && pair.second.count(.secured(.rtp)) == 1)
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
  }
}
