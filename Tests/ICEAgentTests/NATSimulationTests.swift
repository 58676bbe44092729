import NetBase
import SIPStack
import TestSupport
import Testing

@testable import ICEAgent

/// A seed that fails prints itself, and `APUS_SEEDS=N` runs it again, datagram for datagram.
@Suite("ICE between modelled NATs")
struct NATSimulationTests {
  static let shards = Seeds.shards(of: Seeds.chosen(debug: 200, release: 5000))

  static func run(seed: UInt64) -> ICERun {
    let run = ICERun(ICEScenario(seed: seed), seed: seed)
    run.meet()
    self.connect(run)
    return run
  }

  private static func connect(_ run: ICERun) {
    run.run(milliseconds: 90_000) { run.agents.allSatisfy { $0?.endedAt != nil } }
    // What is under way may still find a better pair for a peer that hears of it late.
    run.run(milliseconds: 2_000)
    run.sendData()
  }

  @Test(
    "connected whenever a path exists, from another address too, failed with a reason within 40 s when none does",
    arguments: shards)
  func soundness(shard: SeedShard) {
    for seed in shard.seeds {
      let run = Self.run(seed: seed)
      var faults = run.faults()
      if faults.isEmpty, run.scenario.hasPath, let mover = run.scenario.mover {
        run.move(mover)
        Self.connect(run)
        faults = run.faults().map { "after agent \(mover) has moved: \($0)" }
      }
      #expect(
        faults.isEmpty,
        """
        seed \(seed): \(faults.joined(separator: "; "))
          \(run.scenario)
          again: APUS_SEEDS=\(seed) swift test --filter NATSimulationTests
        """)
    }
  }

  @Test("the scenarios are what they should be, and a seed gives the same run")
  func variety() {
    let scenarios = (1...400).map { ICEScenario(seed: $0) }
    #expect(scenarios.count { $0.hasPath } > 200 && scenarios.count { !$0.hasPath } > 50)
    #expect(scenarios.count { $0.roles[0] == $0.roles[1] } > 40)
    #expect(scenarios.count { $0.trickle != nil && $0.hasPath } > 50)
    #expect(scenarios.count { side in side.sides.contains { $0.isLite } } > 20)
    for mover in 0..<2 { #expect(scenarios.count { $0.mover == mover && $0.hasPath } > 20) }
    for seed in UInt64(1)...3 {
      let (one, other) = (Self.run(seed: seed), Self.run(seed: seed))
      for index in 0..<2 { #expect(one.agents[index]?.actions == other.agents[index]?.actions) }
    }
  }
}
