internal import ArgumentParser
internal import ModuleKit

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
  /// A recording can't be written.
  case cannotCreate = 73
  /// The config folder has errors.
  case configuration = 78
}

/// Ends the program: one sentence on standard error, and an exit code.
struct Failure: Error, Sendable {
  let status: ExitStatus
  let message: String
  /// Whether `--json` has printed what came of the command, the reason among it.
  var isReported = false

  init(_ status: ExitStatus, _ message: String) {
    self.status = status
    self.message = message
  }

  /// With what came of the command printed.
  var reported: Failure {
    var failure = self
    failure.isReported = true
    return failure
  }
}

/// Runs a command; with `--json`, one that ends before it could print its object prints one that says why.
func reporting(_ isJSON: Bool, _ command: () async throws -> Void) async throws {
  do { try await command() } catch let code as ExitCode {
    throw code
  } catch let error where isJSON {
    let failure = Failure(error)
    if !failure.isReported { print(["ok": false, "error": .string(failure.message)] as JSON) }
    throw failure
  }
}
