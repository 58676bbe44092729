import Apus
import Testing

@Suite struct LibraryTests {
  @Test("two programs talk: what one plays the other hears", arguments: UserAgent.Encryption.allCases)
  func audioCrosses(encryption: UserAgent.Encryption) async throws {
    let alice = try await testAgent("alice") { $0.encryption = encryption }
    let bob = try await testAgent("bob") { $0.encryption = encryption }
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
    // In two blocks, and longer than it takes: a reader that starves may miss seconds.
    call.play(squareWave(seconds: 8))
    call.play(squareWave(seconds: 8))
    let loudest = await answering.value
    await call.hangUp()
    let summary = try await call.waitUntilEnded()
    await alice.shutDown()
    await bob.shutDown()
    #expect(loudest > 4000 * 4000)
    #expect(summary.reason == "hangup")
    #expect(summary.receivedPackets > 0)
    #expect((summary.srtpProfile != nil) == (encryption != .none))
  }

  /// A VP8 frame by its first bytes, of this number.
  private static func frame(_ number: Int) -> EncodedVideoFrame {
    let isKey = number % 20 == 0
    let head: [UInt8] = isKey ? [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01] : [0x11, 0x02, 0x00]
    return EncodedVideoFrame(
      bytes: head + [UInt8(number)] + [UInt8](repeating: 0x55, count: 3000), timestamp: UInt32(number) * 3000,
      isKeyFrame: isKey)
  }

  @Test("two programs show each other video as it is encoded, and ask for key frames", arguments: [true, false])
  func videoCrosses(isConnection: Bool) async throws {
    func agent(_ name: String) async throws -> UserAgent {
      try await testAgent(name) { ($0.encryption, $0.hasVideo, $0.answersAtOnce) = (.dtls, true, true) }
    }
    let (alice, bob) = (try await agent("alice"), try await agent("bob"))
    let (hers, his): (Call, Call)
    if isConnection {
      let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
      try await one.accept(answer: try await other.answer(to: try await one.offer()))
      (hers, his) = (one.call, other.call)
    } else {
      hers = try await alice.call("sip:bob@\(bob.address)")
      var incoming = bob.incomingCalls.makeAsyncIterator()
      his = try #require(await incoming.next())
      try await hers.waitUntilEstablished()
    }
    let sending = Task {
      for number in 0..<200 where !Task.isCancelled {
        hers.send(Self.frame(number))
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
    var seen: [EncodedVideoFrame] = []
    for await frame in his.video {
      seen.append(frame)
      if seen.count == 30 { break }
    }
    his.requestKeyFrame()
    var wishes = hers.keyFrameRequests.makeAsyncIterator()
    #expect(await wishes.next() != nil)
    sending.cancel()
    await hers.hangUp()
    await his.hangUp()
    _ = try await hers.waitUntilEnded()
    #expect(hers.videoCodec == "VP8" && his.videoCodec == "VP8")
    #expect(seen.first?.isKeyFrame == true)
    for frame in seen {
      let number = Int(frame.bytes[frame.isKeyFrame ? 10 : 3])
      #expect(frame.bytes == Self.frame(number).bytes && frame.isKeyFrame == Self.frame(number).isKeyFrame)
    }
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("a peer that is not there is reported at once, in one sentence")
  func nobodyThere() async throws {
    let alice = try await testAgent("alice")
    let call = try await alice.call("sip:bob@127.0.0.1:9")
    await #expect(throws: ApusError.self) { try await call.waitUntilEstablished() }
    await alice.shutDown()
  }

  @Test("after the end every method throws or does nothing, and whoever waits for a call's end has it")
  func afterTheEnd() async throws {
    let agent = try await testAgent("alice")
    let call = try await agent.call("sip:bob@127.0.0.1:9")
    let connection = try await agent.connection(to: "bob")
    await agent.shutDown()
    #expect(await agent.address.isEmpty)
    await #expect(throws: ApusError.self) { try await agent.call("sip:bob@127.0.0.1:9") }
    await #expect(throws: ApusError.self) { try await agent.connection(to: "bob") }
    await #expect(throws: ApusError.self) { try await connection.offer() }
    await #expect(throws: ApusError.self) { try await connection.answer(to: "v=0\r\n") }
    await #expect(throws: ApusError.self) { try await connection.accept(answer: "v=0\r\n") }
    await #expect(throws: ApusError.self) { try await connection.add(candidate: "") }
    await #expect(throws: ApusError.self) { try await connection.rollBack() }
    await #expect(throws: ApusError.self) { try await connection.restartICE() }
    await connection.close()
    for each in [call, connection.call] {
      await each.answer()
      await each.hangUp()
      await each.setHold(true)
      await each.setMuted(true)
      try await each.reject()
      try await each.send(digits: "1")
      await #expect(throws: ApusError.self) { try await each.transfer(to: "sip:carol@127.0.0.1:9") }
      #expect(await !each.rekey())
      #expect(each.play([0]) == .ended && each.send(Self.frame(0)) == .ended)
      each.stopPlaying()
      each.requestKeyFrame()
      #expect(await each.invitation() == nil)
      #expect(try await !each.waitUntilEnded().reason.isEmpty)
      for await _ in each.events {}
    }
    await agent.shutDown()
  }

  @Test("a call whose agent the program has let go of is told what happens, to its end", .timeLimit(.minutes(1)))
  func droppedAgent() async throws {
    let bob = try await testAgent("bob")
    func dial() async throws -> Call {
      let alice = try await testAgent("alice")
      return try await alice.call("sip:bob@\(bob.address)")
    }
    let call = try await dial()
    var incoming = bob.incomingCalls.makeAsyncIterator()
    let his = try #require(await incoming.next())
    await his.answer()
    try await call.waitUntilEstablished()
    await his.hangUp()
    #expect(try await call.waitUntilEnded().reason == "hangup")
    for await _ in call.events {}
    await bob.shutDown()
  }

  @Test("who is cancelled waits no more for a call, and the others wait on")
  func cancelledWaits() async throws {
    let agent = try await testAgent("alice")
    let call = try await agent.connection(to: "bob").call
    let (answer, end) = (Task { try await call.waitUntilEstablished() }, Task { try await call.waitUntilEnded() })
    let patient = Task { try await call.waitUntilEnded() }
    // Ends whoever waits on wrongly.
    let patience = Task {
      try await Task.sleep(for: .seconds(5))
      await agent.shutDown()
    }
    try await Task.sleep(for: .milliseconds(50))
    answer.cancel()
    end.cancel()
    let unanswered = await #expect(throws: ApusError.self) { try await answer.value }
    let unended = await #expect(throws: ApusError.self) { try await end.value }
    #expect(unanswered?.code == .cancelled && unended?.code == .cancelled)
    patience.cancel()
    await agent.shutDown()
    #expect(try await patient.value.reason == "hangup")
  }

  @Test("a bad address is refused before anything is sent")
  func badAddress() async throws {
    var configuration = UserAgent.Configuration()
    configuration.listen = "not an address"
    await #expect(throws: ApusError.self) { _ = try await UserAgent(configuration) }
  }
}
