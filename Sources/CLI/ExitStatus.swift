/// What the program's exit code says (BSD's sysexits, where there is one).
enum ExitStatus: Int32, Sendable {
  case done = 0
  /// The call was refused or ended badly.
  case callFailed = 1
  /// The command line is wrong; an unknown codec or mode is named in it.
  case usage = 64
  /// An input file is missing.
  case noInput = 66
  /// The peer is unreachable or doesn't answer, or a local port is taken.
  case unavailable = 69
  /// A recording, or standard output, can't be written.
  case cannotCreate = 73
  /// The config folder has errors.
  case configuration = 78
}
