import AllModules
import Apus
import NetBase
import Testing
import UACore

/// An agent with an account, and peers that want to know who it is.
@Suite(.timeLimit(.minutes(1))) struct AccountTests {
  /// A peer that answers at once whoever has the password.
  private static func guarded() async throws -> UACore.UserAgent {
    var configuration = UACore.Configuration()
    configuration.activeModules = usualModuleNames
    let listen = try #require(SocketAddress("127.0.0.1:0", defaultPort: 0))
    let agent = UACore.UserAgent(AgentSettings(available: allModules, configuration: configuration, listen: listen))
    let bare = UACore.Account(uri: "sip:bob@127.0.0.1")
    var line = try #require(bare)
    (line.serverUser, line.serverPassword) = ("alice", Password("swordfish"))
    (line.answerMode, line.registrationInterval) = (.auto, 0)
    try await agent.start(accounts: [CallSettings(account: line, configuration: configuration)])
    return agent
  }

  @Test(
    "a call and a message to who asks for a password go with the account's", arguments: ["swordfish", "trout", nil])
  func challenge(password: String?) async throws {
    let bob = try await Self.guarded()
    let address = try #require(await bob.listenAddress)
    var account = Apus.UserAgent.Account(address: "sip:someone@127.0.0.1", password: password)
    (account.authenticationUser, account.registrationInterval) = ("alice", 0)
    let alice = try await testAgent("alice") { $0.account = account }
    let call = try await alice.call("sip:bob@\(address)")
    if password == "swordfish" {
      try await call.waitUntilEstablished()
      try await alice.send(message: "hello", to: "sip:bob@\(address)")
    } else {
      let refused = await #expect(throws: ApusError.self) { try await call.waitUntilEstablished() }
      #expect(refused?.code == .refused)
      let untaken = await #expect(throws: ApusError.self) {
        try await alice.send(message: "hello", to: "sip:bob@\(address)")
      }
      #expect(untaken?.code == .refused)
    }
    await alice.shutDown()
    await bob.shutDown()
  }

  @Test("an account registers by itself, and the program is told what came of it")
  func registration() async throws {
    // No registrar: it has no such method.
    let bob = try await testAgent("bob")
    let account = Apus.UserAgent.Account(address: "sip:alice@\(await bob.address)")
    let alice = try await testAgent("alice") { $0.account = account }
    var states = alice.registrations.makeAsyncIterator()
    #expect(await states.next() == .registering)
    let refused = await states.next()
    guard case .failed(let reason) = refused else {
      Issue.record("\(String(describing: refused))")
      return
    }
    #expect(reason.hasPrefix("405"))
    await alice.shutDown()
    await bob.shutDown()
  }
}
