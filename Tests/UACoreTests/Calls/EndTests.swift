import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// The end of a transport: what is on its way then, and what comes later.
@Suite struct EndTests {
  @Test("a report that arrives with the end is taken or not, and none is after it", arguments: Cell.all)
  func duringReports(cell: Cell) throws {
    for seed in UInt64(1)...6 {
      let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: seed)
      let network = agents.simulation.network
      let addresses = StrangerTests.MediaAddresses(network)
      let call = try agents.establishedCall()
      agents.run(milliseconds: 200)
      let (alice, bob) = (try addresses.of("10.0.0.1"), try addresses.of("10.0.0.2"))
      func report() {
        for (source, target) in [(bob, alice), (alice, bob)] {
          network.inject(
            PlainPackets.rtcp, from: source.with(port: source.port + 1), to: target.with(port: target.port + 1))
        }
      }
      // BYE takes a millisecond, as the reports do: they meet.
      for _ in 0..<4 { report() }
      agents.alice.act { $0.hangUp(call) }
      report()
      for agent in [agents.alice, agents.bob] {
        let isOver = agents.simulation.run(milliseconds: 5000) {
          if !agents.alice.ended.isEmpty, !agents.bob.ended.isEmpty { return true }
          report()
          return agent.ended.count == 1
        }
        #expect(isOver)
      }
      // Told that it is over, nobody has a socket or a handler left.
      #expect(network.mediaSocketCount == 0, "seed \(seed)")
      let (events, before) = (agents.alice.events.count + agents.bob.events.count, network.counters.undeliverable)
      let heard = ProbeCapture.samples(agents.aliceHears).count
      agents.run(milliseconds: 50)
      let late = network.counters.undeliverable
      for _ in 0..<10 { report() }
      agents.run(milliseconds: 1000)
      #expect(network.counters.undeliverable == late + 20 && late >= before)
      #expect(agents.alice.events.count + agents.bob.events.count == events)
      #expect(ProbeCapture.samples(agents.aliceHears).count == heard && ProbeCapture.finishes(agents.aliceHears) == 1)
    }
  }

  @Test("an agent that closes while a call stands ends its media: no socket and no loop is left", arguments: Cell.all)
  func closing(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption)
    _ = try agents.establishedCall()
    agents.run(milliseconds: 200)
    let sockets = agents.simulation.network.mediaSocketCount
    agents.alice.act { $0.close() }
    agents.run(milliseconds: 200)
    #expect(agents.simulation.network.mediaSocketCount == sockets / 2 && sockets > 0)
    #expect(agents.alice.ownLoops.running == 0)
    #expect(ProbeCapture.finishes(agents.aliceHears) == 1)
  }

  @Test("a hang-up finds room where every command is refused", arguments: RxMode.allCases)
  func fullLane(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    let call = try agents.establishedCall()
    // Main does not come to an end with this before a transport has its turn.
    agents.alice.act { core in
      for index in 0..<200 { core.mute(call, index % 2 == 0) }
      core.hangUp(call)
    }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.media.drops.mailboxFull ?? 0 > 100)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }
}
