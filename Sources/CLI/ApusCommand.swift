internal import ArgumentParser
internal import Glibc
internal import ModuleKit

/// The program `apus`; without a subcommand it is `apus run`.
@main struct ApusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "A SIP and WebRTC user agent, modular after baresip's pattern.",
    version: versionText,
    subcommands: [
      RunCommand.self, CallCommand.self, DemoCommand.self, ModulesCommand.self, CheckCommand.self, LoadCommand.self,
    ],
    defaultSubcommand: RunCommand.self)

  /// Parses and runs; every failure is one sentence on standard error and an `ExitStatus`.
  static func main() async {
    DescriptorLimit.raise()
    // Whoever reads what is printed may have enough of it.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try await asyncParseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      try StandardOutput.checkLoss()
    } catch let failure as Failure {
      StandardError.write("apus: \(failure.message.withoutControls())\n")
      Glibc.exit(failure.status.rawValue)
    } catch let code as ExitCode {
      // What it had to say is its output.
      do throws(Failure) { try StandardOutput.checkLoss() } catch { StandardError.write("apus: \(error.message)\n") }
      exit(withError: code)
    } catch {
      let code = exitCode(for: error)
      guard code == .validationFailure else { exit(withError: error) }
      let sentence = message(for: error).withoutPassword.withoutControls()
      if CommandLine.arguments.contains("--json") {
        StandardOutput.print(["ok": false, "error": .string(sentence)] as JSON)
      }
      StandardError.write("apus: \(sentence)\n")
      Glibc.exit(ExitStatus.usage.rawValue)
    }
  }
}
