import Apus
import Testing

@Suite struct LibraryTests {
  private static func configuration(_ name: String, _ encryption: UserAgent.Encryption) -> UserAgent.Configuration {
    var configuration = UserAgent.Configuration()
    configuration.identity = "sip:\(name)@127.0.0.1"
    configuration.listen = "127.0.0.1:0"
    configuration.encryption = encryption
    return configuration
  }

  @Test("two programs talk: what one plays the other hears", arguments: UserAgent.Encryption.allCases)
  func audioCrosses(encryption: UserAgent.Encryption) async throws {
    let alice = try await UserAgent(Self.configuration("alice", encryption))
    let bob = try await UserAgent(Self.configuration("bob", encryption))
    let answering = Task { () -> Double in
      for await call in bob.incomingCalls {
        await call.answer()
        // Until alice's square wave comes through; ten seconds at most, for a machine that is busy.
        var loudest = 0.0
        var frames = 0
        for await frame in call.audio {
          let power = frame.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(1, frame.count))
          loudest = max(loudest, power)
          frames += 1
          if loudest > 4000 * 4000 || frames == 500 { break }
        }
        return loudest
      }
      return 0
    }
    let call = try await alice.call("sip:bob@\(bob.address)")
    try await call.waitUntilEstablished()
    let wave = (0..<16_000).map { Int16($0 / 20 % 2 == 0 ? 8000 : -8000) }
    call.play(wave)
    call.play(wave)
    let loudest = await answering.value
    await call.hangUp()
    let summary = await call.waitUntilEnded()
    await alice.shutDown()
    await bob.shutDown()
    #expect(loudest > 4000 * 4000)
    #expect(summary.reason == "hangup")
    #expect(summary.receivedPackets > 0)
    #expect((summary.srtpProfile != nil) == (encryption != .none))
  }

  @Test("a peer that is not there is reported at once, in one sentence")
  func nobodyThere() async throws {
    let alice = try await UserAgent(Self.configuration("alice", .none))
    let call = try await alice.call("sip:bob@127.0.0.1:9")
    await #expect(throws: ApusError.self) { try await call.waitUntilEstablished() }
    await alice.shutDown()
  }

  @Test("a bad address is refused before anything is sent")
  func badAddress() async throws {
    var configuration = UserAgent.Configuration()
    configuration.listen = "not an address"
    await #expect(throws: ApusError.self) { _ = try await UserAgent(configuration) }
  }
}
