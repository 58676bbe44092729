import Handoff
import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Transfers between three agents, and who may ask for one.
@Suite struct TransferTests {
  /// Alice calls Bob; Carol is called.
  struct Three {
    let agents: SimulatedAgents
    let carol: SimulatedAgent

    init(
      mode: RxMode = .main, encryption: String? = nil, acceptsTransfer: Bool = true,
      names: any NameResolver = SimulatedNames(), configure: (inout Configuration) -> Void = { _ in }
    ) throws {
      var configuration = Configuration()
      configuration.activeModules = ["opus", "g711", "srtp", "dtls_srtp", "aubridge", "ausine", "probe"]
      configuration.rxMode = mode
      self.agents = try SimulatedAgents(
        mode: mode, encryption: encryption, configure: configure, adjust: { $0.nameResolver = names })
      self.carol = try SimulatedAgent(
        "carol", in: self.agents.simulation, host: 0x0A00_0004, configuration: configuration, seed: 77, loss: 0)
      self.agents.bobSettings.acceptsTransfer = acceptsTransfer
      self.agents.alice.act { $0.accounts = [self.agents.aliceSettings] }
      self.agents.bob.act { $0.accounts = [self.agents.bobSettings] }
      var settings = CallSettings(
        identity: "sip:carol@10.0.0.4", source: AudioDevice(driver: "probe", device: ""), player: nil)
      settings.mediaEncryption = encryption
      settings.codecs = self.agents.bobSettings.codecs
      settings.answersAtOnce = true
      self.carol.act { $0.accounts = [settings] }
      try CallControlTests.run("/dial sip:bob@10.0.0.2", self.agents.alice)
      self.agents.run(milliseconds: 1000)
      try #require(self.agents.bob.isEstablished)
    }

    func end() {
      for agent in [self.agents.alice, self.agents.bob, self.carol] { agent.act { $0.hangUpAll() } }
      self.agents.run(milliseconds: 40_000)
      for agent in [self.agents.alice, self.agents.bob, self.carol] { #expect(agent.act { $0.callCount } == 0) }
    }
  }

  @Test("test_call_transfer: the peer calls whom it is told to, and the first call ends", arguments: RxMode.allCases)
  func blind(mode: RxMode) throws {
    let three = try Three(mode: mode)
    try CallControlTests.run("/transfer sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    #expect(three.agents.alice.act { $0.callCount } == 0)
    #expect(three.agents.bob.act { $0.reports.map(\.peer) } == ["sip:carol@10.0.0.4"])
    #expect(three.agents.bob.isEstablished && three.carol.isEstablished)
    let invite = three.carol.trace.withLock { $0.first { $0.contains("INVITE sip:carol") } }
    #expect(invite?.contains("Referred-By: <sip:alice@10.0.0.1>") == true)
    three.end()
  }

  @Test("a REFER waits until the hold before it is answered")
  func behindTheHold() throws {
    let three = try Three()
    try CallControlTests.run("/transfer sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    let ladder = three.agents.alice.trace.withLock { $0 }
    let hold = try #require(ladder.lastIndex { $0.contains("a=sendonly") })
    let refer = try #require(ladder.firstIndex { $0.contains("REFER sip:") })
    let between = ladder[hold..<refer]
    #expect(between.contains { $0.contains("SIP/2.0 200 OK") } && between.contains { $0.contains("ACK sip:") })
    three.end()
  }

  @Test("a REFER whose hold gives way to an UPDATE of the peer's leaves when that is answered")
  func behindAnUpdate() throws {
    let three = try Three(encryption: "srtp-mand") { $0.rekeyMethod = .update }
    try CallControlTests.run("/rekey", three.agents.bob)
    try CallControlTests.run("/transfer sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 10_000)
    let ladder = three.agents.alice.trace.withLock { $0 }
    #expect(ladder.contains { $0.contains("SIP/2.0 491") }, "they met")
    #expect(ladder.contains { $0.contains("REFER sip:") } && three.carol.isEstablished)
    three.end()
  }

  @Test(
    "test_call_transfer_fail: whoever asked hears that it failed, and the call stands", arguments: RxMode.allCases)
  func blindFails(mode: RxMode) throws {
    let three = try Three(mode: mode)
    try CallControlTests.run("/dnd on", three.carol)
    try CallControlTests.run("/transfer sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    let failures = three.agents.alice.transferFailures
    #expect(failures.count == 1 && failures[0].hasPrefix("480"))
    #expect(three.agents.alice.isEstablished && three.agents.bob.act { $0.callCount } == 1)
    three.end()
  }

  @Test("an account that does not allow transfers declines, and dials nobody")
  func notAllowed() throws {
    let three = try Three(acceptsTransfer: false)
    try CallControlTests.run("/transfer sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    let failures = three.agents.alice.transferFailures
    #expect(failures == ["603 Decline"])
    #expect(three.carol.events.isEmpty && three.agents.bob.act { $0.callCount } == 1)
    three.end()
  }

  @Test("a REFER to a toll number is declined, and the user told which key says so")
  func toll() throws {
    let three = try Three()
    try CallControlTests.run("/transfer sip:+49-123@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    #expect(three.agents.alice.transferFailures == ["603 Decline"])
    let why = "which is refused: it is a toll number (toll_prefixes)"
    #expect(three.agents.bob.warnings == ["the peer asks for a call to sip:+49-123@10.0.0.4, \(why)"])
    #expect(three.carol.events.isEmpty && three.agents.bob.isEstablished)
    three.end()
  }

  @Test("toll_prefixes none lets a REFER lead anywhere")
  func noToll() throws {
    let three = try Three { $0.tollNumbers = TollNumbers(prefixes: []) }
    try CallControlTests.run("/transfer sip:+49-123@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    #expect(three.agents.bob.act { $0.reports.map(\.peer) } == ["sip:+49-123@10.0.0.4"])
    three.end()
  }

  /// Keeps what it is asked, until it is let answer.
  private final class HeldNames: NameResolver {
    private typealias Completion = @Sendable (DNSAnswer) -> Void
    private let asked = Locked<[DNSQuestion: Completion]>([:])

    func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
      self.asked.withLock { $0[question] = completion }
    }

    func answer(_ names: SimulatedNames) {
      for (question, completion) in self.asked.withLock({ $0 }) { names.resolve(question, completion: completion) }
    }
  }

  @Test("REFERs to a name that is still looked up lead to no more calls than call_max_calls lets them")
  func burst() throws {
    let names = HeldNames()
    let three = try Three(names: names) { $0.callMaxCalls = 2 }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", three.agents.alice)
    three.agents.run(milliseconds: 1000)
    for line in [1, 2] {
      try CallControlTests.run("/line \(line)", three.agents.alice)
      for _ in 0..<10 {
        try CallControlTests.run("/transfer sip:carol@carol.example:5060", three.agents.alice)
        three.agents.run(milliseconds: 300)
      }
    }
    let failures = three.agents.alice.transferFailures
    #expect(failures.count == 18 && failures.allSatisfy { $0.hasPrefix("491") }, "\(failures)")
    #expect(three.agents.bob.act { $0.callCount } == 2)
    names.answer(SimulatedNames(["carol.example": [three.carol.address]]))
    three.agents.run(milliseconds: 3000)
    #expect(three.carol.trace.withLock { $0.count { $0.contains(" <-- INVITE sip:") } } == 1)
    #expect(three.agents.alice.transferFailures.contains { $0.hasPrefix("503") })
    three.end()
  }

  @Test("a chain of transfers ends at call_max_transfers", arguments: [1, 2])
  func chain(limit: Int) throws {
    let three = try Three { $0.callMaxTransfers = limit }
    // Bob is sent from Alice to Carol, and by her to Alice again.
    try CallControlTests.run("/transfer sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    #expect(three.carol.isEstablished)
    try CallControlTests.run("/transfer sip:alice@10.0.0.1", three.carol)
    three.agents.run(milliseconds: 3000)
    #expect(three.carol.transferFailures == (limit == 1 ? ["603 Decline"] : []))
    #expect(three.carol.act { $0.callCount } == (limit == 1 ? 1 : 0))
    three.end()
  }

  @Test(
    "test_ua_refer: a REFER from outside a call is declined, whatever the account allows", arguments: RxMode.allCases)
  func outside(mode: RxMode) throws {
    let three = try Three(mode: mode)
    try CallControlTests.run("/refer sip:bob@10.0.0.2 sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 3000)
    let output = three.agents.alice.events.compactMap { if case .output(let text) = $0 { text } else { nil } }
    #expect(output == ["REFER to sip:bob@10.0.0.2: 603 Decline"])
    #expect(three.carol.events.isEmpty)
    three.end()
  }

  @Test("a REFER from outside a call goes by the account's proxy, and answers its challenge")
  func outsideByProxy() throws {
    let agents = try SimulatedAgents()
    let proxy = try ScriptedPeer(in: agents.simulation)
    try CallControlTests.run(
      "/uanew <sip:alice@10.0.0.1>;regint=0;auth_pass=secret;outbound=\"sip:10.0.0.3\"", agents.alice)
    try CallControlTests.run("/refer sip:bob@10.0.0.2 sip:carol@10.0.0.4", agents.alice)
    agents.run(milliseconds: 300)
    let asked = proxy.events.compactMap { if case .referRequested(let id, _) = $0 { id } else { nil } }
    let refer = try #require(asked.first)
    let challenge = "Digest realm=\"lab\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\""
    proxy.act {
      $0.rejectRefer(refer, status: 407, headers: [("Proxy-Authenticate", challenge)], now: proxy.now)
    }
    agents.run(milliseconds: 300)
    let sent = agents.alice.trace.withLock { $0.filter { $0.contains("REFER sip:bob@10.0.0.2") } }
    #expect(sent.count == 2 && sent.allSatisfy { $0.contains("Route: <sip:10.0.0.3;lr>") })
    #expect(sent.map { $0.contains("Proxy-Authorization: Digest") } == [false, true])
  }

  @Test("test_call_attended_transfer: two calls become one between their peers", arguments: RxMode.allCases)
  func attended(mode: RxMode) throws {
    let three = try Three(mode: mode)
    try CallControlTests.run("/atransferstart sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 1000)
    #expect(three.carol.isEstablished && three.agents.alice.act { $0.callCount } == 2)
    try CallControlTests.run("/atransferexec", three.agents.alice)
    three.agents.run(milliseconds: 4000)
    #expect(three.agents.alice.act { $0.callCount } == 0)
    #expect(three.agents.bob.act { $0.callCount } == 1 && three.carol.act { $0.callCount } == 1)
    #expect(three.agents.bob.isEstablished && three.carol.isEstablished)
    #expect(three.carol.report?.peer == "sip:bob@10.0.0.2")
    three.end()
  }

  @Test("no limit is the highest of all")
  func replacesWithoutLimit() throws {
    let three = try Three()
    try CallControlTests.run("/atransferstart sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 1000)
    three.carol.act { $0.settings.configuration.callMaxCalls = .max }
    try CallControlTests.run("/atransferexec", three.agents.alice)
    three.agents.run(milliseconds: 4000)
    #expect(three.agents.alice.transferFailures.isEmpty && three.carol.report?.peer == "sip:bob@10.0.0.2")
    three.end()
  }

  @Test("who takes the place of a call is one more than call_max_calls at most", arguments: [false, true])
  func replacesBeyondLimit(hasOwnCall: Bool) throws {
    let three = try Three()
    if hasOwnCall { try CallControlTests.run("/dial sip:bob@10.0.0.2", three.carol) }
    three.agents.run(milliseconds: 1000)
    try CallControlTests.run("/atransferstart sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 1000)
    #expect(three.carol.act { $0.callCount } == (hasOwnCall ? 2 : 1))
    three.carol.act { $0.settings.configuration.callMaxCalls = 1 }
    try CallControlTests.run("/atransferexec", three.agents.alice)
    three.agents.run(milliseconds: 4000)
    let failures = three.agents.alice.transferFailures
    #expect(failures.map { $0.hasPrefix("486") } == (hasOwnCall ? [true] : []), "\(failures)")
    three.end()
  }

  @Test("an attended transfer that is aborted ends the second call, and the first goes on")
  func aborted() throws {
    let three = try Three()
    #expect(!three.agents.alice.act { $0.execute(line: "/atransferexec") }.isOK)
    try CallControlTests.run("/atransferstart sip:carol@10.0.0.4", three.agents.alice)
    three.agents.run(milliseconds: 1000)
    #expect(three.agents.alice.act { $0.reports.first?.isOnHold } == true)
    try CallControlTests.run("/atransferabort", three.agents.alice)
    three.agents.run(milliseconds: 1000)
    #expect(three.carol.act { $0.callCount } == 0)
    #expect(three.agents.alice.act { $0.reports.map(\.isOnHold) } == [false])
    three.end()
  }

  @Test("a redirection is followed where the account allows it, and told where it does not", arguments: [true, false])
  func redirected(isFollowed: Bool) throws {
    let agents = try SimulatedAgents()
    let peer = try ScriptedPeer(in: agents.simulation)
    agents.aliceSettings.followsRedirects = isFollowed
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try CallControlTests.run("/dial sip:x@10.0.0.3", agents.alice)
    agents.run(milliseconds: 200)
    let call = try #require(peer.incoming.first)
    peer.act {
      $0.reject(call.id, status: 302, reason: nil, headers: [("Contact", "<sip:bob@10.0.0.2>")], now: peer.now)
    }
    agents.run(milliseconds: 1000)
    #expect(agents.alice.ended.map(\.reason) == (isFollowed ? [] : ["redirected"]))
    #expect(agents.bob.act { $0.callCount } == (isFollowed ? 1 : 0))
  }

  @Test("dtmfmode info sends digits by INFO, in their order; auto takes telephone events where the peer has them")
  func info() throws {
    let agents = try SimulatedAgents()
    for (mode, infos) in [(DTMFMode.info, 5), (.auto, 0)] {
      agents.aliceSettings.dtmfMode = mode
      agents.alice.act { $0.accounts = [agents.aliceSettings] }
      agents.bob.act { $0.accounts = [agents.bobSettings] }
      agents.bob.trace.withLock { $0.removeAll() }
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 1000)
      try CallControlTests.run("12*#9", agents.alice)
      agents.run(milliseconds: 3000)
      #expect(agents.bob.report?.digits == "12*#9")
      #expect(agents.bob.trace.withLock { $0.count { $0.contains(" <-- INFO sip:") } } == infos)
      try CallControlTests.run("b", agents.alice)
      agents.run(milliseconds: 1000)
    }
  }

  @Test("test_ua_options: a peer says what it can do", arguments: RxMode.allCases)
  func options(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try CallControlTests.run("/options sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let output = agents.alice.events.compactMap { if case .output(let text) = $0 { text } else { nil } }
    #expect(output.count == 1 && output[0].hasPrefix("OPTIONS of sip:bob@10.0.0.2: 200 OK\nAllow: INVITE"))
  }

  @Test("test_message: a message in a call arrives, and its sender hears so", arguments: RxMode.allCases)
  func message(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("/message good morning", agents.alice)
    agents.run(milliseconds: 500)
    let messages = agents.bob.events.compactMap { event -> String? in
      if case .message(let account, let from, _, let text) = event { "\(account) \(from) \(text)" } else { nil }
    }
    #expect(messages == ["sip:bob@10.0.0.2 sip:alice@10.0.0.1 good morning"])
    let output = agents.alice.events.compactMap { if case .output(let text) = $0 { text } else { nil } }
    #expect(output == ["message to sip:bob@10.0.0.2: 200 OK"])
  }

  @Test("a message from outside a call is for whom its request URI names: nobody 404, and with inreq_allowed=no 403")
  func messageOutside() throws {
    let agents = try SimulatedAgents()
    let peer = try ScriptedPeer(in: agents.simulation)
    try CallControlTests.run("/uanew <sip:bob@10.0.0.2>;regint=0", agents.bob)
    try CallControlTests.run("/uanew <sip:quiet@10.0.0.2>;regint=0;inreq_allowed=no", agents.bob)
    let own = NameAddress(uri: try SIPURI("sip:dave@10.0.0.3"))
    let to = NameAddress(uri: try SIPURI("sip:somebody@lab.test"))
    for user in ["nobody", "bob", "quiet"] {
      let uri = try SIPURI("sip:\(user)@10.0.0.2")
      peer.act {
        _ = $0.request(
          OutgoingRequest(
            .message, to: to, from: own, requestURI: uri, targets: [SIPTarget(address: agents.bob.address)],
            local: peer.address, body: SIPBody(contentType: "text/plain", bytes: Array("good morning".utf8))),
          now: peer.now)
      }
      agents.run(milliseconds: 300)
    }
    let statuses = peer.events.compactMap {
      if case .requestResult(_, let status, _, _, _) = $0 { status } else { nil }
    }
    #expect(statuses == [404, 200, 403])
    let messages = agents.bob.events.compactMap { event -> String? in
      if case .message(let account, let from, _, let text) = event { "\(account) \(from) \(text)" } else { nil }
    }
    #expect(messages == ["sip:bob@10.0.0.2 sip:dave@10.0.0.3 good morning"])
  }
}
