internal import Glibc
internal import Runtime
internal import Synchronization

/// SIGINT and SIGTERM: the first asks for a clean end, the second ends the process at once.
enum Signals {
  /// Where the handler writes; the read end belongs to the reader thread.
  private static let writeEnd = Atomic<Int32>(-1)
  /// When the first one came, in milliseconds of the monotonic clock, times 256, and its number; 0 until then.
  private static let begun = Atomic<Int>(0)
  /// Milliseconds: who ends a program may tell it and then all of its group (`timeout`), which is one wish.
  private static let oneWish = 100

  /// Gives the first signal's number, then ends. Call it once.
  static func first() -> AsyncStream<Int32> {
    AsyncStream { continuation in
      var ends: [Int32] = [-1, -1]
      let made = unsafe ends.withUnsafeMutableBufferPointer { unsafe pipe($0.baseAddress) }
      let readEnd = ends[0]
      let started =
        made == 0
        && DetachedThread.start(name: "signals") {
          var byte: UInt8 = 0
          while unsafe read(readEnd, &byte, 1) < 0, errno == EINTR {}
          continuation.yield(Int32(byte))
          continuation.finish()
        }
      guard started else {
        continuation.finish()
        return
      }
      self.writeEnd.store(ends[1], ordering: .releasing)
      self.begun.store(0, ordering: .releasing)
      self.install(SIGINT)
      self.install(SIGTERM)
    }
  }

  private static func install(_ number: Int32) {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { Signals.handle($0) }
    unsafe sigemptyset(&action.sa_mask)
    action.sa_flags = SA_RESTART
    unsafe sigaction(number, &action, nil)
  }

  /// Runs as a signal handler: atomics, `clock_gettime`, `write`, `tcsetattr` and `_exit` only.
  private static func handle(_ number: Int32) {
    let before = errno
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    let now = time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    let (isFirst, begun) = self.begun.compareExchange(
      expected: 0, desired: now << 8 | Int(number), ordering: .relaxed)
    if isFirst {
      var byte = UInt8(truncatingIfNeeded: number)
      _ = unsafe write(self.writeEnd.load(ordering: .acquiring), &byte, 1)
    } else if now - begun >> 8 >= self.oneWish || begun & 0xFF != Int(number) {
      KeyInput.restore()
      _exit(128 + number)
    }
    errno = before
  }
}
