import Apus
import Glibc
import Testing

/// The README's example, as it stands there; it compiles, so it can be copied.
func readmeExample() async throws {
  let agent = try await UserAgent()  // DTLS-SRTP, Opus and G.711, media on a pool of threads
  let call = try await agent.call("sip:bob@127.0.0.1:5080")
  try await call.waitUntilEstablished()
  for await frame in call.audio.prefix(250) { call.play(frame) }  // five seconds of echo, 16-bit mono at 16 kHz
  await call.hangUp()
  print(try await call.waitUntilEnded())
  await agent.shutDown()
}

@Suite struct ReadmeExampleTests {
  @Test("the README shows the example that is compiled here")
  func isTheSame() throws {
    let file = #filePath
    let root = file.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
    let (readme, source) = (try text("\(root)/README.md"), try text(file))
    let body = try #require(source.components(between: "readmeExample() async throws {\n", and: "\n}\n"))
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
