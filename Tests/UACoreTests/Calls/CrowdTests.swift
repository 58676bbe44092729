import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// A stranger's flood while the peer's packets wait for their keys.
@Suite struct CrowdTests {
  /// Ten packets in each millisecond, from so many ports.
  private func flood(_ agents: SimulatedAgents, to target: SocketAddress, ports: Int, milliseconds: Int) {
    let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 6000)
    for sequence in 0..<milliseconds * 10 {
      agents.simulation.network.inject(
        PlainPackets.pcmu(sequence: UInt16(truncatingIfNeeded: sequence)),
        from: stranger.with(port: stranger.port + UInt16(sequence % ports)), to: target)
      if sequence % 10 == 9 { agents.run(milliseconds: 1) }
    }
  }

  private func expectSound(_ agents: SimulatedAgents, _ call: CallID) throws {
    agents.simulation.network.setSignalling(LinkConditions())
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle(milliseconds: 20_000))
    let (media, peer) = (try #require(agents.alice.ended.first).media, try #require(agents.bob.ended.first).media)
    // One may be on its way at the end.
    #expect(media.lost == 0 && peer.sentPackets - media.receivedPackets <= 1, "\(peer.sentPackets), \(media)")
    #expect(media.drops.crowded > 400 && media.drops.total == media.drops.crowded + media.drops.auth, "\(media.drops)")
    #expect(media.accountedDatagrams == media.receivedDatagrams)
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) != nil)
  }

  @Test(
    "a flood before the answer takes none of what the peer has sent, from one port or many", arguments: RxMode.allCases,
    [1, 100])
  func beforeTheAnswer(mode: RxMode, ports: Int) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 71)
    agents.simulation.network.setSignalling(LinkConditions(delay: 200_000...200_000))
    let call = try agents.call()
    agents.run(milliseconds: 1)
    let target = try #require(agents.alice.act { $0.calls[call]?.media?.localAddress })
    self.flood(agents, to: target, ports: ports, milliseconds: 420)
    try self.expectSound(agents, call)
  }

  @Test(
    "a flood while an offer of new keys is open takes none of what the peer sends under his",
    arguments: RxMode.allCases, [1, 100])
  func beforeNewKeys(mode: RxMode, ports: Int) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 72)
    let call = try agents.establishedCall()
    let target = try #require(agents.alice.act { $0.calls[call]?.media?.localAddress })
    agents.simulation.network.setSignalling(LinkConditions(delay: 60_000...60_000))
    #expect(agents.alice.act { $0.rekey(call) })
    // He has the offer now; as soon as he has answered, he uses the key.
    agents.run(milliseconds: 62)
    #expect(agents.bob.act { $0.calls.values.first?.media?.post(.keying(.switchOutbound)) } == true)
    self.flood(agents, to: target, ports: ports, milliseconds: 120)
    try self.expectSound(agents, call)
  }
}
