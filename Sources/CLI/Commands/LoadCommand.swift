internal import ArgumentParser
internal import NetBase

/// `apus load`: many calls at once.
struct LoadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Make many calls at once, between two agents in this process, towards a peer, or answer all that come.")

  @Option(
    help: ArgumentHelp("Calls at the same time.", valueName: "number"), transform: Parse.integer(1...1_000_000))
  var calls: Int = 10

  @Option(
    help: ArgumentHelp("Calls that start in a second.", valueName: "number"), transform: Parse.decimal(Parse.positive))
  var rate: Double = 10

  @Option(help: ArgumentHelp("Call this peer.", valueName: "uri"), transform: Parse.uri)
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Listen at this address and answer all that comes, until Ctrl-C or SIGTERM.", valueName: "uri"),
    transform: Parse.uri)
  var answer: String?

  @OptionGroup var media: MediaOptions

  func validate() throws {
    if self.to != nil, self.answer != nil { throw ValidationError("--to and --answer exclude each other") }
  }

  func run() async throws { try await runLoad(self) }
}
