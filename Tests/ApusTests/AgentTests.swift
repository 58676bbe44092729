import Apus
import Testing

/// What an agent does besides the calls themselves, on loopback.
@Suite struct AgentTests {
  private static func agent(
    _ name: String, _ change: (inout UserAgent.Configuration) -> Void = { _ in }
  ) async throws -> UserAgent {
    var configuration = UserAgent.Configuration()
    (configuration.identity, configuration.listen) = ("sip:\(name)@127.0.0.1", "127.0.0.1:0")
    configuration.encryption = .none
    change(&configuration)
    return try await UserAgent(configuration)
  }

  @Test("a message comes with its sender and its text, and one that nobody takes is an error", .timeLimit(.minutes(1)))
  func messages() async throws {
    let (alice, bob) = (try await Self.agent("alice"), try await Self.agent("bob"))
    try await alice.send(message: "Grüße", to: "sip:bob@\(bob.address)")
    var incoming = bob.messages.makeAsyncIterator()
    let message = try #require(await incoming.next())
    #expect(message.text == "Grüße" && message.sender == "sip:alice@127.0.0.1")
    #expect(message.contentType.hasPrefix("text/plain"))
    let unheard = await #expect(throws: ApusError.self) {
      try await alice.send(message: "hello", to: "sip:bob@127.0.0.1:9")
    }
    #expect(unheard?.code == .unavailable)
    let unaddressed = await #expect(throws: ApusError.self) { try await alice.send(message: "hello", to: "sip:@") }
    #expect(unaddressed?.code == .configuration)
    await alice.shutDown()
    await bob.shutDown()
    let late = await #expect(throws: ApusError.self) { try await alice.send(message: "hello", to: "sip:bob@127.0.0.1") }
    #expect(late?.code == .unavailable)
    #expect(await incoming.next() == nil)
  }

  @Test("an agent that accepts no calls refuses them and makes its own")
  func acceptsNoCalls() async throws {
    let alice = try await Self.agent("alice") { $0.answersAtOnce = true }
    let bob = try await Self.agent("bob") { $0.acceptsCalls = false }
    let refused = try await alice.call("sip:bob@\(bob.address)")
    let error = await #expect(throws: ApusError.self) { try await refused.waitUntilEstablished() }
    #expect(error?.code == .refused && error?.message.contains("480") == true)
    try await bob.call("sip:alice@\(alice.address)").waitUntilEstablished()
    await bob.shutDown()
    await alice.shutDown()
  }

  @Test("strangers get no more calls than maximumCalls, which does not limit the agent's own")
  func maximumCalls() async throws {
    let alice = try await Self.agent("alice") { ($0.answersAtOnce, $0.maximumCalls) = (true, nil) }
    let bob = try await Self.agent("bob") { $0.maximumCalls = 1 }
    let first = try await alice.call("sip:bob@\(bob.address)")
    var incoming = bob.incomingCalls.makeAsyncIterator()
    let taken = try #require(await incoming.next())
    let second = try await alice.call("sip:bob@\(bob.address)")
    let error = await #expect(throws: ApusError.self) { try await second.waitUntilEstablished() }
    #expect(error?.message.contains("486") == true)
    await taken.answer()
    try await first.waitUntilEstablished()
    try await bob.call("sip:alice@\(alice.address)").waitUntilEstablished()
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("a call that comes in when its reader was cancelled is refused at once", .timeLimit(.minutes(1)))
  func cancelledReader() async throws {
    let (alice, bob) = (try await Self.agent("alice"), try await Self.agent("bob"))
    let reader = Task { for await _ in bob.incomingCalls {} }
    reader.cancel()
    await reader.value
    let call = try await alice.call("sip:bob@\(bob.address)")
    let error = await #expect(throws: ApusError.self) { try await call.waitUntilEstablished() }
    #expect(error?.code == .refused && error?.message.contains("486") == true)
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("an agent tells which calls are under way")
  func calls() async throws {
    let (alice, bob) = (try await Self.agent("alice"), try await Self.agent("bob"))
    #expect(alice.calls.isEmpty)
    let call = try await alice.call("sip:bob@\(bob.address)")
    let connection = try await alice.connection(to: "carol")
    #expect(alice.calls.map(\.id) == [call.id, connection.call.id])
    await connection.close()
    for await _ in connection.call.events {}
    #expect(alice.calls.map(\.id) == [call.id])
    await alice.shutDown()
    await bob.shutDown()
    #expect(alice.calls.isEmpty)
  }
}
