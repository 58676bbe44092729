internal import ArgumentParser
internal import ModuleKit

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

/// Runs a command; whatever stops it ends the program with one sentence, and with `--json` one that ends before it could
/// print its object prints one that says why.
func reporting(_ isJSON: Bool, _ command: () async throws -> Void) async throws {
  do { try await command() } catch let code as ExitCode {
    throw code
  } catch {
    let failure = Failure(error)
    if isJSON, !failure.isReported { StandardOutput.print(["ok": false, "error": .string(failure.message)] as JSON) }
    throw failure
  }
}
