import NetBase
import Testing
import ice

@testable import ICEAgent

/// The pair in use is lost while the checks of a restart look for another.
@Suite("ICE restarts whose old pair is lost (RFC 7675 §5.1, RFC 8445 §9)")
struct LostPairTests {
  /// Both begin anew and have each other's description at once.
  private static func restart(_ run: ICERun) {
    let agents = run.agents.compactMap { $0 }
    for (index, agent) in agents.enumerated() {
      (agent.endedAt, agent.remoteSetAt, agent.candidates) = (nil, nil, [])
      agent.session.restart(now: run.now)
      run.drain(index)
    }
    for (index, agent) in agents.enumerated() { run.describe(agent, to: 1 - index) }
  }

  /// Two that nothing has come through between for 23 s when they begin anew, and for 8 s after that.
  private static func silenced(components: Int) -> ICERun {
    var scenario = ICEScenario()
    scenario.components = components
    let run = SessionTests.connected(scenario)
    run.isCut = true
    run.run(milliseconds: 23_000)
    self.restart(run)
    run.run(milliseconds: 8_000)
    return run
  }

  @Test("consent that expires under a restart ends the pair's use and not the session", arguments: [1, 2])
  func consent(components: Int) {
    let run = Self.silenced(components: components)
    let agents = run.agents.compactMap { $0 }
    for agent in agents {
      #expect(agent.session.failure == nil && agent.session.selected.isEmpty)
      for component in 1...components {
        #expect(agent.session.sendingPair(component) == nil, "who does not consent is sent nothing")
        #expect(agent.actions.contains(.unselected(component: component)))
      }
    }
    run.isCut = false
    run.run(milliseconds: 10_000)
    #expect(agents.allSatisfy { $0.session.isConnected })
    run.sendData()
    #expect(run.faults().isEmpty, "\(run.faults())")
    run.run(milliseconds: 60_000)
    #expect(agents.allSatisfy { $0.session.failure == nil })
  }

  @Test("a restart that finds nothing fails within 40 s of its description")
  func nothingFound() throws {
    let run = Self.silenced(components: 1)
    run.run(milliseconds: 40_000)
    for agent in run.agents.compactMap({ $0 }) {
      #expect(agent.session.failure == "ICE: none of 1 pairs of addresses answered within 39 s")
    }
  }

  @Test("a pair that a restart has found is given up like any other")
  func nextPair() throws {
    let run = Self.silenced(components: 1)
    run.isCut = false
    run.run(milliseconds: 10_000)
    run.isCut = true
    run.run(milliseconds: 31_000)
    for agent in run.agents.compactMap({ $0 }) { #expect(agent.session.failure?.contains("consent expired") == true) }
  }

  @Test("a relay that is lost under a restart takes its pair with it, and another relay takes over")
  func relay() throws {
    let run = TURNTests.run(
      TURNTests.scenario {
        for index in 0..<2 {
          ($0.sides[index].transport, $0.sides[index].hasIPv6, $0.sides[index].isRelayOnly) = (.tcp, true, true)
        }
      })
    let agent = try #require(run.agents[0])
    let pair = try #require(agent.session.selected[1])
    let relay = try #require(agent.session.bases[pair.base].relay)
    Self.restart(run)
    run.disconnect(try #require(run.connections.first { $0.agent == 0 && $0.link.allocation == relay }))
    #expect(agent.session.failure == nil && agent.session.selected.isEmpty)
    #expect(agent.actions.contains(.unselected(component: 1)))
    run.run(milliseconds: 10_000)
    #expect(TURNTests.isHeard(run) && run.faults().isEmpty, "\(run.faults())")
    #expect(agent.session.selected[1]?.remote.family != pair.remote.family)
  }
}
