/// What a simulated network does to datagrams on their way.
package struct LinkConditions: Sendable {
  /// Microseconds; each datagram draws its own, so a wide range reorders.
  package var delay: ClosedRange<Int64>
  /// Share of the datagrams that never arrive, 0 to 1.
  package var loss: Double
  /// Share of the datagrams that arrive twice, 0 to 1.
  package var duplication: Double
  /// Share of the datagrams that arrive 30 ms later than those behind them, 0 to 1.
  package var reordering: Double
  /// Share of the datagrams that arrive with a few bits turned, 0 to 1.
  package var corruption: Double

  package init(
    delay: ClosedRange<Int64> = 1000...1000, loss: Double = 0, duplication: Double = 0, reordering: Double = 0,
    corruption: Double = 0
  ) {
    (self.delay, self.loss, self.duplication) = (delay, loss, duplication)
    (self.reordering, self.corruption) = (reordering, corruption)
  }

  static let reorderingDelay: Int64 = 30_000
}

/// Small, fast and the same everywhere (SplitMix64): what a seed gives can be replayed.
package struct TestGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { self.state = seed }

  package mutating func next() -> UInt64 {
    self.state &+= 0x9E37_79B9_7F4A_7C15
    var value = self.state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }

  /// True with the given probability, 0 to 1.
  package mutating func happens(_ probability: Double) -> Bool {
    probability > 0 && Double(self.next() >> 11) / Double(1 << 53) < probability
  }
}
