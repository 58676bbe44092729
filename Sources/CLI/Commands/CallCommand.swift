internal import ArgumentParser
internal import UACore

/// `apus call URI`: one call.
struct CallCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "call", abstract: "Make one call, play and record, hang up.",
    discussion: "Exits with 0 when the call was established and media flowed both ways.")

  @Argument(help: ArgumentHelp("Whom to call, for example sip:bob@192.0.2.1.", valueName: "uri"), transform: Parse.uri)
  var uri: String

  @Option(help: ArgumentHelp("What the peer hears; the shipped speech by default.", valueName: "file.wav"))
  var play: String?

  @Option(help: ArgumentHelp("Where to write what the peer says.", valueName: "file.wav"))
  var record: String?

  @Option(help: ArgumentHelp("What the peer sees: VP8 or H.264, as it is encoded.", valueName: "file.ivf"))
  var playVideo: String?

  @Option(help: ArgumentHelp("Where to write what the peer shows, as it is encoded.", valueName: "file.ivf"))
  var recordVideo: String?

  @OptionGroup var media: MediaOptions

  func validate() throws {
    for (name, file) in [
      ("play", self.play), ("record", self.record), ("play-video", self.playVideo), ("record-video", self.recordVideo),
    ] { try Parse.named(file, "--\(name) takes a file's name") }
    for (name, played) in [("play", self.play), ("play-video", self.playVideo)] {
      for case let recorded? in [self.record, self.recordVideo] {
        guard let played, isSameFile(played, recorded) else { continue }
        throw ValidationError("\(recorded) can't be recorded in: --\(name) plays it")
      }
    }
    try self.media.validate(usual: .none)
  }

  func run() async throws { try await reporting(self.media.json) { try await runCall(self) } }
}
