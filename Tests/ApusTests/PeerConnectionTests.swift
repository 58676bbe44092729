import Apus
import Testing

/// Descriptions that the program carries, over real sockets and threads.
@Suite struct PeerConnectionTests {
  private static func agent(_ mode: UserAgent.ReceiveMode = .pool) async throws -> UserAgent {
    try await testAgent("alice") { $0.receiveMode = mode }
  }

  /// Plays a square wave until it is heard on the other side; ten seconds at most, for a machine that is busy.
  private static func isHeard(_ speaker: PeerConnection, _ listener: PeerConnection) async -> Bool {
    await Self.isHeard(speaker.call, listener.call)
  }

  private static func isHeard(_ speaker: Call, _ listener: Call) async -> Bool {
    let wave = (0..<16_000).map { Int16($0 / 20 % 2 == 0 ? 8000 : -8000) }
    for _ in 0..<10 { speaker.play(wave) }
    var frames = 0
    for await frame in listener.audio {
      let power = frame.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(1, frame.count))
      if power > 4000 * 4000 { return true }
      frames += 1
      if frames == 500 { break }
    }
    return false
  }

  @Test(
    "test_peerconn: two programs carry an offer and its answer, and hear each other",
    arguments: UserAgent.ReceiveMode.allCases)
  func audio(mode: UserAgent.ReceiveMode) async throws {
    let (alice, bob) = (try await Self.agent(mode), try await Self.agent(mode))
    let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
    let offer = try await one.offer()
    #expect(offer.contains("a=group:BUNDLE 0\r\n") && offer.contains("a=rtcp-mux\r\n"))
    #expect(Self.candidates(offer).count == 2, "RTP and, until the peer shares the socket, RTCP")
    try await one.accept(answer: try await other.answer(to: offer))
    #expect(await Self.isHeard(one, other))
    #expect(await Self.isHeard(other, one))
    // Another round, the other way about, changes nothing that is heard.
    try await other.accept(answer: try await one.answer(to: try await other.offer()))
    #expect(await Self.isHeard(one, other))
    await one.close()
    let (ours, theirs) = (try await one.call.waitUntilEnded(), try await other.call.waitUntilEnded())
    for summary in [ours, theirs] {
      #expect(summary.reason == "hangup" && summary.srtpProfile != nil)
      #expect(summary.receivedPackets > 10 && summary.lostPackets == 0 && summary.dropped == 0)
    }
    await alice.shutDown()
    await bob.shutDown()
  }

  private static func candidates(_ description: String) -> [Substring] {
    description.split(separator: "\r\n").filter { $0.hasPrefix("a=candidate:") && $0.hasSuffix(" typ host") }
  }

  private static func fragment(_ description: String) -> Substring? {
    description.split(separator: "\r\n").first { $0.hasPrefix("a=ice-ufrag:") }
  }

  @Test("candidates that come after the descriptions lead to the peer", arguments: UserAgent.ReceiveMode.allCases)
  func laterCandidates(mode: UserAgent.ReceiveMode) async throws {
    let (alice, bob) = (try await Self.agent(mode), try await Self.agent(mode))
    let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
    func bare(_ description: String) -> String {
      description.split(separator: "\r\n").filter { !$0.hasPrefix("a=candidate:") }.map { $0 + "\r\n" }.joined()
    }
    let offer = try await one.offer()
    let candidate = String(try #require(Self.candidates(offer).first))
    await #expect(throws: ApusError.self) { try await other.add(candidate: candidate) }
    let answer = try await other.answer(to: bare(offer))
    try await one.accept(answer: bare(answer))
    await #expect(throws: ApusError.self) { try await other.add(candidate: candidate + " ufrag another") }
    await #expect(throws: ApusError.self) { try await other.add(candidate: candidate, mediaID: "nobody") }
    // What a browser says that hides, and when there are no more.
    for text in ["candidate:1 1 udp 1 4f1b.local 9 typ host", ""] { try await other.add(candidate: text, mediaID: "0") }
    for each in Self.candidates(answer) { try await one.add(candidate: String(each.dropFirst(2)), mediaID: "0") }
    #expect(await Self.isHeard(one, other))
    #expect(await Self.isHeard(other, one))
    await one.close()
    for summary in [try await one.call.waitUntilEnded(), try await other.call.waitUntilEnded()] {
      #expect(summary.reason == "hangup" && summary.lostPackets == 0 && summary.dropped == 0, "\(summary)")
    }
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("default addresses that are none of the candidates say nothing: media servers write what they like there")
  func defaultAddresses() async throws {
    let (alice, bob) = (try await Self.agent(), try await Self.agent())
    let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
    func moved(_ description: String) -> String {
      description.split(separator: "\r\n").map { line in
        if line.hasPrefix("c=") { return "c=IN IP4 127.0.0.1\r\n" }
        guard line.hasPrefix("m=audio ") else { return line + "\r\n" }
        return (["m=audio", "7"] + line.split(separator: " ").dropFirst(2)).joined(separator: " ") + "\r\n"
      }.joined()
    }
    // Nor does it matter that the first candidate is one that nothing leads to from here.
    let offer = moved(try await one.offer()).replacing(
      "a=candidate:", with: "a=candidate:9 1 udp 2130706431 fe80::1 4000 typ host\r\na=candidate:", maxReplacements: 1)
    try await one.accept(answer: moved(try await other.answer(to: offer)))
    #expect(await Self.isHeard(one, other))
    #expect(await Self.isHeard(other, one))
    await one.close()
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("ICE begins anew when the program wants it, from either side", arguments: UserAgent.ReceiveMode.allCases)
  func restart(mode: UserAgent.ReceiveMode) async throws {
    let (alice, bob) = (try await Self.agent(mode), try await Self.agent(mode))
    let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
    #expect(try await !one.restartICE(), "there is nothing yet to begin anew")
    let first = try await one.offer()
    try await one.accept(answer: try await other.answer(to: first))
    #expect(await Self.isHeard(one, other))
    var seen = [Self.fragment(first)]
    for (offerer, answerer) in [(one, other), (other, one), (one, other)] {
      #expect(try await offerer.restartICE())
      let offer = try await offerer.offer()
      let answer = try await answerer.answer(to: offer)
      try await offerer.accept(answer: answer)
      for text in [offer, answer] {
        let fragment = try #require(Self.fragment(text))
        #expect(!seen.contains(fragment))
        seen.append(fragment)
      }
      #expect(await Self.isHeard(offerer, answerer))
    }
    await other.close()
    for summary in [try await one.call.waitUntilEnded(), try await other.call.waitUntilEnded()] {
      #expect(summary.reason == "hangup" && summary.lostPackets == 0 && summary.dropped == 0, "\(summary)")
    }
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("a peer that holds the connection, and resumes it, is told of", .timeLimit(.minutes(1)))
  func held() async throws {
    let (alice, bob) = (try await Self.agent(), try await Self.agent())
    let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
    try await one.accept(answer: try await other.answer(to: try await one.offer()))
    // In an answer to an offer of ours, and in an offer of the peer's.
    let answer = try await other.answer(to: try await one.offer())
    try await one.accept(answer: answer.replacing("a=sendrecv", with: "a=sendonly"))
    let offer = try await other.offer()
    try await other.accept(answer: try await one.answer(to: offer))
    await one.close()
    var heard: [Bool] = []
    for await event in one.call.events { if case .heldByPeer(let isHeld) = event { heard.append(isHeld) } }
    #expect(heard == [true, false])
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("where only relays may be named and there is none, there is no offer; a server that is no URI is a sentence")
  func relaysOnly() async throws {
    var configuration = UserAgent.Configuration()
    configuration.listen = "127.0.0.1:0"
    configuration.usesRelaysOnly = true
    let agent = try await UserAgent(configuration)
    let connection = try await agent.connection(to: "bob")
    let error = await #expect(throws: ApusError.self) { try await connection.offer() }
    #expect(error?.message.contains("no server gives a relay") == true)
    await agent.shutDown()
    configuration.iceServers = ["turn.example.com"]
    let refused = await #expect(throws: ApusError.self) { try await UserAgent(configuration) }
    #expect(
      refused?.message.hasPrefix("iceServers, number 1: it takes stun:") == true, "\(String(describing: refused))")
  }

  @Test("descriptions out of turn, and such as can't be used, are refused, and the connection goes on")
  func misuse() async throws {
    let (alice, bob) = (try await Self.agent(), try await Self.agent())
    let (one, other) = (try await alice.connection(to: "bob"), try await bob.connection(to: "alice"))
    await #expect(throws: ApusError.self) { try await one.accept(answer: "v=0\r\n") }
    let offer = try await one.offer()
    await #expect(throws: ApusError.self) { try await one.offer() }
    await #expect(throws: ApusError.self) { try await one.answer(to: offer) }
    await #expect(throws: ApusError.self) { try await other.answer(to: "no description") }
    await #expect(throws: ApusError.self) {
      try await other.answer(to: offer.replacing("UDP/TLS/RTP/SAVPF", with: "RTP/AVP"))
    }
    try await one.rollBack()
    let second = try await one.offer()
    await #expect(throws: ApusError.self) { try await one.accept(answer: "v=0\r\n") }
    try await one.accept(answer: try await other.answer(to: second))
    #expect(await Self.isHeard(one, other))
    await other.close()
    _ = try await one.call.waitUntilEnded()
    await #expect(throws: ApusError.self) { try await one.offer() }
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("a connection that was never used ends with its agent")
  func unused() async throws {
    let alice = try await Self.agent()
    let connection = try await alice.connection(to: "nobody")
    await alice.shutDown()
    #expect(try await connection.call.waitUntilEnded().reason == "hangup")
  }

  @Test("a connection's call alone keeps it; when the program keeps neither it ends", .timeLimit(.minutes(1)))
  func dropped() async throws {
    let (alice, bob) = (try await Self.agent(), try await Self.agent())
    let other = try await bob.connection(to: "alice")
    func connect() async throws -> Call {
      let one = try await alice.connection(to: "bob")
      try await one.accept(answer: try await other.answer(to: try await one.offer()))
      return one.call
    }
    func talk() async throws {
      let call = try await connect()
      #expect(await Self.isHeard(call, other.call))
    }
    try await talk()
    #expect(try await other.call.waitUntilEnded().reason == "hangup")
    await alice.shutDown()
    await bob.shutDown()
  }
}
