internal import ArgumentParser

/// `apus run`: the client.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Register, answer, and take commands, as the config folder says.")

  @Option(
    name: .customShort("f", allowingJoined: true),
    help: ArgumentHelp(
      "Config folder; ~/.apus by default, which is created on first use.", valueName: "folder"))
  var folder: String?

  @Option(
    name: .customShort("e", allowingJoined: true),
    help: ArgumentHelp(
      "A command to execute at the start, for example \"/dial sip:bob@192.0.2.1\"; repeatable.", valueName: "command"))
  var commands: [String] = []

  @Option(
    name: .customShort("m", allowingJoined: true),
    help: ArgumentHelp("A module to switch on before the config's; repeatable.", valueName: "module"))
  var modules: [String] = []

  @Option(
    name: .customShort("p", allowingJoined: true),
    help: ArgumentHelp("Folder with sound files (audio_path).", valueName: "folder"))
  var audioPath: String?

  @Option(
    name: .customShort("n", allowingJoined: true),
    help: ArgumentHelp("Network interface or address (net_interface).", valueName: "interface"))
  var netInterface: String?

  @Option(
    name: .customShort("t", allowingJoined: true), parsing: .unconditional,
    help: ArgumentHelp("Quit after so many seconds.", valueName: "seconds"),
    transform: Parse.positive)
  var quitAfter: Double?

  @Flag(name: .customShort("v"), help: "Log more.")
  var isVerbose = false

  @Flag(name: .customShort("s"), help: "Trace SIP, keys and digests left out.")
  var tracesSIP = false

  @Flag(name: .customShort("4"), help: "IPv4 only.")
  var isIPv4Only = false

  @Flag(name: .customShort("6"), help: "IPv6 only.")
  var isIPv6Only = false

  func validate() throws {
    try Parse.named(self.folder, "-f takes a folder")
    if self.isIPv4Only, self.isIPv6Only { throw ValidationError("-4 and -6 exclude each other") }
  }

  func run() async throws { try await runAgent(self) }
}
