package import NetBase

/// Turns instants into NTP time, by an offset that the caller read once from the wall clock (RFC 3550 §4).
package struct WallClock: Sendable {
  /// Unix time at the monotonic clock's origin, in nanoseconds.
  package let offset: Int64

  package init(unixNanosecondsAtOrigin offset: Int64) { self.offset = offset }

  /// Seconds since 1900 in the upper half, the fraction in the lower; wraps in 2036 as NTP does.
  package func ntpTime(_ now: Instant) -> UInt64 {
    let unix = now.nanoseconds &+ self.offset
    let second = unix >= 0 ? unix / 1_000_000_000 : (unix - 999_999_999) / 1_000_000_000
    let fraction = UInt64(unix - second * 1_000_000_000) << 32 / 1_000_000_000
    return UInt64(bitPattern: second &+ 2_208_988_800) << 32 | fraction
  }

  /// The middle 32 bits: 65536ths of a second.
  package func compactTime(_ now: Instant) -> UInt32 { UInt32(truncatingIfNeeded: self.ntpTime(now) >> 16) }
}
