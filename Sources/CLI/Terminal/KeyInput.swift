internal import Glibc
internal import Runtime
internal import Synchronization

/// Keys from a terminal, as they are pressed.
enum KeyInput {
  /// What the terminal was like before.
  // A signal handler reads it: written once, before `isChanged` says so, which every reader asks first.
  nonisolated(unsafe) private static let saved = UnsafeMutablePointer<termios>.allocate(capacity: 1)
  private static let isChanged = Atomic<Bool>(false)

  /// Whether standard input is a terminal that somebody else types into: a shell's that has begun this program with `&`.
  static var isElsewhere: Bool {
    // -1: it is no terminal, or not the one that controls this program.
    let group = tcgetpgrp(STDIN_FILENO)
    return group >= 0 && group != getpgrp()
  }

  /// Lets the terminal on standard input give each key at once, unshown; false where there is none, or where nobody would
  /// see what he writes. Until `restore`.
  static func begin() -> Bool {
    guard !self.isElsewhere, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1,
      unsafe tcgetattr(STDIN_FILENO, self.saved) == 0
    else { return false }
    var mode = unsafe self.saved.pointee
    mode.c_lflag &= ~tcflag_t(ICANON | ECHO)
    self.isChanged.store(true, ordering: .releasing)
    return unsafe tcsetattr(STDIN_FILENO, TCSANOW, &mode) == 0
  }

  /// Makes the terminal what it was. A signal handler may call it.
  static func restore() {
    guard self.isChanged.exchange(false, ordering: .acquiringAndReleasing) else { return }
    unsafe tcsetattr(STDIN_FILENO, TCSANOW, self.saved)
  }

  /// What is typed, in pieces as the terminal gives them, until it is hung up. Ctrl-D is baresip's release of a key, which
  /// says nothing here. Call it once.
  static func pieces() -> AsyncStream<String> {
    AsyncStream { continuation in
      let started = DetachedThread.start(name: "input") {
        var bytes = [UInt8](repeating: 0, count: 256)
        var pending: [UInt8] = []
        while true {
          let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
          if count < 0, errno == EINTR { continue }
          guard count > 0 else { break }
          pending += bytes.prefix(count).filter { $0 != 4 }
          guard !pending.isEmpty else { continue }
          // A character that comes in two reads waits for its end.
          let text = String(validating: pending, as: UTF8.self)
          guard text != nil || pending.count > 8 else { continue }
          pending = []
          continuation.yield(text ?? "")
        }
        continuation.finish()
      }
      if !started { continuation.finish() }
    }
  }
}
