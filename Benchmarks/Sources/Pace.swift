internal import Glibc
internal import NetBase
internal import Runtime

/// The bench's own clock.
enum Pace {
  static func sleep(until instant: Instant) {
    var time = timespec(
      tv_sec: Int(instant.nanoseconds / 1_000_000_000), tv_nsec: Int(instant.nanoseconds % 1_000_000_000))
    while unsafe clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == EINTR {}
  }

  /// The same for a task, which keeps no thread waiting.
  static func wait(until instant: Instant) async throws {
    let left = instant.nanoseconds(since: .now)
    if left > 0 { try await Task.sleep(for: .nanoseconds(left)) }
  }
}
