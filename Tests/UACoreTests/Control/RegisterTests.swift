import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// An account at a registrar: with and without a password, by address and by name.
@Suite struct RegisterTests {
  /// Answers from a table, at once.
  private struct Table: NameResolver {
    let answers: [DNSQuestion: DNSAnswer]

    func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
      completion(self.answers[question] ?? .nothing)
    }
  }

  /// A registrar at 10.0.0.3, which is also reg.example.test, named by example.test's SRV record.
  private struct Lab {
    let agents: SimulatedAgents
    let registrar: ScriptedPeer

    /// Users whom the registrar answers by a status of their own.
    let refusals = Locked<[String: Int]>([:])

    /// - Parameters:
    ///   - password: what the registrar asks for; nil for none.
    ///   - packages: what may be subscribed to there.
    init(mode: RxMode = .main, password: String? = nil, modules: [String] = [], packages: [String] = []) throws {
      let names = Table(answers: [
        .srv("_sip._udp.example.test"): .srv([
          SRVRecord(priority: 1, weight: 0, port: 5060, target: "reg.example.test")
        ]),
        .a("reg.example.test"): .addresses([SocketAddress(ipv4: 0x0A00_0003, port: 0)]),
      ])
      self.agents = try SimulatedAgents(
        mode: mode,
        configure: {
          $0.drainTimeout = 60
          $0.activeModules += modules
        }, adjust: { $0.nameResolver = names })
      self.registrar = try ScriptedPeer(
        in: self.agents.simulation,
        configuration: SIPConfiguration(
          allow: packages.isEmpty ? [.register] : [.register, .subscribe, .notify], eventPackages: packages,
          digest: DigestAlgorithm.openSSL))
      self.registrar.onRequest = { [unowned registrar = self.registrar, refusals] endpoint, id, request in
        let status = refusals.withLock { $0[request.to.uri.user ?? ""] } ?? 200
        endpoint.respond(id, status: status, now: registrar.now)
      }
      guard let password else { return }
      self.registrar.act { endpoint in
        let secret = Array(password.utf8).withRawSpan { SecretBytes($0) }
        let account = endpoint.addAccount(
          SIPAccountSettings(required: SIPCredentials(user: "alice", password: secret), realm: "lab"))
        endpoint.accountOfRequest = { _, _, _, _ in account }
      }
    }

    func registers() -> [String] {
      self.agents.alice.trace.withLock { $0.filter { $0.contains("REGISTER sip:") } }
    }

    /// Alice's host is at 10.0.0.9 from now on; she is told so.
    func move() {
      let (old, new) = (SocketAddress(ipv4: 0x0A00_0001, port: 0), SocketAddress(ipv4: 0x0A00_0009, port: 0))
      self.agents.simulation.network.move(host: "10.0.0.1", to: "10.0.0.9")
      self.agents.alice.act {
        $0.networkChanged(
          NetworkChange(gone: [old], new: [new]), addresses: [InterfaceAddress(interface: "sim0", address: new)])
      }
    }

    /// The registrar accepts what was subscribed to.
    func acceptSubscriptions() {
      for case .subscriptionRequested(let id, _) in self.registrar.events {
        self.registrar.act { $0.acceptSubscription(id, body: nil, now: self.registrar.now) }
      }
    }

    var states: [LocalAccount.Registration] {
      self.agents.alice.events.compactMap { if case .registration(_, let state) = $0 { state } else { nil } }
    }
  }

  @Test("test_ua_register: an account is registered, refreshed in time, and taken back", arguments: RxMode.allCases)
  func register(mode: RxMode) throws {
    let lab = try Lab(mode: mode)
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    #expect(lab.states == [.registering, .registered] && lab.registers().count == 1)
    #expect(lab.registers()[0].contains("Contact: <sip:alice@10.0.0.1:5060>;expires=600"))
    lab.agents.run(milliseconds: 560_000)
    #expect(lab.registers().count == 2)
    #expect(try CallControlTests.run("r", lab.agents.alice).contains(" \u{1B}[32mOK \u{1B}[;m Expires "))
    try CallControlTests.run("/uareg 0 sip:alice@10.0.0.3", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    #expect(lab.states.last == .unregistered)
    #expect(lab.registers().last?.contains("expires=0") == true)
  }

  @Test(
    "test_ua_register_auth: a password is shown when the registrar asks, a wrong one once", arguments: RxMode.allCases,
    [true, false])
  func password(mode: RxMode, isRight: Bool) throws {
    let lab = try Lab(mode: mode, password: "secret")
    let word = isRight ? "secret" : "guess"
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;auth_pass=\(word);regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 100_000)
    #expect(lab.registers().count == 2)
    #expect(lab.registers()[1].contains("Authorization: Digest") && !lab.registers()[0].contains("Authorization"))
    if isRight {
      #expect(lab.states == [.registering, .registered])
    } else {
      guard case .failed(let reason)? = lab.states.last else {
        Issue.record("\(lab.states)")
        return
      }
      #expect(reason.hasPrefix("401 "))
    }
  }

  @Test("a password that is asked for and that the account has not is named in the failure")
  func missingPassword() throws {
    let lab = try Lab(password: "secret")
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    let sentence = "401 Unauthorized: the realm \"lab\" wants a password"
    #expect(lab.states.last == .failed(sentence))
  }

  @Test("a drain begins by leaving the registrar, and the call that stands keeps the account's password")
  func drain() throws {
    let lab = try Lab(password: "secret")
    let alice = lab.agents.alice
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;auth_pass=secret;regint=600;mwi=no", alice)
    try CallControlTests.run("/uanew <sip:quiet@10.0.0.3>;auth_pass=secret;regint=0", alice)
    lab.agents.run(milliseconds: 500)
    try lab.agents.establishedCall()
    #expect(lab.states.last == .registered)
    alice.act { _ = $0.beginDrain() }
    lab.agents.run(milliseconds: 500)
    #expect(lab.states.last == .unregistered && lab.registers().last?.contains("expires=0") == true)
    #expect(alice.isEstablished && alice.act { $0.localAccounts.allSatisfy { $0.signalling != nil } })
  }

  @Test("test_ua_register_dns: a registrar is found by its SRV record", arguments: RxMode.allCases)
  func byName(mode: RxMode) throws {
    let lab = try Lab(mode: mode)
    try CallControlTests.run("/uanew <sip:alice@example.test>;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    #expect(lab.states == [.registering, .registered])
    #expect(lab.registers().count == 1 && lab.registers()[0].contains("REGISTER sip:example.test"))
    try CallControlTests.run("/uanew <sip:alice@nowhere.test>;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    guard case .failed(let reason)? = lab.states.last else {
      Issue.record("\(lab.states)")
      return
    }
    #expect(reason.contains("nowhere.test"))
  }

  @Test("test_ua_register_auth_dns: a registrar that is found by name asks for a password", arguments: RxMode.allCases)
  func passwordByName(mode: RxMode) throws {
    let lab = try Lab(mode: mode, password: "secret")
    try CallControlTests.run("/uanew <sip:alice@example.test>;auth_pass=secret;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    #expect(lab.states == [.registering, .registered] && lab.registers().count == 2)
  }

  /// What an application hears of registrations, as `alice REGISTER_OK`.
  private final class Listener: Application {
    let heard = Locked<[String]>([])
    func take(_ notice: AgentNotice) {
      guard notice.kind.className == "register" else { return }
      let user = notice.account?.split(separator: ":").last?.split(separator: "@").first ?? ""
      self.heard.withLock { $0.append("\(user) \(notice.kind.rawValue)") }
    }
    func stop() {}
    func take() -> [String] {
      self.heard.withLock {
        let all = $0
        $0 = []
        return all
      }
    }
  }

  @Test("with serreg the next prio is registered when the one before has failed, and leaves when that is back")
  func serial() throws {
    let lab = try Lab(modules: ["serreg"])
    let (alice, listener) = (lab.agents.alice, Listener())
    alice.act { $0.applications = [("listener", listener)] }
    for line in ["<sip:main@10.0.0.3>;regint=600;fbregint=30;mwi=no", "<sip:spare@10.0.0.3>;regint=600;prio=2;mwi=no"] {
      try CallControlTests.run("/uanew \(line)", alice)
    }
    lab.agents.run(milliseconds: 1000)
    #expect(listener.take() == ["main REGISTERING", "main REGISTER_OK"], "the second waits")
    lab.refusals.withLock { $0["main"] = 503 }
    lab.agents.run(milliseconds: 545_000)
    #expect(
      listener.take() == [
        "main REGISTERING", "main REGISTER_FAIL", "spare REGISTERING", "main UNREGISTERING", "spare REGISTER_OK",
      ])
    let before = lab.registers().count
    lab.agents.run(milliseconds: 70_000)
    #expect(listener.take() == ["main FALLBACK_FAIL", "main FALLBACK_FAIL"])
    #expect(lab.registers().count == before + 2)
    #expect(lab.registers().last?.contains("Contact: <sip:main@10.0.0.1:5060>;expires=0") == true)
    #expect(try CallControlTests.run("r", alice).contains(" FB-\u{1B}[31mERR\u{1B}[;m"))
    lab.refusals.withLock { $0 = [:] }
    lab.agents.run(milliseconds: 31_000)
    #expect(
      listener.take() == [
        "main FALLBACK_OK", "main REGISTERING", "main REGISTER_OK", "spare UNREGISTERING",
      ])
    #expect(lab.registers().last?.contains("Contact: <sip:spare@10.0.0.1:5060>;expires=0") == true)
    #expect(try !CallControlTests.run("r", alice).contains("FB-"))
  }

  @Test("without fbregint what has failed comes back by itself; a spare that is refused is not asked any more")
  func serialWithoutAsking() throws {
    let lab = try Lab(modules: ["serreg"])
    let (alice, listener) = (lab.agents.alice, Listener())
    alice.act { $0.applications = [("listener", listener)] }
    lab.refusals.withLock { $0 = ["main": 503, "third": 403] }
    for line in [
      "<sip:main@10.0.0.3>;regint=600;mwi=no", "<sip:spare@10.0.0.3>;regint=600;prio=1;mwi=no",
      "<sip:third@10.0.0.3>;regint=600;prio=2;fbregint=10;mwi=no",
    ] { try CallControlTests.run("/uanew \(line)", alice) }
    lab.agents.run(milliseconds: 1000)
    #expect(
      listener.take() == ["main REGISTERING", "main REGISTER_FAIL", "spare REGISTERING", "spare REGISTER_OK"])
    lab.refusals.withLock { $0["main"] = nil }
    lab.agents.run(milliseconds: 60_000)
    let heard = listener.take()
    #expect(heard.filter { $0.hasPrefix("third") } == ["third FALLBACK_FAIL"])
    #expect(heard.filter { !$0.hasPrefix("third") } == ["main REGISTERING", "main REGISTER_OK", "spare UNREGISTERING"])
  }

  @Test("without serreg a prio waits, whatever becomes of the account before it")
  func noSerial() throws {
    let lab = try Lab()
    lab.refusals.withLock { $0["main"] = 503 }
    for line in ["<sip:main@10.0.0.3>;regint=600;fbregint=10", "<sip:spare@10.0.0.3>;regint=600;prio=1"] {
      try CallControlTests.run("/uanew \(line)", lab.agents.alice)
    }
    lab.agents.run(milliseconds: 60_000)
    #expect(lab.registers().count >= 2 && lab.registers().allSatisfy { $0.contains("To: <sip:main@") })
  }

  @Test("a change of network binds the new address, and takes the old one back")
  func newAddress() throws {
    let lab = try Lab()
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    lab.move()
    lab.agents.run(milliseconds: 1000)
    #expect(lab.registers().count == 2 && lab.states.last == .registered)
    #expect(lab.registers()[1].contains("Contact: <sip:alice@10.0.0.9:5060>;expires=600"))
    #expect(lab.registers()[1].contains("Contact: <sip:alice@10.0.0.1:5060>;expires=0"))
    lab.agents.run(milliseconds: 560_000)
    #expect(lab.registers().count == 3 && lab.registers()[2].contains("10.0.0.1:5060>") == false)
  }

  @Test("the old address is taken back though the registrar asks for the password anew")
  func newAddressAfterChallenge() throws {
    let lab = try Lab(password: "secret")
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;auth_pass=secret;regint=600;mwi=no", lab.agents.alice)
    // The registrar's nonce lives for five minutes.
    lab.agents.run(milliseconds: 400_000)
    lab.move()
    lab.agents.run(milliseconds: 1000)
    try #require(lab.registers().count == 4 && lab.states.last == .registered)
    for register in lab.registers().suffix(2) {
      #expect(register.contains("Contact: <sip:alice@10.0.0.9:5060>;expires=600"))
      #expect(register.contains("Contact: <sip:alice@10.0.0.1:5060>;expires=0"))
    }
  }

  @Test("an account that was taken from its registrar twice still has its password")
  func leavesTwice() throws {
    let lab = try Lab(password: "secret")
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;auth_pass=secret;regint=600;mwi=no", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    for _ in 0..<2 {
      try CallControlTests.run("/uareg 0 sip:alice@10.0.0.3", lab.agents.alice)
      lab.agents.run(milliseconds: 1000)
      #expect(lab.states.last == .unregistered)
    }
    // The registrar's nonce is over, too.
    lab.agents.run(milliseconds: 400_000)
    try CallControlTests.run("/uareg 600 sip:alice@10.0.0.3", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    #expect(lab.states.last == .registered)
  }

  @Test("a change of network subscribes to the mailbox anew, from the new address; a refresh of the binding does not")
  func mailboxAtNewAddress() throws {
    let lab = try Lab(packages: ["message-summary"])
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;regint=600", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    lab.acceptSubscriptions()
    lab.agents.run(milliseconds: 1000)
    // Each once, however often it was repeated.
    func subscribes(_ host: String, expires seconds: Int) -> Int {
      let sent = lab.agents.alice.trace.withLock { $0 }.filter {
        $0.contains("SUBSCRIBE sip:") && $0.contains("Contact: <sip:alice@\(host):5060>\r\n")
          && $0.contains("Expires: \(seconds)\r\n")
      }
      return Set(sent.map { $0.split(separator: "\r\n").first { $0.hasPrefix("Call-ID: ") } }).count
    }
    try #require(subscribes("10.0.0.1", expires: 3600) == 1)
    lab.move()
    lab.agents.run(milliseconds: 1000)
    #expect(subscribes("10.0.0.9", expires: 3600) == 1 && subscribes("10.0.0.1", expires: 0) == 1)
    lab.acceptSubscriptions()
    lab.agents.run(milliseconds: 1_200_000)
    #expect(lab.registers().count >= 4)
    #expect(subscribes("10.0.0.9", expires: 3600) == 1 && subscribes("10.0.0.1", expires: 3600) == 1)
  }

  @Test(
    "uareg registers anew what is registering, and what is to leave, and does not take back what it binds",
    arguments: [false, true])
  func registerAgain(leaves: Bool) throws {
    let lab = try Lab()
    let held = Locked<[IncomingRequestID]>([])
    lab.registrar.onRequest = { [unowned registrar = lab.registrar] endpoint, id, _ in
      guard held.withLock({ $0.isEmpty }) else {
        return endpoint.respond(id, status: 200, now: registrar.now)
      }
      held.withLock { $0.append(id) }
    }
    try CallControlTests.run("/uanew <sip:alice@10.0.0.3>;regint=300;mwi=no", lab.agents.alice)
    lab.agents.run(milliseconds: 300)
    if leaves { try CallControlTests.run("/uareg 0 sip:alice@10.0.0.3", lab.agents.alice) }
    try CallControlTests.run("/uareg 600 sip:alice@10.0.0.3", lab.agents.alice)
    lab.agents.run(milliseconds: 700)
    #expect(lab.states.last == .registered)
    let first = try #require(held.withLock { $0.first })
    lab.registrar.act { $0.respond(first, status: 200, now: lab.registrar.now) }
    lab.agents.run(milliseconds: 5000)
    #expect(lab.states.last == .registered)
    #expect(lab.registers().contains { $0.contains("Contact: <sip:alice@10.0.0.1:5060>;expires=600") })
    #expect(!lab.registers().contains { $0.contains(";expires=0") })
    // And it goes once it is told to.
    try CallControlTests.run("/uareg 0 sip:alice@10.0.0.3", lab.agents.alice)
    lab.agents.run(milliseconds: 1000)
    #expect(lab.states.last == .unregistered && lab.agents.alice.act { $0.leaving.isEmpty })
  }

  private static let callers = SIPConfiguration(allow: [.register, .invite, .ack, .cancel, .bye])

  /// A registrar that takes every REGISTER, and calls.
  private static func peer(at host: UInt32 = 0x0A00_0003, of agents: SimulatedAgents) throws -> ScriptedPeer {
    let peer = try ScriptedPeer(in: agents.simulation, host: host, configuration: Self.callers)
    peer.onRequest = { [unowned peer] endpoint, id, _ in endpoint.respond(id, status: 200, now: peer.now) }
    return peer
  }

  @Test("of two accounts with the same user, the one that is registered where a call comes from is called")
  func sameUser() throws {
    let agents = try SimulatedAgents()
    let other = try Self.peer(at: 0x0A00_0008, of: agents)
    let caller = try Self.peer(at: 0x0A00_0009, of: agents)
    for peer in [other, caller] {
      try CallControlTests.run("/uanew <sip:bob@\(peer.address.host)>;regint=600;mwi=no", agents.bob)
    }
    agents.run(milliseconds: 1000)
    try #require(agents.bob.act { $0.localAccounts.map(\.registration) } == [.registered, .registered])
    let (bob, carol) = (try SIPURI("sip:bob@10.0.0.2:5060"), try SIPURI("sip:carol@10.0.0.9"))
    caller.act {
      _ = $0.invite(
        OutgoingInvite(
          from: NameAddress(uri: carol), to: NameAddress(uri: bob), contact: carol, destination: agents.bob.address,
          local: caller.address, body: caller.description()), now: caller.now)
    }
    agents.run(milliseconds: 500)
    #expect(agents.bob.act { $0.sortedCalls.map(\.settings.identity) } == ["sip:bob@10.0.0.9"])
    #expect(other.incoming.isEmpty)
    // A stranger's To tells them apart.
    let to = try SIPURI("sip:bob@10.0.0.9")
    #expect(agents.bob.act { $0.account(for: bob, to: to)?.aor } == "sip:bob@10.0.0.9")
  }

  @Test(
    "a call goes by the account's proxy, and by the registrar's route from there on (RFC 3608)",
    arguments: [
      ("<sip:orig@10.0.0.77:6060;lr>", ["<sip:10.0.0.3;lr>", "<sip:orig@10.0.0.77:6060;lr>"]),
      ("<sip:10.0.0.3;lr>", ["<sip:10.0.0.3;lr>"]),
    ])
  func serviceRoute(named: String, route: [String]) throws {
    let agents = try SimulatedAgents()
    let proxy = try Self.peer(of: agents)
    proxy.onRequest = { [unowned proxy] endpoint, id, request in
      endpoint.respond(
        id, status: 200, headers: [("Contact", request.headers["Contact"] ?? ""), ("Service-Route", named)],
        now: proxy.now)
    }
    let account = "<sip:alice@example.test>;regint=600;mwi=no;outbound=\"sip:10.0.0.3\""
    try CallControlTests.run("/uanew \(account)", agents.alice)
    agents.run(milliseconds: 1000)
    try CallControlTests.run("/dial sip:bob@example.test", agents.alice)
    agents.run(milliseconds: 1000)
    #expect(proxy.incoming.map { $0.invite.headers.list("Route") } == [route])
  }

  @Test(
    "a call goes by outbound2, which Route names, where outbound1 has no address, or outbound2 took the REGISTER",
    arguments: [("gone.test", 0), ("10.0.0.9", 600)])
  func secondProxy(first: String, interval: Int) throws {
    let agents = try SimulatedAgents()
    let proxy = try Self.peer(of: agents)
    let proxies = ";outbound1=\"sip:\(first)\";outbound2=\"sip:10.0.0.3\""
    try CallControlTests.run("/uanew <sip:alice@example.test>;regint=\(interval);mwi=no\(proxies)", agents.alice)
    agents.run(milliseconds: 1000)
    try CallControlTests.run("/dial sip:bob@example.test", agents.alice)
    agents.run(milliseconds: 1000)
    #expect(proxy.incoming.map { $0.invite.headers.all("Route") } == [["<sip:10.0.0.3;lr>"]])
  }
}
