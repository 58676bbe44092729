import Handoff
import ICEAgent
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Whole calls whose descriptions wait for STUN and TURN servers, and whose media a server relays.
@Suite("calls with ICE and servers") struct ICERelayTests {
  /// Agents whose account names the server, and that server on their network.
  static func makeAgents(
    mode: RxMode, encryption: String? = "dtls_srtp", usesRTCPMux: Bool = true, seed: UInt64,
    uri: String = "turn:apus:secret@198.51.100.1", policy: String = "relay",
    rekeyPorts: String = "same", server: (inout ModelledServer) -> Void = { _ in }
  ) throws -> (SimulatedAgents, Locked<ModelledServer>) {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: seed) {
      $0.moduleValues["ice_policy"] = policy
      $0.moduleValues["dtls_srtp_rekey_ports"] = rekeyPorts
    }
    (agents.aliceSettings.mediaNAT, agents.bobSettings.mediaNAT) = ("ice", "ice")
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (usesRTCPMux, usesRTCPMux)
    let servers = [try STUNServerURI(uri)]
    (agents.aliceSettings.natServers, agents.bobSettings.natServers) = (servers, servers)
    var made = ModelledServer()
    server(&made)
    let model = Locked(made)
    let (network, clock) = (agents.simulation.network, agents.simulation.clock)
    network.tap { [unowned network] datagram in
      guard !datagram.isSignalling, ModelledServer().isHere(datagram.destination) else { return true }
      let answers = model.withLock {
        $0.receive(datagram.bytes, from: datagram.source, at: datagram.destination, now: clock.now)
      }
      var waiting = answers
      while !waiting.isEmpty {
        let next = waiting.removeFirst()
        guard ModelledServer().isHere(next.destination) else {
          network.inject(next.bytes, from: next.source, to: next.destination)
          continue
        }
        // From one relay to another.
        waiting += model.withLock {
          $0.receive(next.bytes, from: next.source, at: next.destination, now: clock.now)
        }
      }
      return false
    }
    return (agents, model)
  }

  /// What both say of a call that was hung up, without a warning, and of which nothing was lost or dropped.
  private static func goodEnds(of agents: SimulatedAgents) throws -> [CallReport] {
    try [agents.alice, agents.bob].map { agent in
      let report = try #require(agent.ended.first)
      #expect(report.reason == "hangup" && report.failure == nil && agent.warnings.isEmpty, "\(agent.warnings)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      return report
    }
  }

  @Test("a call that nothing but a relay carries is secured and heard both ways", arguments: ICECallTests.ICECell.all)
  func relayOnly(cell: ICECallTests.ICECell) throws {
    let (agents, server) = try Self.makeAgents(
      mode: cell.mode, encryption: cell.encryption, usesRTCPMux: cell.usesRTCPMux, seed: 31)
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...15_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1500)
    let offered = ICECallTests.lines(agents.alice, "candidate")
    #expect(offered.count == 2 && offered.allSatisfy { $0.contains(" 198.51.100.1 ") && $0.contains("typ relay") })
    // It is held, resumed and restarted like others.
    for isHeld in [true, false] {
      agents.alice.act { $0.setHold(call, isHeld) }
      agents.run(milliseconds: 300)
    }
    #expect(agents.bob.act { $0.restartConnectivity(agents.bobCall) })
    agents.run(milliseconds: 1500)
    #expect(server.withLock { $0.passedOnChannels } > 100)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    agents.run(milliseconds: 100)
    for report in try Self.goodEnds(of: agents) {
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams)
      #expect(report.media.sendFailures == 0)
    }
    #expect(server.withLock { $0.allocations.isEmpty }, "every relay was given back")
    for heard in [agents.aliceHears, agents.bobHears] {
      #expect(ProbeCapture.samples(heard).count > 8000)
    }
  }

  @Test(
    "who takes later candidates is answered at once, and told of the relay by INFO (RFC 8840)",
    arguments: RxMode.allCases)
  func answersAtOnce(mode: RxMode) throws {
    let (agents, _) = try Self.makeAgents(mode: mode, seed: 40)
    agents.simulation.network.setMedia(LinkConditions(delay: 200_000...200_000))
    let call = try agents.establishedCall()
    // Two round trips to the server are yet to come.
    #expect(ICECallTests.lines(agents.bob, "candidate").isEmpty)
    #expect(ICECallTests.lines(agents.bob, "end-of-candidates").isEmpty)
    #expect(ICECallTests.lines(agents.alice, "end-of-candidates").count == 1)
    agents.run(milliseconds: 5000)
    let told = agents.bob.trace.withLock { trace in
      trace.filter { $0.contains("INFO sip:") && $0.contains("typ relay") }
    }
    #expect(told.count == 1)
    let lines = try #require(told.first).split(whereSeparator: \.isNewline)
    for line in [
      "Info-Package: trickle-ice", "Content-Disposition: Info-Package", "a=end-of-candidates", "m=audio 9 RTP/AVP 0",
    ] {
      #expect(lines.contains { $0 == line }, "\(line)")
    }
    #expect(agents.bob.report?.firstMedia != nil && agents.alice.report?.firstMedia != nil)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    _ = try Self.goodEnds(of: agents)
  }

  @Test(
    "a program that carries descriptions has its offer at once, and what servers say when they have",
    arguments: [true, false])
  func tricklesCandidates(trickles: Bool) throws {
    let (agents, _) = try Self.makeAgents(mode: .thread, seed: 41, policy: "all")
    (agents.aliceSettings.tricklesCandidates, agents.aliceSettings.usesBundle) = (trickles, true)
    let call = try agents.alice.act { try $0.connect("bob", settings: agents.aliceSettings) }
    let offer = Locked<String?>(nil)
    agents.alice.act {
      $0.makeOffer(call) { result in
        offer.withLock { $0 = (try? result.get()).map { String(decoding: $0, as: UTF8.self) } }
      }
    }
    let first = offer.withLock { $0 }
    #expect((first != nil) == trickles && first?.contains("end-of-candidates") != true)
    agents.run(milliseconds: 1000)
    let whole = try #require(offer.withLock { $0 })
    #expect(whole.contains("end-of-candidates") == !trickles && whole.contains("typ relay") == !trickles)
    let late = agents.alice.events.compactMap { event -> [String]? in
      guard case .lateCandidates(call, let candidates, mediaID: .some) = event else { return nil }
      return candidates
    }
    #expect(late.count == (trickles ? 1 : 0))
    for candidates in late {
      #expect(candidates.count == 2 && candidates.allSatisfy { $0.hasPrefix("candidate:") && $0.contains("typ relay") })
      let fragments = candidates.compactMap { $0.split(separator: " ").last }
      #expect(fragments.allSatisfy { whole.contains("a=ice-ufrag:\($0)") })
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }

  @Test("what a relay passes on unasked is dropped, and a user can read how often and why", arguments: RxMode.allCases)
  func strangers(mode: RxMode) throws {
    let (agents, server) = try Self.makeAgents(mode: mode, seed: 39)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    var stranger = STUNWriter(.indication, method: STUNType.data, id: STUNTransactionID(high: 1, low: 2))
    stranger.add(STUNType.xorPeerAddress, SocketAddress(ipv4: 0xCB00_7109, port: 9))
    stranger.add(STUNType.dataValue, [128, 0, 0, 0])
    for client in server.withLock({ $0.allocations.map(\.client) }) {
      for bytes in [stranger.bytes, stranger.bytes, [0x4A, 0xAA, 0, 4, 128, 0, 0, 0]] {
        agents.simulation.network.inject(bytes, from: ModelledServer.ipv4, to: client)
      }
    }
    agents.run(milliseconds: 500)
    // The first one asks the transport.
    _ = try CallControlTests.run("/audio_debug", agents.alice)
    agents.run(milliseconds: 100)
    let shown = try CallControlTests.run("/audio_debug", agents.alice)
    #expect(shown.contains("not taken without a permission 2, without a channel 1,"), "\(shown)")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.failure == nil && report.media.lost == 0)
      let drops = report.media.drops
      #expect(drops.unpermitted == 2 && drops.unbound == 1 && drops.total == 3, "\(drops)")
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams)
    }
  }

  @Test("new DTLS keys are agreed by the relays in use", arguments: RxMode.allCases, [true, false])
  func rekey(mode: RxMode, usesRTCPMux: Bool) throws {
    let (agents, server) = try Self.makeAgents(mode: mode, usesRTCPMux: usesRTCPMux, seed: 32)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    let relays = server.withLock { $0.allocations.map(\.relayed) }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 4000)
    #expect(server.withLock { $0.allocations.map(\.relayed) } == relays)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.failure == nil && report.media.lost == 0 && report.media.rekeys == 1, "\(report.media.rekeys)")
    }
  }

  @Test("new DTLS keys that want other ports are refused where only relays are allowed, and the call goes on")
  func rekeyOnOtherPorts() throws {
    let (agents, _) = try Self.makeAgents(mode: .main, seed: 37, rekeyPorts: "new")
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 5000)
    #expect(agents.bob.warnings.contains { $0.contains("doesn't wait for a relay") }, "\(agents.bob.warnings)")
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.failure == nil && report.media.lost == 0 && report.media.rekeys == 0)
    }
  }

  @Test("who asks for figures while relays are given back does not count as a loss", arguments: RxMode.allCases)
  func figuresAtTheEnd(mode: RxMode) throws {
    let (agents, _) = try Self.makeAgents(mode: mode, seed: 40)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    let isOver = agents.simulation.run(milliseconds: 5000) {
      agents.alice.act { $0.refreshStatistics(call) }
      agents.bob.act { $0.refreshStatistics(agents.bobCall) }
      return !agents.alice.ended.isEmpty && !agents.bob.ended.isEmpty
    }
    #expect(isOver)
    for report in [agents.alice.ended[0], agents.bob.ended[0]] { #expect(report.media.drops.mailboxFull == 0) }
  }

  @Test("a relay is given back at the end of a call, though its nonce is stale by then", arguments: RxMode.allCases)
  func staleEnd(mode: RxMode) throws {
    let (agents, server) = try Self.makeAgents(mode: mode, usesRTCPMux: false, seed: 38) { $0.nonceLifetime = 4_000 }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 9_000)
    #expect(server.withLock { $0.allocations.count } == 4)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    agents.run(milliseconds: 1_500)
    #expect(server.withLock { $0.allocations.isEmpty && $0.staleNonces >= 4 })
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams)
    }
  }

  @Test("a server that says nothing is waited for, and is one sentence", arguments: RxMode.allCases)
  func silence(mode: RxMode) throws {
    let (agents, _) = try Self.makeAgents(mode: mode, seed: 33, policy: "all") { $0.isSilent = true }
    let call = try agents.call()
    agents.run(milliseconds: 1900)
    #expect(agents.bob.act { $0.callCount } == 0, "the offer waits")
    agents.run(milliseconds: 3000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    for agent in [agents.alice, agents.bob] {
      #expect(
        agent.warnings == ["turn:198.51.100.1:3478 has not answered within 2.0 s; the call goes on without it"])
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].failure == nil)
  }

  @Test("a wrong password is one sentence, and the call has its hosts", arguments: RxMode.allCases)
  func wrongPassword(mode: RxMode) throws {
    let (agents, _) = try Self.makeAgents(
      mode: mode, seed: 34, uri: "turn:apus:hunter2@198.51.100.1", policy: "all")
    let call = try agents.establishedCall()
    for agent in [agents.alice, agents.bob] {
      #expect(
        agent.warnings == ["turn:198.51.100.1:3478 refuses the user or the password; the call goes on without it"])
      #expect(ICECallTests.lines(agent, "candidate").allSatisfy { $0.hasSuffix("typ host") })
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }

  @Test(
    "an offer of the peer's while ours waits for candidates is answered by what stands; what ours was for goes again",
    arguments: RxMode.allCases)
  func overtaken(mode: RxMode) throws {
    let (agents, server) = try Self.makeAgents(
      mode: mode, seed: 48, uri: "stun:198.51.100.1", policy: "all", rekeyPorts: "new")
    agents.simulation.network.setMedia(LinkConditions(delay: 100_000...100_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 5000)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.alice.act { $0.setHold(call, true) }
    #expect(agents.alice.act { $0.calls[call]?.gathering != nil })
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 5000)
    #expect(agents.alice.report?.isHeldByPeer == true && agents.alice.report?.isOnHold == true)
    #expect(agents.bob.report?.isHeldByPeer == true && agents.bob.report?.isOnHold == true)
    agents.bob.act { $0.setHold(agents.bobCall, false) }
    agents.run(milliseconds: 3000)
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: 3000)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 8000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    agents.run(milliseconds: 100)
    #expect(try Self.goodEnds(of: agents).map(\.media.rekeys) == [1, 1])
    #expect(server.withLock { $0.allocations.isEmpty }, "every relay was given back")
  }

  @Test("a call that ends while its candidates are gathered is over, and nobody was called", arguments: RxMode.allCases)
  func hangUpMeanwhile(mode: RxMode) throws {
    let (agents, _) = try Self.makeAgents(mode: mode, seed: 35) { $0.isSilent = true }
    let call = try agents.call()
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(call) }
    agents.run(milliseconds: 5000)
    #expect(agents.alice.ended.map(\.reason) == ["hangup"] && agents.alice.act { $0.callCount } == 0)
    #expect(agents.bob.events.isEmpty && agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("where nothing but a relay is allowed and there is none, the call is refused with the reason")
  func noRelay() throws {
    let (agents, _) = try Self.makeAgents(mode: .main, seed: 36, uri: "turn:apus:wrong@198.51.100.1")
    try agents.call()
    agents.run(milliseconds: 3000)
    let failure = try #require(agents.alice.ended.first?.failure)
    #expect(failure.message.contains("no server gives a relay") && agents.bob.events.isEmpty)
  }
}
