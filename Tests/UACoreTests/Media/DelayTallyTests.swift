import Glibc
import Testing

@testable import UACore

@Suite struct DelayTallyTests {
  @Test("each delay is within a sixteenth below its step's end, from a microsecond to half a minute")
  func steps() {
    for nanoseconds in [1024, 1500, 4095, 4096, 1_000_000, 1_999_999, 123_456_789, 30_000_000_000] as [Int64] {
      let end = DelayCounts.upperBound(of: DelayCounts.bucket(of: nanoseconds))
      #expect(nanoseconds < end && end - nanoseconds <= nanoseconds / 15, "\(nanoseconds) ns is in the step to \(end)")
    }
    #expect(DelayCounts.bucket(of: -5) == 0 && DelayCounts.bucket(of: 0) == 0)
    #expect(DelayCounts.bucket(of: .max) == DelayCounts.bucketCount - 1)
  }

  @Test("a share's value is what that share took at most")
  func values() {
    let tally = DelayTally(stripes: 3)
    #expect(tally.counts.value(at: 0.5) == nil)
    for index in 1...1000 { tally.stripe(index).count(Int64(index) * 10_000) }
    let counts = tally.counts
    #expect(counts.total == 1000 && counts.longest == 10_000_000)
    for (share, nanoseconds) in [(0.5, 5_010_000), (0.99, 9_910_000)] as [(Double, Int64)] {
      let value = counts.value(at: share) ?? 0
      #expect(value >= nanoseconds && value <= nanoseconds * 17 / 16)
    }
    #expect(counts.value(at: 0.9999) == 10_000_000)
  }

  @Test("what came after a moment is told apart from what came before it")
  func since() {
    let tally = DelayTally(stripes: 1)
    tally.stripe(0).count(50_000_000)
    let before = tally.counts
    for _ in 0..<10 { tally.stripe(0).count(2_000_000) }
    let after = tally.counts.since(before)
    #expect(after.total == 10)
    #expect(after.longest >= 2_000_000 && after.longest < 2_200_000)
    #expect(tally.counts.longest == 50_000_000)
  }

  @Test("nothing is lost when threads count at the same time")
  func threads() async {
    let tally = DelayTally(stripes: 2)
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<8 {
        group.addTask { for _ in 0..<10_000 { tally.stripe(index).count(Int64(index) * 1000) } }
      }
    }
    #expect(tally.counts.total == 80_000 && tally.counts.longest == 7000)
  }

  @Test("of many transports every seventh measures, the first among them, and on each thread")
  func period() {
    let delays = MediaDelays(stripes: 2, period: 7)
    for index in 1...28 { delays.counters(for: index)?.tick.count(Int64(index) * 1000) }
    #expect(delays.tick.counts.total == 4 && delays.tick.counts.longest == 22_000)
    #expect(delays.counters(for: 1)?.tick !== delays.counters(for: 8)?.tick)
    let all = MediaDelays(stripes: 2)
    #expect((1...28).allSatisfy { all.counters(for: $0) != nil })
  }
}
