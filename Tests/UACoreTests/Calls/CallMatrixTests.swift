import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// A media encryption in a receive mode.
struct Cell: Sendable, CustomTestStringConvertible {
  let encryption: String?
  let mode: RxMode
  var testDescription: String { "\(self.encryption ?? "none") in mode \(self.mode.rawValue)" }

  static let all = RxMode.allCases.flatMap { mode in
    [nil, "srtp", "srtp-mand", "dtls_srtp"].map { Cell(encryption: $0, mode: mode) }
  }
}

/// Whole calls on a virtual clock: every media encryption in every receive mode.
@Suite struct CallMatrixTests {
  @Test(
    "test_call_mediaenc: a call carries every sample both ways, and both ends end it", arguments: Cell.all,
    [UInt64(1), 2, 3])
  func carriesEverySample(cell: Cell, seed: UInt64) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: seed)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 4000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())

    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let report = try #require(agent.ended.first)
      #expect(agent.ended.count == 1 && agent.warnings.isEmpty)
      #expect(report.reason == "hangup" && report.failure == nil && report.state == .ended)
      #expect(report.codec == "PCMU/8000/1" && report.rxMode == cell.mode)
      #expect(report.mediaEncryption == cell.encryption ?? "none")
      #expect((report.profile != nil) == (cell.encryption != nil))
      #expect((report.secure != nil) == (cell.encryption != nil))
      #expect(report.media.lost == 0 && report.media.late == 0 && report.media.duplicate == 0)
      #expect(report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.sendFailures == 0)
      #expect(report.media.receivedPackets >= 195)
      let samples = ProbeCapture.samples(heard)
      let matched = try #require(try ExpectedAudio.matchedSamples(samples), "\(agent.name) heard something else")
      #expect(matched >= 8000 * 35 / 10)
      #expect(ProbeCapture.finishes(heard) == 1)
      #expect(agent.ownLoops == (cell.mode == .thread ? 1 : 0, 0))
    }
    #expect(agents.alice.ended[0].media.sentPackets - agents.bob.ended[0].media.receivedPackets <= 1)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("the same seed gives the same call, packet for packet", arguments: ["srtp", nil])
  func isRepeatable(encryption: String?) throws {
    func run() throws -> (NetworkCounters, [Double?]) {
      let agents = try SimulatedAgents(mode: .pool, encryption: encryption, seed: 7)
      agents.simulation.network.setMedia(LinkConditions(delay: 1000...30_000, loss: 0.02, duplication: 0.01))
      let call = try agents.establishedCall()
      agents.run(milliseconds: 3000)
      agents.alice.act { $0.hangUp(call) }
      #expect(agents.runUntilIdle())
      let reports = agents.alice.ended + agents.bob.ended
      return (agents.simulation.network.counters, reports.flatMap { [$0.setup, $0.firstMedia, $0.media.jitter] })
    }
    let (first, second) = (try run(), try run())
    #expect(first.0 == second.0 && first.1 == second.1)
  }
}
