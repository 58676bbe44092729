import Handoff
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Whole calls with media on one virtual clock: a seed chooses modes, encryption, network, and what the users do.
///
/// A seed that fails prints itself, and `APUS_SEEDS=N` runs it again, packet for packet.
@Suite struct WholeCallTests {
  static let shards = Seeds.shards(of: Seeds.chosen(debug: 60, release: 5000))

  @Test("every call ends on both sides, every packet is accounted for, and what arrives is heard", arguments: shards)
  func soundness(shard: SeedShard) throws {
    try Self.check(shard, .whole, "soundness")
  }

  static let signallingShards = Seeds.shards(of: Seeds.chosen(debug: 60, release: 2000))

  @Test(
    "set-up, handshake, changes of keys and the end are sound in every trouble, with hardly any media",
    arguments: signallingShards)
  func signalling(shard: SeedShard) throws {
    try Self.check(shard, .signalling, "signalling")
  }

  static let failedOnce: [(seed: UInt64, kind: Scenario.Kind)] =
    [(22_366, .whole)]
    + [110_611, 140_727, 310_141, 561_050, 791_741, 845_310, 868_363].map { ($0, .signalling) }

  @Test("the seeds of long runs that failed once", arguments: failedOnce)
  func repeated(seed: UInt64, kind: Scenario.Kind) throws {
    let faults = try WholeCall.run(seed: seed, kind: kind).faults()
    #expect(faults.isEmpty, "seed \(seed): \(faults.joined(separator: "; "))")
  }

  private static func check(_ shard: SeedShard, _ kind: Scenario.Kind, _ test: String) throws {
    var tally = Tally()
    for seed in shard.seeds {
      let call = try WholeCall.run(seed: seed, kind: kind)
      tally.add(call)
      let faults = try call.faults()
      #expect(
        faults.isEmpty,
        """
        seed \(seed): \(faults.joined(separator: "; "))
          \(call.scenario)
          again: APUS_SEEDS=\(seed) swift test --filter WholeCallTests/\(test)
        """)
    }
    // Of a long run, for the report.
    if shard.seeds.count >= 1000 { print(tally) }
    let all = Self.tallies.withLock { tallies in
      tallies.append(tally)
      return tallies.count == Self.shards.count + Self.signallingShards.count ? tallies : []
    }
    guard !all.isEmpty else { return }
    let sum = all.reduce(into: Tally()) { $0.add($1) }
    let faults = Fault.allCases.filter { $0 != .diskFull }
    print(sum.table(of: faults))
    let isFull = (Self.shards + Self.signallingShards).reduce(0) { $0 + $1.seeds.count } >= 7000
    for cell in sum.missing(faults, least: isFull ? 2 : 0) { Issue.record("hardly ever: \(cell)") }
  }

  /// Of the shards that are done, of both tests.
  private static let tallies = Locked<[Tally]>([])

  @Test("the scenarios are what they should be: all modes, encryptions, weathers, endings, and calls that stand")
  func variety() throws {
    let scenarios = (1...200).map { Scenario(seed: $0) }
    #expect(Set(scenarios.map(\.modes.alice)).count == RxMode.allCases.count)
    #expect(Set(scenarios.map(\.encryptions.alice)).count == 5)
    #expect(Set(scenarios.map(\.weather)).count == Scenario.Weather.allCases.count)
    #expect(scenarios.count { $0.isLossless } > 30)
    #expect(scenarios.count { $0.isLossless && $0.holds == 0 && !$0.hasDigits } > 15)
    let calls = try (1...40).map { try WholeCall.run(seed: $0) }
    #expect(calls.count { $0.alice.reports.first?.setup != nil } > 14)
    #expect(calls.count { ($0.bob.reports.first?.media.receivedPackets ?? 0) > 50 } > 6)
    #expect(calls.count { ($0.alice.reports.first?.media.rekeys ?? 0) > 0 } > 0)
  }
}
