internal import ArgumentParser

/// `apus demo`: two user agents in one process.
struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Let two agents in this process call each other over loopback: speech one way, a tone the other.")

  @OptionGroup var media: MediaOptions

  func validate() throws { try self.media.validate(usual: .dtls) }

  func run() async throws { try await reporting(self.media.json) { try await runDemo(self) } }
}
