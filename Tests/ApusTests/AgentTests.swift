import Apus
import Glibc
import NetBase
import TestSupport
import Testing

/// What an agent does besides the calls themselves, on loopback.
@Suite(.timeLimit(.minutes(1))) struct AgentTests {
  @Test("a message comes with its sender and its text, and one that nobody takes is an error")
  func messages() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob"))
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
    let alice = try await testAgent("alice") { $0.answersAtOnce = true }
    let bob = try await testAgent("bob") { $0.acceptsCalls = false }
    let refused = try await alice.call("sip:bob@\(bob.address)")
    let error = await #expect(throws: ApusError.self) { try await refused.waitUntilEstablished() }
    #expect(error?.code == .refused && error?.message.contains("480") == true)
    try await bob.call("sip:alice@\(alice.address)").waitUntilEstablished()
    await bob.shutDown()
    await alice.shutDown()
  }

  @Test("strangers get no more calls than maximumCalls, which does not limit the agent's own")
  func maximumCalls() async throws {
    let alice = try await testAgent("alice") { ($0.answersAtOnce, $0.maximumCalls) = (true, nil) }
    let bob = try await testAgent("bob") { $0.maximumCalls = 1 }
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

  @Test("a call that comes in when its reader was cancelled is refused at once", arguments: [false, true])
  func cancelledReader(answersAtOnce: Bool) async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob") { $0.answersAtOnce = answersAtOnce })
    let reader = Task { for await _ in bob.incomingCalls {} }
    reader.cancel()
    await reader.value
    let call = try await alice.call("sip:bob@\(bob.address)")
    let error = await #expect(throws: ApusError.self) { try await call.waitUntilEstablished() }
    #expect(error?.code == .refused && error?.message.contains("480") == true)
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("calls that nobody reads are refused beyond 32, and each refusal is a warning")
  func unread() async throws {
    let alice = try await testAgent("alice")
    let bob = try await testAgent("bob") { $0.maximumCalls = nil }
    var calls: [Call] = []
    for _ in 0..<33 { calls.append(try await alice.call("sip:bob@\(bob.address)")) }
    var warnings = bob.warnings.makeAsyncIterator()
    #expect(await warnings.next()?.hasSuffix("nobody reads incomingCalls, so it is refused") == true)
    let isRefused = await withTaskGroup(of: Bool.self) { group in
      for call in calls {
        group.addTask { (try? await call.waitUntilEnded())?.status == 486 }
      }
      let first = await group.next()
      group.cancelAll()
      return first
    }
    #expect(isRefused == true)
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("who is cancelled waits no more for a message to be taken")
  func cancelledMessage() async throws {
    let alice = try await testAgent("alice")
    // It takes connections and says nothing.
    let silent = RawPeer.Listener()
    let target = "sip:bob@\(silent.address);transport=tcp"
    let sending = Task { try await alice.send(message: "hello", to: target) }
    try await Task.sleep(for: .milliseconds(50))
    sending.cancel()
    let error = await #expect(throws: ApusError.self) { try await sending.value }
    #expect(error?.code == .cancelled)
    await alice.shutDown()
    _ = consume silent
  }

  @Test("an address is one whatever the size of its scheme's letters, and a mistake in it shows no password")
  func addresses() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob"))
    try await alice.send(message: "hello", to: "SIP:bob@\(bob.address)")
    for target in ["sip:bob:swordfish@", "bob:swordfish@", "SIPS:bob:swordfish@"] {
      let error = await #expect(throws: ApusError.self) { try await alice.call(target) }
      #expect(error?.code == .configuration && error?.message.contains("swordfish") == false)
    }
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("net_interface and net_af say where an agent listens that is told no address")
  func listens() async throws {
    for (settings, host) in [(["net_interface": "127.0.0.1"], "127.0.0.1:"), (["net_af": "ipv6"], "[::]:")] {
      let agent = try await testAgent("alice") { ($0.listen, $0.settings) = ("0.0.0.0:0", settings) }
      #expect(await agent.address.hasPrefix(host))
      await agent.shutDown()
    }
  }

  @Test("where no descriptor is left there is no agent, and the process goes on")
  func exhausted() async {
    await #expect(processExitsWith: .success) {
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let usual = limit.rlim_cur
      limit.rlim_cur = 3
      _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      for mode in [UserAgent.ReceiveMode.main, .pool] {
        do {
          _ = try await testAgent("alice") { $0.receiveMode = mode }
          exit(2)
        } catch {
          guard let error = error as? ApusError, error.code == .unavailable else { exit(3) }
        }
      }
      // LeakSanitizer opens files at the end.
      limit.rlim_cur = usual
      _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      exit(0)
    }
  }

  @Test("an agent tells which calls are under way")
  func calls() async throws {
    let (alice, bob) = (try await testAgent("alice"), try await testAgent("bob"))
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
