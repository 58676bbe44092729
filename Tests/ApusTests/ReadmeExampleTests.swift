import Apus
import Glibc
import Testing

/// The README's examples, as they stand there; they compile, so they can be copied.
func readmeExample() async throws {
  let agent = try await UserAgent()  // DTLS-SRTP, Opus and G.711, media on a pool of threads
  let call = try await agent.call("sip:bob@127.0.0.1:5080")
  try await call.waitUntilEstablished()
  for await frame in call.audio.prefix(250) { call.play(frame) }  // five seconds of echo, 16-bit mono at 16 kHz
  await call.hangUp()
  print(try await call.waitUntilEnded())
  await agent.shutDown()
}

func readmeAccount() async throws {
  var configuration = UserAgent.Configuration()
  configuration.account = UserAgent.Account(address: "sip:alice@example.com", password: "…")
  configuration.settings = ["rtp_ports": "20000-29999", "rtp_timeout": "30"]  // whatever else a config file may say
  let agent = try await UserAgent(configuration)
  try await agent.send(message: "hello", to: "sip:bob@example.com")  // what comes in is in agent.messages
}

@Suite struct ReadmeExampleTests {
  @Test("the README shows the examples that are compiled here", arguments: ["readmeExample", "readmeAccount"])
  func isTheSame(name: String) throws {
    let file = #filePath
    let root = file.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let (readme, source) = (try text("\(root)/README.md"), try text(file))
    let body = try #require(source.components(between: "func \(name)() async throws {\n", and: "\n}\n"))
    let example = body.split(separator: "\n").map { $0.dropFirst(2) }.joined(separator: "\n")
    #expect(example.count > 300)
    #expect(readme.ranges(of: example).count == 1)
  }

  private func text(_ path: String) throws -> String {
    let opened = unsafe fopen(path, "r")
    let file = try unsafe #require(opened)
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = unsafe fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension String {
  fileprivate func components(between start: String, and end: String) -> String? {
    guard let first = self.ranges(of: start).first,
      let last = self[first.upperBound...].ranges(of: end).first
    else { return nil }
    return String(self[first.upperBound..<last.lowerBound])
  }
}
