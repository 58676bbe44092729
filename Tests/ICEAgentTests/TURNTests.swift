import NetBase
import SIPStack
import TestSupport
import Testing
import ice

@testable import ICEAgent

/// Calls that only a relay makes possible, on the virtual clock.
@Suite("ICE by TURN (RFC 8656)")
struct TURNTests {
  static func scenario(_ change: (inout ICEScenario) -> Void = { _ in }) -> ICEScenario {
    var scenario = ICEScenario()
    for index in 0..<2 {
      scenario.sides[index].nat = .symmetric
      scenario.sides[index].hasRelay = true
    }
    change(&scenario)
    return scenario
  }

  static func run(_ scenario: ICEScenario, change: (ICERun) -> Void = { _ in }) -> ICERun {
    let run = ICERun(scenario, seed: 11)
    change(run)
    run.meet()
    run.run(milliseconds: 60_000) { run.agents.allSatisfy { $0?.endedAt != nil } }
    run.run(milliseconds: 2_000)
    return run
  }

  /// Both send for a moment, and what each heard.
  static func isHeard(_ run: ICERun) -> Bool {
    for agent in run.agents { agent?.heard = [:] }
    run.sendData()
    return run.agents.allSatisfy { agent in (agent?.heard.count ?? 0) == run.scenario.components }
  }

  static func methods(_ run: ICERun, _ method: UInt16) -> Int { run.server.granted[method] ?? 0 }

  @Test("symmetric NATs on both sides are connected by a relay", arguments: [true, false], [1, 2])
  func symmetric(isModern: Bool, components: Int) throws {
    let run = Self.run(
      Self.scenario {
        $0.hasModernServer = isModern
        $0.components = components
      })
    run.sendData()
    #expect(run.faults().isEmpty, "\(run.faults())")
    for agent in run.agents.compactMap({ $0 }) {
      #expect(agent.candidates.count { $0.kind == .relayed } == components)
      #expect(agent.candidates.count { $0.kind == .serverReflexive } == components)
      #expect(agent.session.gatheringProblems.isEmpty && agent.session.counters.unauthentic == 0)
    }
    #expect(run.server.passedOnChannels > 0, "media goes on channels")
  }

  @Test("a relay that its server has forgotten is known to be gone when a permission is to be renewed")
  func forgotten() throws {
    let run = Self.run(Self.scenario { for index in 0..<2 { $0.sides[index].nat = .portRestricted } })
    let agents = run.agents.compactMap(\.self)
    #expect(agents.contains { agent in agent.session.allocations.contains { $0.state == .made } })
    run.server.forget()
    run.run(milliseconds: 300_000)
    #expect(agents.allSatisfy { agent in agent.session.allocations.allSatisfy { $0.state == .gone } })
    #expect(Self.isHeard(run), "no relay is in use")
  }

  @Test("where no relay is needed none is used")
  func direct() throws {
    let run = Self.run(Self.scenario { for index in 0..<2 { $0.sides[index].nat = .portRestricted } })
    let pairs = run.agents.compactMap { $0?.session.selected[1] }
    #expect(pairs.count == 2 && pairs.allSatisfy { !run.server.isHere($0.remote) })
  }

  @Test("of who is to be known by relays only, no host and no NAT is told, and nothing goes to the peer itself")
  func relayOnly() throws {
    let scenario = Self.scenario {
      for index in 0..<2 {
        $0.sides[index].nat = .none
        $0.sides[index].isRelayOnly = true
      }
    }
    var elsewhere = 0
    let run = Self.run(scenario) { run in
      run.onSend = { [unowned run] _, _, destination in if !run.server.isHere(destination) { elsewhere += 1 } }
    }
    run.sendData()
    #expect(run.faults().isEmpty && elsewhere == 0, "\(run.faults()) \(elsewhere)")
    for agent in run.agents.compactMap({ $0 }) {
      #expect(agent.candidates.count == 1 && agent.candidates[0].kind == .relayed)
      #expect(agent.candidates[0].related == SocketAddress(ipv4: 0, port: 9))
    }
  }

  @Test("an agent that is known by relays only answers no check that comes straight to its socket")
  func relayOnlyIsSilent() throws {
    let run = ICERun(Self.scenario { $0.sides[0].isRelayOnly = true }, seed: 3)
    let agent = run.makeAgent(0)
    run.run(milliseconds: 500)
    var check = STUNWriter(.request, id: STUNTransactionID(high: 9, low: 9))
    check.add(STUNType.username, "\(agent.session.local.fragment):peer")
    check.add(STUNType.priority, UInt32(1))
    check.addIntegrity(key: agent.session.local.key, crypto: .openSSL)
    check.addFingerprint()
    let before = agent.actions.count
    check.bytes.withRawSpan {
      agent.session.receive($0, from: SocketAddress(ipv4: 0x0102_0304, port: 5), base: 0, now: run.now)
    }
    run.drain(0)
    #expect(agent.actions.count == before && agent.session.counters.strangers == 1)
  }

  @Test("an hour on a relay: allocation, permission and channel are renewed in time, and stale nonces are answered")
  func anHour() throws {
    let run = Self.run(Self.scenario()) { $0.server.nonceLifetime = 100_000 }
    for minute in 1...60 {
      run.run(milliseconds: 60_000)
      #expect(Self.isHeard(run), "minute \(minute)")
    }
    for agent in run.agents.compactMap({ $0 }) { #expect(agent.session.failure == nil) }
    #expect(run.server.refused < 10, "of checks that were quicker than the permission: \(run.server.refused)")
    #expect(run.server.staleNonces > 10)
    // Each for two agents: every 9 minutes, every 4, every 9.
    #expect(Self.methods(run, STUNType.refresh) >= 12)
    #expect(Self.methods(run, STUNType.createPermission) >= 30)
    #expect(Self.methods(run, STUNType.channelBind) >= 7)
  }

  @Test("a lifetime of ten seconds is lived with")
  func shortLifetime() throws {
    let run = Self.run(Self.scenario()) { $0.server.lifetime = 10 }
    run.run(milliseconds: 120_000)
    #expect(Self.isHeard(run) && run.server.allocations.count == 2)
  }

  @Test("data goes in indications while no channel is bound")
  func withoutChannel() throws {
    let run = Self.run(Self.scenario { $0.components = 2 })
    let before = run.server.passedInIndications
    var relays = 0
    for (index, agent) in run.agents.enumerated() {
      guard let agent, let pair = agent.session.selected[1] else { continue }
      guard let relay = agent.session.framing(pair) else { continue }
      relays += 1
      let bare = TURNFraming(server: relay.server, peer: relay.peer, channel: nil, id: relay.id)
      for payload in [[UInt8](repeating: 128, count: 1), [UInt8](repeating: 128, count: 1_200)] {
        var room = [UInt8](repeating: 0, count: 2048)
        let count = payload.withRawSpan { bytes in
          room.withPacket(count: 0) { packet in bare.frame(bytes, in: &packet) ? packet.count : 0 }
        }
        run.send(Array(room[..<count]), from: agent.bases[0].address, of: index, to: relay.server)
      }
      #expect(relay.channel != nil)
    }
    run.run(milliseconds: 500)
    #expect(relays > 0 && run.server.passedInIndications == before + 2 * relays)
  }

  @Test("a wrong password is one sentence, and the other candidates are there", arguments: [true, false])
  func wrongPassword(isModern: Bool) throws {
    let run = ICERun(
      Self.scenario {
        $0.hasModernServer = isModern
        $0.sides[0].password = "wrong"
      }, seed: 5)
    let agent = run.makeAgent(0)
    run.run(milliseconds: 1_000)
    #expect(agent.session.isGatheringEnded && agent.candidates.map(\.kind) == [.host])
    #expect(agent.session.gatheringProblems == ["turn:198.51.100.1:3478 refuses the user or the password"])
  }

  @Test("a server that says nothing is waited for 2 s, and is one sentence")
  func silence() throws {
    let run = ICERun(Self.scenario(), seed: 5)
    run.server.isSilent = true
    let began = run.now
    let agent = run.makeAgent(0)
    run.run(milliseconds: 3_000)
    #expect(try #require(agent.gatheredAt).milliseconds(since: began) == 2_000)
    #expect(agent.session.gatheringProblems == ["turn:198.51.100.1:3478 has not answered within 2.0 s"])
    #expect(agent.session.counters.sent == 3, "at 0, 500 and 1,500 ms")
  }

  @Test("a request is repeated as RFC 8489 has it: seven times, the last after 31.5 s, given up after 39.5 s")
  func retransmission() throws {
    let run = ICERun(Self.scenario(), seed: 5)
    run.server.isSilent = true
    var times: [Int64] = []
    let began = run.now
    run.onSend = { [unowned run] _, _, _ in times.append(run.now.milliseconds(since: began)) }
    let agent = run.makeAgent(0)
    run.run(milliseconds: 60_000)
    #expect(times == [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500])
    #expect(agent.session.gatheringProblems == ["turn:198.51.100.1:3478 does not answer"])
  }

  @Test("a relay that is gone ends what goes over it, with the reason")
  func lost() throws {
    let run = Self.run(Self.scenario())
    run.server.forget()
    run.run(milliseconds: 600_000) { run.agents.contains { $0?.session.failure != nil } }
    let reasons = run.agents.compactMap { $0?.session.failure }
    #expect(
      !reasons.isEmpty && reasons.allSatisfy { $0.contains("consent expired") || $0.contains("refuses to relay") })
  }

  @Test("a session that ends gives its relays back")
  func released() throws {
    let run = Self.run(Self.scenario { $0.components = 2 })
    #expect(run.server.allocations.count == 4)
    for index in 0..<2 {
      try #require(run.agents[index]).session.close(now: run.now)
      run.drain(index)
    }
    run.run(milliseconds: 200)
    #expect(run.server.allocations.isEmpty)
  }

  @Test("rtcp-mux that the peer agrees to gives the second component's relay back")
  func muxed() throws { try Self.mux(afterGathering: true, relays: 4) }

  @Test("a relay that was not asked for yet is never asked for where the peer does without its component")
  func muxedAtOnce() throws { try Self.mux(afterGathering: false, relays: 0) }

  /// - Parameter relays: how many there are when the peers say that they share a socket.
  private static func mux(afterGathering: Bool, relays: Int) throws {
    let run = ICERun(Self.scenario { $0.components = 2 }, seed: 2)
    let (a, b) = (run.makeAgent(0), run.makeAgent(1))
    run.run(milliseconds: afterGathering ? 1_000 : 1)
    #expect(run.server.allocations.count == relays)
    for (one, other) in [(a, b), (b, a)] {
      one.session.setRemote(
        ICERemote(credentials: other.session.local, candidates: other.candidates, components: 1), now: run.now)
    }
    run.drain(0)
    run.drain(1)
    run.run(milliseconds: 10_000)
    #expect(a.session.isConnected && b.session.isConnected && run.server.allocations.count == 2)
  }

  @Test("a restart keeps the relay, and tells it again")
  func restart() throws {
    let run = Self.run(Self.scenario())
    let relays = run.server.allocations.map(\.relayed)
    for index in 0..<2 {
      let agent = try #require(run.agents[index])
      (agent.endedAt, agent.candidates) = (nil, [])
      agent.session.restart(now: run.now)
      run.drain(index)
    }
    run.run(milliseconds: 500)
    run.describe(try #require(run.agents[0]), to: 1)
    run.describe(try #require(run.agents[1]), to: 0)
    run.run(milliseconds: 8_000)
    #expect(run.agents.allSatisfy { $0?.session.isConnected == true } && Self.isHeard(run))
    #expect(run.server.allocations.map(\.relayed) == relays)
    let told = run.agents.compactMap { $0?.candidates.first { $0.kind == .relayed }?.address }
    #expect(Set(told) == Set(relays))
  }
}
