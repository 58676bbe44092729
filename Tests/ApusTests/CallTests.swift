import Apus
import Testing

/// What a program has of its calls, over real sockets and threads.
@Suite(.timeLimit(.minutes(1))) struct CallTests {
  @Test("a call that comes in tells who was called; its refusal has the program's status at both ends")
  func refusal() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob"))
    let target = "sip:bob@\(await bob.address)"
    let hers = try await alice.call(target)
    var incoming = bob.incomingCalls.makeAsyncIterator()
    let his = try #require(await incoming.next())
    #expect(await his.invitation()?.target == target)
    #expect(await his.invitation()?.displayName == nil)
    #expect(await hers.invitation() == nil)
    for status in [399, 700] {
      await #expect(throws: ApusError.self) { try await his.reject(status: status) }
    }
    // A call of ours is not ours to refuse.
    try await hers.reject(status: 480)
    try await his.reject(status: 603)
    for call in [hers, his] {
      let summary = try await call.waitUntilEnded()
      #expect(summary.reason == "rejected" && summary.status == 603 && summary.duration == .zero, "\(summary)")
    }
    #expect(await his.invitation()?.target == target, "it is known after the end too")
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("with call_hold_other_calls, who is called or answered has the others wait", arguments: [true, false])
  func holdsOthers(isCaller: Bool) async throws {
    let settings = ["call_hold_other_calls": "yes"]
    let alice = try await testAgent("alice") { if isCaller { $0.settings = settings } }
    let bob = try await testAgent("bob") { if !isCaller { $0.settings = settings } }
    var incoming = bob.incomingCalls.makeAsyncIterator()
    var first: (hers: Call, his: Call)?
    for _ in 0..<2 {
      let hers = try await alice.call("sip:bob@\(await bob.address)")
      let his = try #require(await incoming.next())
      await his.answer()
      try await hers.waitUntilEstablished()
      if first == nil { first = (hers, his) }
    }
    let calls = try #require(first)
    var isHeld = false
    for await event in (isCaller ? calls.his : calls.hers).events {
      if case .heldByPeer(let held) = event {
        isHeld = held
        break
      }
    }
    #expect(isHeld)
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("what a call has sent and heard is told while it goes on, and its sum when it is over")
  func statistics() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob") { $0.answersAtOnce = true })
    let call = try await alice.call("sip:bob@\(bob.address)")
    try await call.waitUntilEstablished()
    var now = try await call.statistics()
    let deadline = ContinuousClock.now + .seconds(20)
    while now.sentPackets < 10 || now.receivedPackets < 10, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(20))
      let next = try await call.statistics()
      #expect(next.sentPackets >= now.sentPackets && next.receivedPackets >= now.receivedPackets)
      now = next
    }
    #expect(now.sentPackets >= 10 && now.receivedPackets >= 10 && now.reason.isEmpty && now.codec != nil, "\(now)")
    #expect(now.duration > .zero)
    // Who asks while it ends is told too.
    async let last = call.statistics()
    await call.hangUp()
    #expect(try await last.sentPackets >= now.sentPackets)
    let summary = try await call.waitUntilEnded()
    #expect(try await call.statistics() == summary && summary.sentPackets >= now.sentPackets)
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("what can't be played is told: full while the call goes on, and there is room when it is stopped")
  func fullLane() async throws {
    let agent = try await testAgent("alice")
    let call = try await agent.connection(to: "nobody").call
    for _ in 0..<256 { #expect(call.play([1]) == .accepted) }
    #expect(call.play([1]) == .full)
    call.stopPlaying()
    #expect(call.play([1]) == .accepted)
    for number in 0..<64 { #expect(call.send(Self.frame(number)) == .accepted) }
    #expect(call.send(Self.frame(64)) == .full)
    await call.hangUp()
    let summary = try await call.waitUntilEnded()
    #expect(summary.refusedAudioBlocks == 1 && summary.refusedVideoFrames == 1, "\(summary)")
    #expect(call.videoCodec == nil)
    await agent.shutDown()
  }

  private static func frame(_ number: Int) -> EncodedVideoFrame {
    EncodedVideoFrame(bytes: [0x10], timestamp: UInt32(number), isKeyFrame: false)
  }

  @Test("what is no digit is refused, and none of the others is sent")
  func digits() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob") { $0.answersAtOnce = true })
    let hers = try await alice.call("sip:bob@\(bob.address)")
    var incoming = bob.incomingCalls.makeAsyncIterator()
    let his = try #require(await incoming.next())
    try await hers.waitUntilEstablished()
    let error = await #expect(throws: ApusError.self) { try await hers.send(digits: "12x4") }
    #expect(error?.code == .configuration)
    try await hers.send(digits: "7")
    for await event in his.events {
      guard case .digit(let digit) = event else { continue }
      #expect(digit == "7")
      break
    }
    await hers.hangUp()
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("what a program plays is heard until it is stopped, and so is what it plays then; unread frames are counted")
  func stopping() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob") { $0.answersAtOnce = true })
    let hers = try await alice.call("sip:bob@\(bob.address)")
    var incoming = bob.incomingCalls.makeAsyncIterator()
    let his = try #require(await incoming.next())
    try await hers.waitUntilEstablished()
    // A minute, in one block: on a busy machine a reader may miss seconds.
    let tone = squareWave(seconds: 60)
    hers.play(tone)
    var (wasHeard, quiet, frames) = (false, 0, 0)
    for await frame in his.audio {
      let isLoud = frame.contains { abs(Int($0)) > 4000 }
      if isLoud, !wasHeard {
        wasHeard = true
        hers.stopPlaying()
      }
      quiet = isLoud ? 0 : quiet + 1
      frames += 1
      // Twenty-five silent frames after it: half a second. Alice has more by then than wait for her.
      if wasHeard, quiet >= 25, frames >= 150 { break }
      if frames == 1000 { break }
    }
    #expect(wasHeard && quiet >= 25, "\(frames) frames")
    hers.play(tone)
    var isHeardAgain = false
    for await frame in his.audio {
      isHeardAgain = frame.contains { abs(Int($0)) > 4000 }
      if isHeardAgain { break }
    }
    #expect(isHeardAgain)
    await hers.hangUp()
    #expect(try await hers.waitUntilEnded().unreadAudioFrames > 0)
    await alice.shutDown()
    await bob.shutDown()
  }
}
