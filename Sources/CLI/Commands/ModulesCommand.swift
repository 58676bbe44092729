internal import ArgumentParser
internal import ModuleKit

/// `apus modules`: what each module is, claims, and how it will be run.
struct ModulesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "modules", abstract: "List the modules: kind, thread-safety, and the plan for each receive mode.")

  @Option(
    name: .customShort("f", allowingJoined: true),
    help: ArgumentHelp("Config folder whose policy counts; ~/.apus where there is one.", valueName: "folder"))
  var folder: String?

  @Option(
    help: ArgumentHelp("The policy: reject, lock, marshal.", valueName: "policy"), transform: Parse.choice)
  var rxmodePolicy: AdmissionPolicy?

  @Flag(help: "Print a JSON list.")
  var json = false

  func validate() throws { try Parse.named(self.folder, "-f takes a folder") }

  func run() async throws { try await reporting(self.json) { try await runModules(self) } }
}
