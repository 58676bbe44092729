import Handoff
import ICEAgent
import ModuleKit
import NetBase
import TestSupport
import Testing
import ice

@testable import UACore

/// Who does not know the passwords, in a call with `medianat=ice`: refused, counted, and the call is unharmed.
@Suite("strangers to a call with ICE") struct ICEStrangerTests {
  let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 6666)

  /// The credentials that Alice's description has.
  private func credentials(of agent: SimulatedAgent) throws -> (fragment: String, password: String) {
    (
      try #require(ICECallTests.lines(agent, "ice-ufrag").first),
      try #require(ICECallTests.lines(agent, "ice-pwd").first)
    )
  }

  /// A check as a peer sends it.
  private func check(_ name: String, key: String?, serial: UInt64) -> [UInt8] {
    var message = STUNWriter(.request, id: STUNTransactionID(high: 7, low: serial))
    message.add(0x0006, name)
    message.add(0x0024, UInt32(1_862_270_975))
    message.add(0x8029, UInt64.max)
    message.add(0x0025, [])
    if let key { message.addIntegrity(key: Array(key.utf8), crypto: .openSSL) }
    message.addFingerprint()
    return message.bytes
  }

  /// The first bytes of a ClientHello of DTLS 1.2, as many as an agent looks at.
  private let clientHello: [UInt8] =
    [22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xFE, 0xFD]
    + [UInt8](repeating: 7, count: 40)

  private func end(_ agents: SimulatedAgents, _ call: CallID) throws -> DropCounters {
    agents.run(milliseconds: 500)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let (alice, bob) = (try #require(agents.alice.ended.first), try #require(agents.bob.ended.first))
    #expect(alice.failure == nil && bob.failure == nil && alice.media.lost == 0 && bob.media.lost == 0)
    #expect(bob.media.drops == DropCounters(), "\(bob.media.drops)")
    #expect(alice.media.accountedDatagrams == alice.media.receivedDatagrams)
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) != nil)
    return alice.media.drops
  }

  @Test("checks without integrity, with another's name, with a wrong password", arguments: RxMode.allCases)
  func checks(mode: RxMode) throws {
    let agents = try ICECallTests.makeAgents(mode: mode, seed: 21)
    let addresses = StrangerTests.MediaAddresses(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let (target, peer) = (try addresses.of("10.0.0.1"), try addresses.of("10.0.0.2"))
    let local = try self.credentials(of: agents.alice)
    for serial in 0..<20 {
      for source in [self.stranger, peer] {
        for bytes in [
          self.check("\(local.fragment):x", key: nil, serial: UInt64(serial)),
          self.check("another:x", key: local.password, serial: UInt64(serial)),
          self.check("\(local.fragment):x", key: "0123456789012345678901", serial: UInt64(serial)),
        ] {
          agents.simulation.network.inject(bytes, from: source, to: target)
        }
      }
      agents.run(milliseconds: 20)
    }
    #expect(agents.simulation.network.counters(to: self.stranger, signalling: false).sent == 0, "no answer")
    let drops = try self.end(agents, call)
    #expect(drops.checks == 120 && drops.total == 120, "\(drops)")
  }

  @Test("a flood of checks, of strangers' and of the peer's own", arguments: RxMode.allCases, [true, false])
  func flood(mode: RxMode, knowsPassword: Bool) throws {
    let agents = try ICECallTests.makeAgents(mode: mode, seed: 22)
    let addresses = StrangerTests.MediaAddresses(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let (target, peer) = (try addresses.of("10.0.0.1"), try addresses.of("10.0.0.2"))
    let local = try self.credentials(of: agents.alice)
    for serial in 0..<1200 {
      // Only who is the peer knows it; then only the rate is a fault.
      agents.simulation.network.inject(
        knowsPassword
          ? self.check("\(local.fragment):x", key: local.password, serial: UInt64(serial))
          : self.check("\(serial):x", key: nil, serial: UInt64(serial)),
        from: knowsPassword ? peer : self.stranger, to: target)
      if serial % 3 == 0 { agents.run(milliseconds: 1) }
    }
    agents.run(milliseconds: 500)
    agents.alice.act { $0.refreshStatistics(call) }
    agents.run(milliseconds: 500)
    let media = try #require(agents.alice.report?.media)
    #expect(knowsPassword ? (900...1050).contains(media.drops.checks) : media.drops.checks == 1200, "\(media.drops)")
    #expect(media.lost == 0 && agents.alice.isEstablished && agents.bob.isEstablished)
    // Alice goes on, and the flood has moved nothing.
    let count = InCallTests.MediaCount(agents.simulation.network)
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.1") >= 49 && count.take("10.0.0.2") >= 49)
  }

  @Test("DTLS, RTP and RTCP from an address that no check vouches for", arguments: ICECallTests.ICECell.all)
  func unchecked(cell: ICECallTests.ICECell) throws {
    let agents = try ICECallTests.makeAgents(
      mode: cell.mode, encryption: cell.encryption, usesRTCPMux: cell.usesRTCPMux, seed: 23)
    let addresses = StrangerTests.MediaAddresses(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let target = try addresses.of("10.0.0.1")
    for sequence in 0..<50 {
      agents.simulation.network.inject(PlainPackets.pcmu(sequence: UInt16(sequence)), from: self.stranger, to: target)
      agents.simulation.network.inject(PlainPackets.rtcp, from: self.stranger, to: target)
      if cell.encryption == "dtls_srtp" {
        agents.simulation.network.inject(self.clientHello, from: self.stranger, to: target)
      }
      agents.run(milliseconds: 20)
    }
    let drops = try self.end(agents, call)
    let expected = cell.encryption == "dtls_srtp" ? 150 : 100
    #expect(drops.source == expected && drops.total == expected, "\(drops)")
  }

  @Test("a handshake that comes before any check is no handshake", arguments: RxMode.allCases)
  func earlyHandshake(mode: RxMode) throws {
    let agents = try ICECallTests.makeAgents(mode: mode, seed: 24)
    agents.simulation.network.setMedia(LinkConditions(delay: 40_000...60_000))
    // Media ports are known before the first check is answered: the stranger is there first.
    let call = try agents.call()
    let target = try #require(agents.alice.act { $0.calls.values.first?.media?.localAddress })
    for _ in 0..<10 {
      agents.simulation.network.inject(self.clientHello, from: self.stranger, to: target)
      agents.run(milliseconds: 5)
    }
    #expect(
      agents.simulation.run(milliseconds: 5000) {
        agents.alice.report?.firstMedia != nil && agents.bob.report?.firstMedia != nil
      })
    agents.run(milliseconds: 1000)
    let drops = try self.end(agents, call)
    #expect(drops.source == 10 && drops.total == 10, "\(drops)")
  }

  @Test("SRTP under the right keys from an address that no check vouches for is not played", arguments: RxMode.allCases)
  func replayedElsewhere(mode: RxMode) throws {
    let agents = try ICECallTests.makeAgents(mode: mode, seed: 25)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let network = agents.simulation.network
    let stranger = self.stranger
    // What Bob sends now reaches Alice from elsewhere only, as an attacker on the path could have it.
    let taken = Locked<[Datagram]>([])
    network.tap { datagram in
      guard !datagram.isSignalling, datagram.source.host == "10.0.0.2", datagram.bytes[0] & 0xC0 == 0x80 else {
        return true
      }
      taken.withLock { $0.append(datagram) }
      return false
    }
    for _ in 0..<20 {
      agents.run(milliseconds: 20)
      for datagram in taken.withLock({ all in
        defer { all = [] }
        return all
      }) { network.inject(datagram.bytes, from: stranger, to: datagram.destination) }
    }
    network.tap { _ in true }
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let (alice, bob) = (try #require(agents.alice.ended.first), try #require(agents.bob.ended.first))
    #expect((18...23).contains(alice.media.drops.source), "\(alice.media.drops)")
    #expect(alice.media.lost == alice.media.drops.source && bob.media.lost == 0, "and what is sent still goes to Bob")
  }
}
