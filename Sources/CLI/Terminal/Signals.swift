internal import Glibc
internal import Runtime
internal import Synchronization

/// SIGINT and SIGTERM: the first asks for a clean end, the second ends the process at once.
enum Signals {
  /// Where the handler writes; the read end belongs to the reader thread.
  private static let writeEnd = Atomic<Int32>(-1)
  private static let received = Atomic<Int>(0)

  /// Gives the first signal's number, then ends. Call it once; SIGPIPE is ignored from then on.
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
      self.received.store(0, ordering: .releasing)
      self.install(SIGINT)
      self.install(SIGTERM)
      signal(SIGPIPE, SIG_IGN)
    }
  }

  private static func install(_ number: Int32) {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { Signals.handle($0) }
    unsafe sigemptyset(&action.sa_mask)
    action.sa_flags = SA_RESTART
    unsafe sigaction(number, &action, nil)
  }

  /// Runs as a signal handler: atomics, `write`, `tcsetattr` and `_exit` only.
  private static func handle(_ number: Int32) {
    let before = errno
    if self.received.wrappingAdd(1, ordering: .relaxed).newValue > 1 {
      KeyInput.restore()
      _exit(128 + number)
    }
    var byte = UInt8(truncatingIfNeeded: number)
    _ = unsafe write(self.writeEnd.load(ordering: .acquiring), &byte, 1)
    errno = before
  }
}
