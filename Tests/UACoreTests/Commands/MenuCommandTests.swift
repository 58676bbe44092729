import Handoff
import ModuleKit
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// What baresip's users type: whom a command means, and what it leaves alone.
@Suite struct MenuCommandTests {
  private static func refusal(_ line: String, _ agent: SimulatedAgent) throws -> String {
    let result = agent.act { $0.execute(line: line) }
    try #require(!result.isOK, "\(line): \(result.text)")
    return result.text
  }

  private static func messages(_ agent: SimulatedAgent) -> [String] {
    agent.events.compactMap { event -> String? in
      if case .message(_, let from, _, let text) = event { "\(from) \(text)" } else { nil }
    }
  }

  /// Numbers of the calls that are over.
  private static func ended(_ agent: SimulatedAgent) -> [UInt64] { agent.ended.map(\.id.number) }

  // MARK: Messages

  @Test(
    "a message without a URI goes to the call's peer, whatever its first word",
    arguments: ["hello world", "sipping tea now", "al dente", "hello", "@noon then", "lunch@ noon"])
  func messageInCall(text: String) throws {
    let agents = try CallControlTests.agents(isAsked: false)
    try CallControlTests.run("/addcontact \"Alfred\" <sip:alfred@10.0.0.9>", agents.alice)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let answer = try CallControlTests.run("/message \(text)", agents.alice)
    #expect(answer == "sending a message to sip:bob@10.0.0.2")
    agents.run(milliseconds: 500)
    #expect(Self.messages(agents.bob) == ["sip:alice@10.0.0.1 \(text)"])
  }

  @Test("a message outside a call goes to the selected contact, or to whom its first word names")
  func messageOutside() throws {
    let agents = try CallControlTests.agents()
    #expect(try Self.refusal("/message hello world", agents.alice).contains("neither a call nor a selected contact"))
    try CallControlTests.run("/addcontact \"Bob\" <sip:bob@10.0.0.2>", agents.alice)
    for recipient in ["", "bob ", "sip:bob@10.0.0.2 ", "bob@10.0.0.2 "] {
      let answer = try CallControlTests.run("/message \(recipient)hello world", agents.alice)
      #expect(answer == "sending a message to sip:bob@10.0.0.2", "\(recipient)")
      agents.run(milliseconds: 500)
    }
    #expect(Self.messages(agents.bob) == Array(repeating: "sip:alice@10.0.0.1 hello world", count: 4))
    #expect(try Self.refusal("/message sip:bob@10.0.0.2", agents.alice).contains("a text behind"))
  }

  // MARK: Which call

  @Test("medialdir changes the call that it names", arguments: ["callid=ID", "callid=1", "ID"])
  func namedDirections(name: String) throws {
    let agents = try CallControlTests.agents(isAsked: false) { $0.callHoldOtherCalls = false }
    for _ in 0..<2 {
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    let id = try #require(agents.alice.act { $0.sortedCalls.first?.sipCallID })
    let call = name.hasSuffix("ID") ? "\(name.dropLast(2))\(id)" : name
    try CallControlTests.run("/medialdir audio=recvonly \(call)", agents.alice)
    agents.run(milliseconds: 500)
    let directions = agents.alice.act { $0.sortedCalls.map { $0.media?.directions.audio } }
    #expect(directions == [.recvonly, .sendrecv])
    #expect(try Self.refusal("/medialdir recvonly callid=nobody", agents.alice) == "call not found (id=nobody)")
  }

  @Test(
    "acceptdir accepts the call that it names", arguments: ["sendonly callid=1", "callid=1 sendonly", "sendonly 1"])
  func namedAccept(parameters: String) throws {
    let agents = try CallControlTests.agents()
    for _ in 0..<2 {
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    #expect(try Self.refusal("/acceptdir sendonly nobody", agents.bob) == "call not found (id=nobody)")
    try CallControlTests.run("/acceptdir \(parameters)", agents.bob)
    agents.run(milliseconds: 500)
    #expect(agents.bob.act { $0.reports.map(\.state) } == [.established, .ringing])
  }

  @Test("uafind makes the account's newest call the current one")
  func newestCall() throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/uanew <sip:carol@10.0.0.1>;regint=0", agents.alice)
    for name in ["alice", "alice", "carol"] {
      try CallControlTests.run("/uafind \(name)@10.0.0.1", agents.alice)
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    try CallControlTests.run("/uafind alice@10.0.0.1", agents.alice)
    try CallControlTests.run("b", agents.alice)
    agents.run(milliseconds: 1000)
    #expect(Self.ended(agents.alice) == [2])
  }

  // MARK: Ends

  @Test("hangupall in and out end what nobody has answered yet, of that direction", arguments: ["", "dir="])
  func hangUpUnanswered(prefix: String) throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("a", agents.bob)
    agents.run(milliseconds: 500)
    for (way, agent, other) in [("in", agents.bob, agents.alice), ("out", agents.alice, agents.bob)] {
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
      let before = Self.ended(agents.alice)
      try CallControlTests.run("/hangupall \(prefix)\(way)", other)
      agents.run(milliseconds: 1000)
      #expect(Self.ended(agents.alice) == before, "\(way), at the other end")
      try CallControlTests.run("/hangupall \(prefix)\(way)", agent)
      agents.run(milliseconds: 1000)
      #expect(Self.ended(agents.alice).count == before.count + 1, "\(way)")
    }
    #expect(Self.ended(agents.alice) == [2, 3] && agents.alice.isEstablished)
    try CallControlTests.run("/hangupall", agents.alice)
    #expect(agents.runUntilIdle())
  }

  @Test("hangup refuses a call that waits with the status and the reason that it is given")
  func status() throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    for wrong in ["scode=200", "scode=busy", "scode=700", "1 2 scode=486"] {
      #expect(try Self.refusal("/hangup \(wrong)", agents.bob).hasPrefix("/hangup takes"), "\(wrong)")
    }
    try CallControlTests.run("/hangup 1 scode=603 reason=Gone", agents.bob)
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.map(\.status) == [603])
    #expect(agents.alice.trace.withLock { $0.contains { $0.contains("SIP/2.0 603 Gone") } })
  }

  @Test("hangup with a status ends a call that stands as one without does")
  func statusOfStandingCall() throws {
    let agents = try CallControlTests.agents(isAsked: false)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("/hangup scode=603 reason=Gone", agents.bob)
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.map(\.reason) == ["hangup"])
  }

  @Test("uadel needs a name")
  func deleteNobody() throws {
    let agents = try CallControlTests.agents()
    #expect(try Self.refusal("/uadel", agents.alice).hasPrefix("/uadel takes an account"))
    #expect(agents.alice.act { $0.accounts.count } == 1)
  }

  // MARK: Calls

  @Test("dial takes the account's number behind a URI")
  func dialFrom() throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/uanew <sip:carol@10.0.0.1>;regint=0", agents.alice)
    #expect(try Self.refusal("/dial sip:bob@10.0.0.2 7", agents.alice).hasPrefix("there is no account 7"))
    let answer = try CallControlTests.run("/dial sip:bob@10.0.0.2 1", agents.alice)
    #expect(answer.hasPrefix("call 1: calling sip:bob@10.0.0.2\n"))
    agents.run(milliseconds: 500)
    #expect(agents.bob.report?.peer == "sip:carol@10.0.0.1")
  }

  @Test("what a call is dialled with comes with each of its events", arguments: ["dial", "dialdir"])
  func userData(command: String) throws {
    let agents = try CallControlTests.agents()
    let listener = NoticeTests.Listener()
    agents.alice.act { $0.applications = [("listener", listener)] }
    let directions = command == "dialdir" ? "audio=sendonly " : ""
    try CallControlTests.run("/\(command) sip:bob@10.0.0.2 \(directions)userdata=4711", agents.alice)
    agents.run(milliseconds: 500)
    let notices = listener.notices.withLock { $0.filter { $0.call != nil } }
    #expect(!notices.isEmpty && notices.allSatisfy { $0.call?.userData == "4711" })
    #expect(notices.allSatisfy { $0.json.description.contains(#""userdata": "4711""#) })
    // The next one has none.
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    let last = try #require(listener.notices.withLock { $0.last { $0.kind == .callOutgoing } })
    #expect(last.call?.userData == nil)
  }

  @Test("what can't be read as a URI is said to be none, where there are accounts")
  func unreadable() throws {
    let agents = try CallControlTests.agents()
    let text = "sip:bob@10.0.0.2 tomorrow"
    #expect(try Self.refusal("/dial \(text)", agents.alice).hasPrefix("\(text) is not a SIP URI"))
    try CallControlTests.run("/uadelall", agents.alice)
    #expect(try Self.refusal("/dial \(text)", agents.alice).contains("there is no account"))
  }
}
