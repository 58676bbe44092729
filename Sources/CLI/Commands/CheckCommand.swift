internal import ArgumentParser
internal import ModuleKit
internal import UACore

/// `apus check`: validates a config folder.
struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Validate a config folder: what is wrong, where, and what is allowed.")

  @Option(
    name: .customShort("f", allowingJoined: true),
    help: ArgumentHelp("Config folder; ~/.apus by default.", valueName: "folder"))
  var folder: String?

  @Option(
    name: .customShort("m", allowingJoined: true),
    help: ArgumentHelp("A module to switch on before the config's; repeatable.", valueName: "module"))
  var modules: [String] = []

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws { try Parse.named(self.folder, "-f takes a folder") }

  func run() async throws { try await reporting(self.json) { try await self.check() } }

  private func check() async throws {
    let path = self.folder ?? ConfigFolder.defaultPath
    var problems: [ConfigProblem] = []
    do {
      let folder = try ConfigFolder.load(
        path: path, modules: compiledModules, preloaded: self.modules, problems: &problems)
      problems += await folder.rehearse(modules: compiledModules, hasErrors: problems.hasErrors)
    } catch {
      let hint = error.isMissing && self.folder == nil ? ": apus makes it when it is run for the first time" : ""
      throw Failure(error.isMissing ? .noInput : .configuration, error.description + hint)
    }
    if self.json {
      StandardOutput.print(Self.report(problems))
    } else {
      for problem in problems { StandardOutput.print(problem.description.withoutControls()) }
      if problems.isEmpty { StandardOutput.print("\(path): no problems") }
    }
    if problems.hasErrors { throw ExitCode(ExitStatus.configuration.rawValue) }
  }

  static func report(_ problems: [ConfigProblem]) -> JSON {
    [
      "ok": .bool(!problems.hasErrors),
      "problems": .array(
        problems.map { problem in
          [
            "file": .string(problem.file), "line": .integer(problem.line),
            "severity": .string(problem.severity.rawValue), "key": .string(problem.key),
            "message": .string(problem.message),
          ]
        }),
    ]
  }
}
