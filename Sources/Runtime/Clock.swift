internal import Glibc
package import NetBase
internal import Synchronization

/// Where a loop's time comes from: the kernel's monotonic clock, or a test.
package enum Clock: Sendable {
  case monotonic
  case virtual(VirtualClock)

  package var now: Instant {
    switch self {
    case .monotonic: .now
    case .virtual(let clock): clock.now
    }
  }
}

/// A clock that moves when a test moves it.
package final class VirtualClock: Sendable {
  private let nanoseconds: Atomic<Int64>

  package init(start: Instant = Instant(nanoseconds: 1_000_000_000)) {
    self.nanoseconds = Atomic(start.nanoseconds)
  }

  package var now: Instant { Instant(nanoseconds: self.nanoseconds.load(ordering: .acquiring)) }

  package func advance(to instant: Instant) {
    precondition(instant >= self.now, "a clock never goes back")
    self.nanoseconds.store(instant.nanoseconds, ordering: .releasing)
  }
}

extension Instant {
  /// The kernel's monotonic clock.
  package static var now: Instant {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }
}

/// Nanoseconds since 1970, for NTP timestamps and certificates; never for timers.
package func wallClockNanoseconds() -> Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
