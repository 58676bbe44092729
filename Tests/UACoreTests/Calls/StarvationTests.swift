import Handoff
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing

@testable import UACore

/// Agents whose threads get the processor for 20 ms of every second: slow, never wrong.
@Suite struct StarvationTests {
  private func starve(_ agents: SimulatedAgents, seconds: Int, _ isDone: () -> Bool = { false }) -> Bool {
    for _ in 0..<seconds {
      // Nobody runs; packets arrive and timers become due.
      let clock = agents.simulation.clock
      clock.advance(to: clock.now.advanced(byMilliseconds: 980))
      agents.run(milliseconds: 20)
      if isDone() { return true }
    }
    return false
  }

  @Test(
    "a call with two per cent of a processor comes up, sends no burst, and is whole again afterwards",
    arguments: Cell.all)
  func twoPerCent(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 97)
    let sent = Locked<[Int64: Int]>([:])
    let clock = agents.simulation.clock
    agents.simulation.network.tap { datagram in
      // By the second in which an agent sent its media.
      if !datagram.isSignalling, datagram.source.host == "10.0.0.1", datagram.source.port % 2 == 0,
        datagram.bytes[0] >> 6 == 2
      {
        sent.withLock { $0[clock.now.nanoseconds / 1_000_000_000, default: 0] += 1 }
      }
      return true
    }
    let call = try agents.call()
    #expect(
      self.starve(agents, seconds: 40) {
        agents.alice.report?.firstMedia != nil && agents.bob.report?.firstMedia != nil && agents.alice.isEstablished
      })
    _ = self.starve(agents, seconds: 20)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    // Half a second may be made good at once, no more.
    let most = sent.withLock { $0.values.max() ?? 0 }
    #expect((1...30).contains(most), "\(most) packets at once")
    // The processor is back.
    agents.run(milliseconds: 4000)
    for heard in [agents.aliceHears, agents.bobHears] {
      let last = Array(ProbeCapture.samples(heard).suffix(8000 * 2))
      #expect(last.count == 8000 * 2)
      let expected = try ExpectedAudio.muLaw(count: 480_000)
      let place = expected.indices.first { expected[$0..<min($0 + 64, expected.count)].elementsEqual(last.prefix(64)) }
      let start = try #require(place, "what is heard is not the other's voice")
      #expect(Array(expected[start..<start + last.count]) == last)
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.failure == nil && report.media.drops.auth == 0 && report.media.drops.plaintext == 0)
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }
}
