internal import ArgumentParser
internal import ModuleKit
internal import NetBase

/// `apus load`: many calls at once.
struct LoadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Make many calls at once, between two agents in this process, towards a peer, or answer all that come.",
    discussion: """
      The calls begin at --rate, each a part of a packet time apart from the others, so that their packets do not leave all \
      at once; when all are up they last --seconds, and what is measured then is printed. By default every leg sends audio \
      of its own, encodes it, and decodes and plays all that it receives.
      """)

  @Argument(
    help: ArgumentHelp("Call this peer; without one both ends are in this process.", valueName: "uri"),
    transform: Parse.uri)
  var peer: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Calls at the same time; 10 by default.", valueName: "number"),
    transform: Parse.integer(1...1_000_000))
  var calls: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Calls that start in a second; 10 by default.", valueName: "number"), transform: Parse.positive)
  var rate: Double?

  @Option(help: ArgumentHelp("The same as the argument.", valueName: "uri"), transform: Parse.uri)
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Listen at this address and answer all that comes, until Ctrl-C or SIGTERM.", valueName: "uri"),
    transform: Parse.address)
  var answer: String?

  @Flag(help: "Encode the audio once for all legs; the result says so.")
  var shareEncoding = false

  @Flag(name: .customLong("no-decode"), help: "Neither decode nor play what is received; the result says so.")
  var skipsDecoding = false

  @Flag(
    help: ArgumentHelp(
      "All legs of an agent that have a thread in common share one port (rtp_single_port); "
        + "with DTLS-SRTP the peer must have one for each call."))
  var singlePort = false

  @OptionGroup var media: MediaOptions

  /// Whom to call; nil for the other agent of this process.
  var target: String? { self.peer ?? self.to }
  var callCount: Int { self.calls ?? 10 }
  var callRate: Double { self.rate ?? 10 }

  func validate() throws {
    try self.media.validate(usual: .none)
    if self.singlePort, self.media.rxmode == .thread {
      throw ValidationError("--single-port means nothing with --rxmode thread, where each leg has a thread of its own")
    }
    if self.singlePort, case .dtls? = self.media.mediaenc, self.target == nil, self.answer == nil, self.callCount > 1 {
      throw ValidationError(
        "--single-port with dtls_srtp needs a peer: between two agents of this process all calls of a thread are one pair "
          + "of ports, which has one association")
    }
    if self.to != nil, self.answer != nil { throw ValidationError("--to and --answer exclude each other") }
    if self.answer != nil, self.calls != nil || self.rate != nil {
      let option = self.calls != nil ? "--calls" : "--rate"
      throw ValidationError("\(option) means nothing with --answer, which takes all that comes")
    }
    guard self.peer != nil else { return }
    if self.to != nil { throw ValidationError("the peer is named twice, by itself and by --to: leave one of them out") }
    if self.answer != nil { throw ValidationError("--answer calls nobody: leave the peer out") }
  }

  func run() async throws { try await reporting(self.media.json) { try await runLoad(self) } }
}
