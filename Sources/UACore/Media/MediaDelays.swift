internal import Synchronization

/// How long something took, counted by any threads while others look: no lock, and nothing is allocated.
///
/// From a microsecond to half a minute in steps of a sixteenth of a power of two; what is less counts as a microsecond.
/// Each thread best counts on a stripe of its own, which then stays in its processor's cache.
package final class DelayTally: Sendable {
  private let stripes: [Stripe]

  /// - Parameter stripes: how many; one for each processor is plenty.
  package init(stripes: Int) { self.stripes = (0..<max(1, stripes)).map { _ in Stripe() } }

  /// One set of counters, for the `index`th who counts.
  package func stripe(_ index: Int) -> Stripe { self.stripes[index % self.stripes.count] }

  /// What was counted so far.
  package var counts: DelayCounts {
    var all = DelayCounts()
    for stripe in self.stripes { stripe.add(to: &all) }
    return all
  }

  package final class Stripe: Sendable {
    private let buckets = InlineArray<400, Atomic<Int>> { _ in Atomic(0) }
    private let longest = Atomic<Int64>(0)

    /// - Parameter nanoseconds: what a clock that was set back makes negative is nothing.
    package func count(_ nanoseconds: Int64) {
      self.buckets[DelayCounts.bucket(of: nanoseconds)].add(1, ordering: .relaxed)
      guard nanoseconds > self.longest.load(ordering: .relaxed) else { return }
      self.longest.max(nanoseconds, ordering: .relaxed)
    }

    fileprivate func add(to counts: inout DelayCounts) {
      for index in 0..<DelayCounts.bucketCount {
        counts.buckets[index] += self.buckets[index].load(ordering: .relaxed)
      }
      counts.longest = max(counts.longest, self.longest.load(ordering: .relaxed))
    }
  }
}

/// A tally as it was at one moment.
package struct DelayCounts: Sendable {
  static let bucketCount = 400
  /// Powers of two: a microsecond, about; and sixteen steps to the next one.
  private static let first = 10
  private static let stepBits = 4

  fileprivate(set) var buckets = [Int](repeating: 0, count: Self.bucketCount)
  /// Nanoseconds.
  package fileprivate(set) var longest: Int64 = 0

  package init() {}

  package var total: Int { self.buckets.reduce(0, +) }

  /// Nanoseconds that so great a share of all took at most, within a sixteenth; nil where nothing was counted.
  package func value(at share: Double) -> Int64? {
    let total = self.total
    guard total > 0 else { return nil }
    let rank = min(total - 1, Int(Double(total) * share))
    var below = 0
    for (bucket, count) in self.buckets.enumerated() {
      below += count
      if below > rank { return min(Self.upperBound(of: bucket), self.longest) }
    }
    return self.longest
  }

  /// What was counted after `earlier`, a moment of the same tally.
  package func since(_ earlier: DelayCounts) -> DelayCounts {
    var later = self
    for index in later.buckets.indices { later.buckets[index] -= earlier.buckets[index] }
    let last = later.buckets.lastIndex { $0 > 0 }.map { Self.upperBound(of: $0) } ?? 0
    later.longest = self.longest > earlier.longest ? self.longest : min(last, self.longest)
    return later
  }

  /// Each step that occurred, by its upper end in nanoseconds.
  package var steps: [(nanoseconds: Int64, count: Int)] {
    self.buckets.enumerated().compactMap { bucket, count in
      count > 0 ? (min(Self.upperBound(of: bucket), self.longest), count) : nil
    }
  }

  static func bucket(of nanoseconds: Int64) -> Int {
    let value = max(nanoseconds, 1 << Self.first)
    let exponent = 63 - value.leadingZeroBitCount
    let step = Int(value >> Int64(exponent - Self.stepBits)) & 15
    return min((exponent - Self.first) << Self.stepBits + step, Self.bucketCount - 1)
  }

  /// The first value that is in the next one.
  static func upperBound(of bucket: Int) -> Int64 {
    let exponent = bucket >> Self.stepBits + Self.first
    return Int64(16 + bucket & 15 + 1) << Int64(exponent - Self.stepBits)
  }
}

/// What agents that measure their delays count them in.
package struct MediaDelays: Sendable {
  /// From the kernel's receive to the packet, decrypted, in the jitter buffer.
  package let receive: DelayTally
  /// From when a frame was due to be played, and one to be sent, to when that began. Loops wake at whole milliseconds, so
  /// that up to one of it is theirs.
  package let tick: DelayTally

  /// Of so many transports one measures.
  private let period: Int

  /// - Parameters:
  ///   - stripes: one for each processor is plenty.
  ///   - period: of so many transports one measures, the first among them: what many measure costs what it measures.
  package init(stripes: Int, period: Int = 1) {
    (self.receive, self.tick) = (DelayTally(stripes: stripes), DelayTally(stripes: stripes))
    self.period = period
  }

  /// - Parameter index: counted from 1; nil where that transport is not to measure.
  func counters(for index: Int) -> TransportDelays? {
    guard (index - 1).isMultiple(of: self.period) else { return nil }
    return TransportDelays(receive: self.receive.stripe(index), tick: self.tick.stripe(index))
  }
}

/// One transport's counters, which it shares with some others.
package struct TransportDelays: Sendable {
  package let receive: DelayTally.Stripe
  package let tick: DelayTally.Stripe
}
