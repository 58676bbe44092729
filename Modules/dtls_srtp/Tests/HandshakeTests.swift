import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

private let hostA: UInt32 = 0xC000_0201
private let hostB: UInt32 = 0xC000_0202

private func makePair() throws -> DTLSPair { DTLSPair(try Peer(hostA), try Peer(hostB)) }

/// Both ends have what the other one writes with, and each was told once.
private func expectSecured(_ pair: DTLSPair, _ component: Component = .rtp, _ note: Comment? = nil) {
  guard let first = pair.first.keys[component], let second = pair.second.keys[component] else {
    Issue.record("\(component) was not secured: \(pair.first.failures) \(pair.second.failures) \(note ?? "")")
    return
  }
  #expect(first.inbound == second.outbound, note)
  #expect(first.outbound == second.inbound, note)
  #expect(first.inbound != first.outbound, note)
  #expect(first.profile == second.profile, note)
  #expect(first.inbound.count == first.profile.keyAndSaltLength, note)
  for peer in [pair.first, pair.second] {
    #expect(peer.count(.secured(component)) == 1, note)
    #expect(peer.failures.isEmpty, note)
  }
}

@Suite("DTLS handshakes in memory") struct HandshakeTests {
  @Test("two ends agree on each other's keys, with and without a component for RTCP", arguments: [false, true])
  func agree(hasRTCP: Bool) throws {
    let pair = try makePair()
    pair.startBoth(hasRTCP: hasRTCP)
    pair.run()
    expectSecured(pair)
    if hasRTCP {
      expectSecured(pair, .rtcp)
      #expect(pair.first.keys[.rtp]?.inbound != pair.first.keys[.rtcp]?.inbound)
    } else {
      #expect(pair.first.keys[.rtcp] == nil)
    }
    #expect(pair.first.by[.rtp]?.source == pair.second.addresses[.rtp])
    #expect(pair.second.by[.rtp]?.source == pair.first.addresses[.rtp])
    #expect(pair.first.by[.rtp]?.version == "DTLSv1.2")
    #expect(pair.first.exchange.counters.retransmissions == 0)
    #expect(pair.first.exchange.nextDeadline == nil)
    #expect(pair.second.exchange.nextDeadline == nil)
    #expect(pair.log.allSatisfy { $0.bytes.count <= 1200 })
  }

  @Test("each profile gives keys of its own length", arguments: SRTPProfile.preferredForDTLS)
  func profile(_ profile: SRTPProfile) throws {
    let pair = DTLSPair(try Peer(hostA, profiles: [profile]), try Peer(hostB))
    pair.startBoth()
    pair.run()
    expectSecured(pair)
    #expect(pair.first.keys[.rtp]?.profile == profile)
  }

  @Test("the server's preference decides the profile")
  func preference() throws {
    let pair = DTLSPair(
      try Peer(hostA, profiles: [.aesCM128HMACSHA1Tag80, .aeadAES256GCM]),
      try Peer(hostB, profiles: [.aeadAES256GCM, .aesCM128HMACSHA1Tag80]))
    pair.startBoth()
    pair.run()
    expectSecured(pair)
    #expect(pair.first.keys[.rtp]?.profile == .aeadAES256GCM)
  }

  @Test("no profile in common fails both ends, with a sentence")
  func noProfile() throws {
    let pair = DTLSPair(
      try Peer(hostA, profiles: [.aesCM128HMACSHA1Tag80]), try Peer(hostB, profiles: [.aeadAES256GCM]))
    pair.startBoth()
    pair.run()
    #expect(pair.first.keys.isEmpty && pair.second.keys.isEmpty)
    #expect(pair.first.failures.count == 1 && pair.second.failures.count == 1)
    #expect(pair.second.failures.first?.contains("dtls_srtp_profiles") == true)
  }

  @Test("a server has its keys before it sends the flight that makes the client use them")
  func keysFirst() throws {
    let pair = try makePair()
    pair.startBoth()
    pair.run()
    let server = pair.second.seen
    let secured = try #require(server.firstIndex(of: .secured(.rtp)))
    #expect(server[(secured + 1)...].contains(.send(pair.first.addresses[.rtp]!, .rtp)))
  }

  @Test("any one lost datagram only delays the handshake", arguments: [false, true])
  func loss(usesCookies: Bool) throws {
    let count = try handshakeLength(usesCookies: usesCookies)
    for lost in 0..<count {
      let pair = DTLSPair(try Peer(hostA), try Peer(hostB, usesCookies: usesCookies))
      pair.fate = { $0.index == lost ? [] : [5] }
      let begin = pair.now
      pair.startBoth()
      pair.run(milliseconds: 2000)
      expectSecured(pair, .rtp, "datagram \(lost) of \(count) lost")
      #expect(begin < pair.now)
      let repeated = pair.first.exchange.counters.retransmissions + pair.second.exchange.counters.retransmissions
      #expect(repeated > 0, "datagram \(lost) of \(count) lost")
    }
  }

  @Test("a repeated datagram changes nothing, at once or late")
  func duplicates() throws {
    let count = try handshakeLength(usesCookies: true)
    for round in 0..<2 * count {
      let (twice, delay) = (round / 2, round % 2 == 0 ? Int64(5) : 60)
      let pair = try makePair()
      pair.fate = { $0.index == twice ? [5, delay] : [5] }
      pair.startBoth()
      pair.run()
      expectSecured(pair, .rtp, "datagram \(twice) again after \(delay) ms")
    }
  }

  @Test("a datagram that is overtaken by all others does not stop the handshake")
  func reordering() throws {
    let count = try handshakeLength(usesCookies: true)
    for late in 0..<count {
      let pair = try makePair()
      pair.fate = { $0.index == late ? [40] : [5] }
      pair.startBoth()
      pair.run()
      expectSecured(pair, .rtp, "datagram \(late) is late")
    }
  }

  @Test("heavy random loss is survived", arguments: 0..<20)
  func randomLoss(seed: Int) throws {
    var generator = Seeded(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1)
    let pair = try makePair()
    pair.fate = { _ in generator.next() % 100 < 30 ? [] : [Int64(5 + generator.next() % 40)] }
    pair.startBoth(hasRTCP: true)
    pair.run()
    expectSecured(pair, .rtp)
    expectSecured(pair, .rtcp)
  }

  @Test("the first retransmission comes within 100 ms, each later one after twice the time, the end after 30 s")
  func schedule() throws {
    let pair = try makePair()
    pair.fate = { _ in [] }
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    let begin = pair.now
    pair.run()
    let sent = pair.log.map { $0.arrival.milliseconds(since: begin) }
    #expect(sent == [0, 100, 300, 700, 1500, 3100, 6300, 10300, 14300, 18300, 22300, 26300])
    #expect(pair.first.failures == ["no DTLS handshake with 192.0.2.2:4000 within 30 s"])
    #expect(pair.first.exchange.nextDeadline == nil)
    #expect(pair.first.exchange.counters.retransmissions == sent.count - 1)
  }

  @Test("a wrong fingerprint fails both ends before any key")
  func wrongFingerprint() throws {
    let pair = try makePair()
    var digest = pair.second.certificate.fingerprint.digest
    digest[31] ^= 1
    let wrong = Fingerprint(function: .sha256, digest: digest)
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false, fingerprints: [wrong]))
    pair.run()
    #expect(pair.first.keys.isEmpty && pair.second.keys.isEmpty)
    #expect(pair.first.failures.count == 1)
    #expect(pair.first.failures.first?.contains("fingerprint") == true)
    #expect(pair.second.failures == ["192.0.2.1:4000 refused the DTLS handshake: bad certificate"])
  }

  @Test("a client with the wrong certificate is refused by the server")
  func wrongClient() throws {
    let pair = try makePair()
    let other = try Certificate()
    pair.start(
      pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false, fingerprints: [other.fingerprint]))
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.first.keys.isEmpty && pair.second.keys.isEmpty)
    #expect(pair.second.failures.first?.contains("fingerprint") == true)
    #expect(pair.first.failures.first?.contains("bad certificate") == true)
  }

  @Test("one right fingerprint among several is enough")
  func severalFingerprints() throws {
    let pair = try makePair()
    let others = [
      Fingerprint(function: .sha512, digest: Array(repeating: 1, count: 64)), try Certificate().fingerprint,
      pair.second.certificate.fingerprint,
    ]
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false, fingerprints: others))
    pair.run()
    expectSecured(pair)
  }

  @Test("close says good-bye, and the peer hears it once")
  func goodbye() throws {
    let pair = try makePair()
    pair.startBoth()
    pair.run()
    let before = pair.log.count
    pair.close(pair.first)
    #expect(pair.log.count == before + 1)
    pair.close(pair.first)
    pair.run()
    #expect(pair.log.count == before + 1)
    #expect(pair.second.count(.closed(.rtp)) == 1)
    pair.close(pair.second)
    pair.run()
    #expect(pair.first.count(.closed(.rtp)) == 0)
    #expect(pair.first.failures.isEmpty && pair.second.failures.isEmpty)
  }

  @Test("close during the handshake is silent and final")
  func closeEarly() throws {
    let pair = try makePair()
    pair.startBoth()
    pair.run(milliseconds: 12)
    pair.close(pair.first)
    pair.run(milliseconds: 100)
    #expect(pair.first.keys.isEmpty)
    #expect(pair.first.failures.isEmpty)
    #expect(pair.first.exchange.nextDeadline == nil)
  }

  private func handshakeLength(usesCookies: Bool) throws -> Int {
    let pair = DTLSPair(try Peer(hostA), try Peer(hostB, usesCookies: usesCookies))
    pair.startBoth()
    pair.run()
    return pair.log.count
  }
}

struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    self.state ^= self.state << 13
    self.state ^= self.state >> 7
    self.state ^= self.state << 17
    return self.state
  }
}
