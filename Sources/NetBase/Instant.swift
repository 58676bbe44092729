/// A point on a monotonic clock, in nanoseconds from that clock's own origin.
///
/// Protocol machines are told the time; none of them asks for it.
public struct Instant: Comparable, Hashable, Sendable {
  public var nanoseconds: Int64

  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

  @inlinable public func advanced(byMilliseconds milliseconds: Int64) -> Instant {
    Instant(nanoseconds: self.nanoseconds + milliseconds * 1_000_000)
  }

  @inlinable public func advanced(byNanoseconds nanoseconds: Int64) -> Instant {
    Instant(nanoseconds: self.nanoseconds + nanoseconds)
  }

  @inlinable public func advanced(by duration: Duration) -> Instant {
    Instant(nanoseconds: self.nanoseconds + duration.inNanoseconds)
  }

  /// Nanoseconds from `earlier` to this instant; negative when `earlier` is later.
  @inlinable public func nanoseconds(since earlier: Instant) -> Int64 { self.nanoseconds - earlier.nanoseconds }

  /// Milliseconds from `earlier` to this instant, rounded towards zero.
  @inlinable public func milliseconds(since earlier: Instant) -> Int64 { self.nanoseconds(since: earlier) / 1_000_000 }
}

extension Duration {
  /// The duration in whole nanoseconds.
  @inlinable public var inNanoseconds: Int64 {
    let (seconds, attoseconds) = self.components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  /// The duration in milliseconds, with its fraction.
  @inlinable public var inMilliseconds: Double { Double(self.inNanoseconds) / 1e6 }
}
