internal import Glibc
internal import Synchronization

/// Text for people, on standard error: `--json` keeps standard output to itself.
enum StandardError {
  /// Writes all of it, or gives up when nobody reads.
  static func write(_ text: String) { _ = writeAll(text, to: STDERR_FILENO) }
}

/// What the commands print: whoever reads a pipe or a file sees each line at once, unlike with Swift's `print`, and what
/// is lost is known at the end.
enum StandardOutput {
  /// The error of what was lost first; 0 where nothing was.
  private static let lossCode = Atomic<Int32>(0)

  /// Writes all of it, or gives up.
  static func write(_ text: String) {
    let code = writeAll(text, to: STDOUT_FILENO)
    // Who stops reading has had enough.
    guard code != 0, code != EPIPE else { return }
    _ = self.lossCode.compareExchange(expected: 0, desired: code, ordering: .relaxed)
  }

  /// Writes a line.
  static func print(_ value: some CustomStringConvertible) { self.write("\(value)\n") }

  /// Ends a command whose output was lost, on a full disk for example.
  static func checkLoss() throws(Failure) {
    let code = self.lossCode.load(ordering: .relaxed)
    guard code != 0 else { return }
    let reason = unsafe String(cString: strerror(code)).lowercased()
    throw Failure(.cannotCreate, "standard output can't be written: \(reason)")
  }
}

/// Waits for a reader that is slow, also where whoever shares the descriptor has made it non-blocking.
///
/// - Returns: the error that ended it; 0 when all is written.
func writeAll(_ text: String, to descriptor: Int32) -> Int32 {
  let bytes = Array(text.utf8)
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes[written...].withUnsafeBytes {
      unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
    }
    if count < 0, errno == EINTR { continue }
    if count < 0, errno == EAGAIN {
      var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      _ = unsafe poll(&room, 1, -1)
      continue
    }
    guard count > 0 else { return count < 0 ? errno : EIO }
    written += count
  }
  return 0
}

/// What the device behind a file descriptor can show.
struct Terminal: Sendable {
  /// SGR codes.
  enum Style: Int, Sendable {
    case bold = 1
    case dim = 2
    case red = 31
    case green = 32
    case yellow = 33
    case cyan = 36
  }

  private let descriptor: Int32
  /// Whether a person looks at it.
  let isInteractive: Bool
  /// False off a terminal, on a dumb one, and when `NO_COLOR` is set (no-color.org).
  let hasColour: Bool

  /// - Parameter descriptor: standard error unless told otherwise.
  init(_ descriptor: Int32 = STDERR_FILENO) {
    self.descriptor = descriptor
    self.isInteractive = isatty(descriptor) == 1
    self.hasColour =
      self.isInteractive && Self.variable("NO_COLOR").isEmpty && !["", "dumb"].contains(Self.variable("TERM"))
  }

  /// Columns; 80 where there is no terminal.
  var width: Int {
    var size = winsize()
    guard unsafe ioctl(self.descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// `text` in a style where the terminal has colours, else as it is.
  func styled(_ text: String, _ style: Style) -> String {
    self.hasColour ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }

  private static func variable(_ name: String) -> String {
    unsafe getenv(name).map { unsafe String(cString: $0) } ?? ""
  }
}

/// A line at the bottom of standard error that rewrites itself; nothing at all where nobody looks.
///
/// One owner. Whatever else is written to standard error meanwhile goes through `print`.
struct StatusLine: ~Copyable {
  private let terminal: Terminal
  private var shown = ""

  /// Takes away what the line shows.
  static let clearing = "\r\u{1B}[K"

  init(terminal: Terminal = Terminal()) { self.terminal = terminal }

  /// Replaces the line; text that is too long for the terminal is cut.
  mutating func update(_ text: String) {
    guard self.terminal.isInteractive, text != self.shown else { return }
    self.shown = text
    StandardError.write("\(Self.clearing)\(text.prefix(max(0, self.terminal.width - 1)))")
  }

  /// Writes a line that stays, above the status line.
  mutating func print(_ text: String) {
    let status = self.clear()
    StandardError.write("\(text)\n")
    self.update(status)
  }

  /// Takes the line away.
  ///
  /// - Returns: what it was.
  @discardableResult
  mutating func clear() -> String {
    guard !self.shown.isEmpty else { return "" }
    let shown = self.shown
    self.shown = ""
    StandardError.write(Self.clearing)
    return shown
  }
}
