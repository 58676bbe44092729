internal import CReplay
internal import Glibc

/// Makes what OpenSSL draws and reads repeat, on the thread that runs a simulation.
package enum Replay {
  /// What a run took from outside.
  package struct Use: Equatable, Sendable {
    /// Random bytes that OpenSSL drew.
    package let randomBytes: UInt64
    /// How often the wall clock was read.
    package let clockReads: UInt64
  }

  /// Runs `body` with randomness from `seed`, and a wall clock that begins at `seconds` since 1970.
  ///
  /// - Parameter clockStep: microseconds by which the clock jumps each time that it is read.
  package static func run<Result>(
    seed: UInt64, seconds: Int64 = 1_700_000_000, clockStep: Int64 = 0, _ body: () throws -> Result
  ) rethrows -> Result {
    creplay_begin(seed, seconds, clockStep)
    defer { creplay_end() }
    return try body()
  }

  /// Within `run`: what it took so far.
  package static var use: Use {
    Use(randomBytes: creplay_random_bytes(), clockReads: creplay_clock_reads())
  }
}

/// Some seeds, one after the other.
package struct SeedShard: Sendable, CustomStringConvertible {
  package let seeds: [UInt64]
  package var description: String { "\(self.seeds.count) seeds from \(self.seeds.first ?? 0) on" }
}

/// How many seeds a test runs: few in a debug build, all that are asked for in an optimised one.
package enum Seeds {
  /// `APUS_SEEDS=N` gives that one seed, `APUS_SEEDS=A..B` those from A to B; else 1 up to the count of the build.
  package static func chosen(debug: Int, release: Int) -> ClosedRange<UInt64> {
    if let asked = self.asked { return asked }
    #if DEBUG
      return 1...UInt64(debug)
    #else
      return 1...UInt64(release)
    #endif
  }

  /// Whether this is the long run of `Scripts/test --long`.
  package static let isLong = unsafe getenv("APUS_LONG").map { unsafe String(cString: $0) } == "1"

  /// A count of something else than seeds.
  package static func count(debug: Int, release: Int) -> Int {
    #if DEBUG
      return debug
    #else
      return release
    #endif
  }

  /// `seeds` in parts that can run beside each other.
  package static func shards(of seeds: ClosedRange<UInt64>, _ count: Int = 8) -> [SeedShard] {
    let parts = (0..<count).map { part in SeedShard(seeds: seeds.filter { $0 % UInt64(count) == UInt64(part) }) }
    return parts.filter { !$0.seeds.isEmpty }
  }

  private static var asked: ClosedRange<UInt64>? {
    guard let text = unsafe getenv("APUS_SEEDS").map({ unsafe String(cString: $0) }) else { return nil }
    let bounds = text.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard let first = bounds.first, let last = bounds.last, first <= last else { return nil }
    return first...last
  }
}
