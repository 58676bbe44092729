internal import Glibc
internal import SIPStack
internal import Testing

@Suite("Random call flows")
struct RandomFlowTests {
  /// The seeds to run: `APUS_SEEDS` is one seed, or `A..B`.
  static let seeds: ClosedRange<UInt64> = {
    guard let text = unsafe getenv("APUS_SEEDS").map({ unsafe String(cString: $0) }) else { return usual }
    let bounds = text.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard let first = bounds.first, let last = bounds.last, first <= last else { return usual }
    return first...last
  }()

  #if DEBUG
    private static let usual: ClosedRange<UInt64> = 1...80
  #else
    private static let usual: ClosedRange<UInt64> = 1...10_000
  #endif

  @Test("no flow gets stuck, every call ends at both sides, and no timer outlives its call", arguments: 0..<8)
  func flows(part: UInt64) {
    var failed = 0
    for seed in Self.seeds where seed % 8 == part {
      let network = FlowRun.run(seed: seed)
      guard !network.violations.isEmpty else { continue }
      failed += 1
      Issue.record("APUS_SEEDS=\(seed): \(network.violations.prefix(3).joined(separator: "; "))")
      if Self.seeds.count == 1 {
        for line in FlowRun.run(seed: seed, isTraced: true).trace ?? [] { print(line) }
      }
      if failed >= 5 { return }
    }
  }

  @Test(
    "flows that failed once do so no more",
    arguments: [
      53_688, 73_097, 83_510, 84_316, 85_166, 86_443, 93_634, 116_649, 134_828, 153_792, 206_357, 212_886, 289_000,
      467_685, 467_689, 484_014, 499_379, 949_747, 999_953,
    ] as [UInt64])
  func onceFailed(seed: UInt64) {
    let network = FlowRun.run(seed: seed)
    #expect(network.violations.isEmpty, "APUS_SEEDS=\(seed): \(network.violations.prefix(3))")
  }

  @Test("a flow replays from its seed, message for message")
  func replay() {
    for seed in [1, 2, 3, 4, 5] as [UInt64] {
      let trace = FlowRun.run(seed: seed, isTraced: true).trace
      #expect(trace == FlowRun.run(seed: seed, isTraced: true).trace)
      #expect((trace?.count ?? 0) > 10)
    }
  }
}
