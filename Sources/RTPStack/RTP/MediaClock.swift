package import NetBase

/// A stream's RTP clock, laid over the monotonic clock: turns instants into timestamp units.
package struct MediaClock: Sendable {
  /// Timestamp units a second (RFC 3551 §4.1); always above zero.
  package let rate: Int64
  /// The instant at which the clock shows zero.
  package let origin: Instant

  /// A clock of `rate` units a second that shows zero at `origin`.
  package init(rate: Int, origin: Instant) {
    precondition(rate > 0, "a clock rate above zero")
    self.rate = Int64(rate)
    self.origin = origin
  }

  /// Timestamp units from the origin to `now`; split at the second, so that no year of uptime overflows.
  package func samples(at now: Instant) -> Int64 {
    let (seconds, rest) = now.nanoseconds(since: self.origin).quotientAndRemainder(dividingBy: 1_000_000_000)
    return seconds * self.rate + rest * self.rate / 1_000_000_000
  }

  /// Timestamp units in `milliseconds`.
  package func samples(milliseconds: Int) -> Int64 { Int64(milliseconds) * self.rate / 1000 }

  /// `samples` in milliseconds, with the fraction.
  package func milliseconds(_ samples: Int64) -> Double { Double(samples) * 1000 / Double(self.rate) }
}
