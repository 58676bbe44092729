import NetBase
import SIPStack
import Testing
import ice

@testable import ICEAgent

@Suite("ICE sessions")
struct SessionTests {
  static func connected(_ scenario: ICEScenario = ICEScenario()) -> ICERun {
    let run = ICERun(scenario, seed: 7)
    run.meet()
    run.run(milliseconds: 60_000) { run.agents.allSatisfy { $0?.endedAt != nil } }
    return run
  }

  static func session(_ run: ICERun, _ index: Int) throws -> ICESession {
    try #require(run.agents[index]).session
  }

  @Test("two public hosts are connected some round trips after the descriptions have met")
  func quick() throws {
    let run = Self.connected()
    for agent in run.agents.compactMap({ $0 }) {
      #expect(agent.session.isConnected)
      let took = try #require(agent.endedAt).milliseconds(since: try #require(agent.remoteSetAt))
      #expect(took < 3_000, "\(took) ms")
    }
    #expect(run.faults().filter { !$0.contains("heard nothing") }.isEmpty)
  }

  @Test("new checks leave at least 50 ms apart (RFC 8445 §14.2)")
  func pacing() throws {
    var scenario = ICEScenario()
    scenario.components = 2
    scenario.sides[0].hasIPv6 = true
    scenario.sides[1].hasIPv6 = true
    let run = ICERun(scenario, seed: 3)
    var seen: Set<STUNTransactionID> = []
    var times: [Instant] = []
    run.onSend = { [unowned run] agent, bytes, _ in
      guard agent == 0, let message = bytes.withRawSpan({ STUNMessage($0) }), message.messageClass == .request,
        seen.insert(message.id).inserted
      else { return }
      times.append(run.now)
    }
    run.meet()
    run.run(milliseconds: 8_000)
    #expect(times.count > 6)
    for (before, after) in zip(times, times.dropFirst()) {
      #expect(after.milliseconds(since: before) >= 50)
    }
  }

  @Test("consent is asked for every 4 to 6 s, and a peer that falls silent is given up after 30 s (RFC 7675)")
  func consent() throws {
    let run = Self.connected()
    run.run(milliseconds: 120_000)
    for index in 0..<2 { #expect(try Self.session(run, index).failure == nil) }
    let cut = run.now
    run.isCut = true
    run.run(milliseconds: 40_000)
    for agent in run.agents.compactMap({ $0 }) {
      #expect(agent.session.failure?.contains("consent") == true)
      let took = try #require(agent.endedAt).milliseconds(since: cut)
      #expect((24_000...30_000).contains(took), "\(took) ms")
    }
  }

  @Test("a restart brings other credentials and a new nomination; the old pair stays in use until then")
  func restart() throws {
    let run = Self.connected()
    let (a, b) = (try Self.session(run, 0), try Self.session(run, 1))
    let (before, pair) = (a.local, a.selected)
    for index in 0..<2 {
      let agent = try #require(run.agents[index])
      agent.endedAt = nil
      agent.candidates = []
      agent.session.restart(now: run.now)
      run.drain(index)
    }
    #expect(a.local != before && a.selected == pair && !a.isConnected)
    run.run(milliseconds: 500)
    run.describe(try #require(run.agents[0]), to: 1)
    run.describe(try #require(run.agents[1]), to: 0)
    run.run(milliseconds: 5_000)
    #expect(a.isConnected && b.isConnected && a.selected == pair)
    run.run(milliseconds: 60_000)
    #expect(a.failure == nil && b.failure == nil)
  }

  @Test("a peer that is elsewhere after each of 130 restarts is vouched for each time")
  func manyRestarts() throws {
    let run = Self.connected()
    let session = try Self.session(run, 0)
    for round in 0..<130 {
      run.move(1)
      run.run(milliseconds: 30_000) { run.agents.allSatisfy { $0?.endedAt != nil } }
      let address = try #require(run.agents[1]).bases[0].address
      #expect(session.isConnected && session.selected[1]?.remote == address, "round \(round)")
      #expect(session.isValidated(address), "round \(round)")
    }
    #expect(session.validatedAddresses.count == ICESession.maximumValidated)
  }

  @Test("an answer to a check from before a restart, and another to one that was repeated, are no stranger's")
  func lateAnswers() throws {
    var scenario = ICEScenario()
    scenario.delay = 700...700
    let run = ICERun(scenario, seed: 7)
    run.meet()
    run.run(milliseconds: 10_000) {
      run.agents.allSatisfy { agent in
        guard let session = agent?.session else { return false }
        return session.counters.retransmissions > 0 && !session.transactions.isEmpty
      }
    }
    let (a, b) = (try Self.session(run, 0), try Self.session(run, 1))
    #expect(!a.transactions.isEmpty && !b.transactions.isEmpty && a.counters.retransmissions > 0)
    for index in 0..<2 {
      try #require(run.agents[index]).session.restart(now: run.now)
      run.drain(index)
    }
    run.run(milliseconds: 500)
    run.describe(try #require(run.agents[0]), to: 1)
    run.describe(try #require(run.agents[1]), to: 0)
    run.run(milliseconds: 30_000)
    #expect(a.isConnected && b.isConnected)
    #expect(a.counters.dropped == 0 && b.counters.dropped == 0, "\(a.counters) \(b.counters)")
  }

  @Test("a peer that has not heard of a restart yet still gets consent by the old credentials")
  func lateRestart() throws {
    let run = Self.connected()
    let agent = try #require(run.agents[0])
    agent.session.restart(now: run.now)
    run.drain(0)
    run.run(milliseconds: 60_000)
    #expect(try Self.session(run, 1).failure == nil)
  }

  @Test("both roles alike are settled by the tie-breaker", arguments: [ICERole.controlling, .controlled])
  func conflict(role: ICERole) throws {
    var scenario = ICEScenario()
    scenario.roles = [role, role]
    let run = Self.connected(scenario)
    let (a, b) = (try Self.session(run, 0), try Self.session(run, 1))
    #expect(a.isConnected && b.isConnected && a.role != b.role)
    #expect((a.tieBreaker > b.tieBreaker) == (a.role == .controlling))
  }

  @Test("a lite agent checks nothing, and is connected by what its peer nominates", arguments: [0, 1])
  func lite(which: Int) throws {
    var scenario = ICEScenario()
    scenario.sides[which].isLite = true
    scenario.sides[1 - which].nat = .portRestricted
    scenario.components = 2
    let run = ICERun(scenario, seed: 5)
    var requests = 0
    run.onSend = { agent, bytes, _ in
      if agent == which, bytes.withRawSpan({ STUNMessage($0)?.messageClass }) == .request { requests += 1 }
    }
    run.meet()
    run.run(milliseconds: 30_000)
    #expect(requests == 0)
    for index in 0..<2 { #expect(try Self.session(run, index).isConnected) }
    #expect(try Self.session(run, which).role == .controlled)
  }

  @Test("two lite agents use what they told each other")
  func bothLite() throws {
    var scenario = ICEScenario()
    for index in 0..<2 { scenario.sides[index].isLite = true }
    let run = Self.connected(scenario)
    run.sendData()
    #expect(run.faults().isEmpty)
  }

  @Test("of 10,000 candidates no more than 100 make pairs, and a failure comes in time and says why")
  func limits() throws {
    var scenario = ICEScenario()
    scenario.sides[1].nat = .blocked
    let run = ICERun(scenario, seed: 9)
    let agent = run.makeAgent(0)
    let credentials = try #require(ICECredentials(fragment: "abcd", password: "0123456789012345678901"))
    let candidates = (0..<10_000).map {
      ICECandidate(
        foundation: "\($0)", component: 1, priority: UInt32($0 + 1),
        address: SocketAddress(ipv4: 0xC633_6500 + UInt32($0), port: 9), kind: .host)
    }
    let start = run.now
    agent.session.setRemote(ICERemote(credentials: credentials, candidates: candidates), now: run.now)
    run.drain(0)
    #expect(agent.session.pairs.count == 100)
    run.run(milliseconds: 60_000)
    #expect(try #require(agent.endedAt).milliseconds(since: start) <= 40_000)
    #expect(agent.session.failure == "ICE: none of 100 pairs of addresses answered within 39 s")
  }

  @Test("rtcp-mux that the peer agrees to drops the second component")
  func muxed() throws {
    var scenario = ICEScenario()
    scenario.components = 2
    let run = ICERun(scenario, seed: 2)
    let (a, b) = (run.makeAgent(0), run.makeAgent(1))
    for (one, other) in [(a, b), (b, a)] {
      one.session.setRemote(
        ICERemote(credentials: other.session.local, candidates: other.candidates, components: 1), now: run.now)
    }
    run.drain(0)
    run.drain(1)
    run.run(milliseconds: 5_000)
    #expect(a.session.isConnected && b.session.isConnected)
    #expect(a.session.selected.keys.sorted() == [1])
  }
}
