import Handoff
import ModuleKit
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Callers who hide, and callers whom a proxy vouches for (RFC 3323, RFC 3325).
@Suite struct PrivacyTests {
  private static let proxy = ";outbound=\"sip:10.0.0.2\""

  /// The INVITE that Alice sends from an account with these parameters.
  private func invite(_ parameters: String, then commands: String...) throws -> (text: String, heard: [String]) {
    let agents = try SimulatedAgents()
    try CallControlTests.run("/uanew \"Alice\" <sip:alice@wonder.test>;regint=0\(parameters)", agents.alice)
    try CallControlTests.run("/uanew <sip:bob@10.0.0.2>;regint=0", agents.bob)
    for command in commands { try CallControlTests.run(command, agents.alice) }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let text = agents.alice.trace.withLock { $0.first { $0.contains("INVITE sip:bob") } } ?? ""
    return (text, Self.callers(agents.bob))
  }

  private static func callers(_ agent: SimulatedAgent) -> [String] {
    agent.events.compactMap { if case .incoming(_, let from, _) = $0 { from } else { nil } }
  }

  @Test("privacy=id hides who calls from whom it calls; nothing in the INVITE names him")
  func hidden() throws {
    let (text, heard) = try self.invite(";privacy=id")
    #expect(text.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="))
    #expect(text.contains("Privacy: id") && text.contains("Contact: <sip:anonymous@10.0.0.1:5060>"))
    #expect(!text.lowercased().contains("alice") && !text.contains("wonder.test"), "\(text)")
    #expect(heard == ["sip:anonymous@anonymous.invalid"])
  }

  @Test("the account's own proxy is told who calls, and asked to keep it to itself")
  func preferred() throws {
    let (text, _) = try self.invite(";privacy=id\(Self.proxy)")
    #expect(text.contains("P-Preferred-Identity: \"Alice\" <sip:alice@wonder.test>") && text.contains("Privacy: id"))
    #expect(text.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="))
  }

  @Test("who does not ask for it is shown; the command privacy changes it for the calls that come")
  func command() throws {
    let shown = try self.invite("")
    #expect(shown.text.contains("From: \"Alice\" <sip:alice@wonder.test>;tag=") && !shown.text.contains("Privacy:"))
    #expect(try self.invite("", then: "/privacy id").heard == ["sip:anonymous@anonymous.invalid"])
    #expect(try self.invite(";privacy=id", then: "/privacy none").heard == ["sip:alice@wonder.test"])
  }

  struct Assertion: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let headers: [(String, String)]
    var parameters = ";outbound=\"sip:10.0.0.1\""
    let heard: [String]

    static let carol = ("P-Asserted-Identity", "<tel:+15550100>, \"Carol\" <sip:carol@lab.test>")
    static let all = [
      Assertion(testDescription: "by the account's proxy", headers: [carol], heard: ["sip:carol@lab.test"]),
      Assertion(
        testDescription: "a telephone number alone", headers: [("P-Asserted-Identity", "<tel:+15550100>")],
        heard: ["tel:+15550100"]),
      Assertion(
        testDescription: "by a stranger", headers: [carol], parameters: "", heard: ["sip:alice@10.0.0.1"]),
      Assertion(
        testDescription: "by another proxy than the account's", headers: [carol],
        parameters: ";outbound=\"sip:10.0.0.9\"", heard: ["sip:alice@10.0.0.1"]),
      Assertion(
        testDescription: "of a caller who hides", headers: [carol, ("Privacy", "id")], heard: ["sip:alice@10.0.0.1"]),
    ]
  }

  @Test("an asserted identity is shown in place of From where our own proxy asserts it", arguments: Assertion.all)
  func asserted(one: Assertion) throws {
    let agents = try SimulatedAgents()
    try CallControlTests.run("/uanew <sip:bob@10.0.0.2>;regint=0\(one.parameters)", agents.bob)
    let target = try SIPURI("sip:bob@10.0.0.2")
    _ = try agents.alice.act {
      try $0.call(target, at: agents.bob.address, settings: agents.aliceSettings, headers: one.headers)
    }
    agents.run(milliseconds: 500)
    #expect(Self.callers(agents.bob) == one.heard)
    #expect(agents.bob.report?.peer == one.heard.first)
  }

  private static func blockCarol(_ settings: inout AgentSettings) {
    var problems: [ConfigProblem] = []
    settings.contacts = ContactsFile.parse(
      "\"C\" <sip:carol@lab.test>;access=block", file: "contacts", problems: &problems)
  }

  @Test("a blocked contact is refused by either name")
  func blocked() throws {
    let agents = try SimulatedAgents(adjust: Self.blockCarol)
    try CallControlTests.run("/uanew <sip:bob@10.0.0.2>;regint=0;outbound=\"sip:10.0.0.1\"", agents.bob)
    let target = try SIPURI("sip:bob@10.0.0.2")
    _ = try agents.alice.act {
      try $0.call(target, at: agents.bob.address, settings: agents.aliceSettings, headers: [Assertion.carol])
    }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.map(\.status) == [403] && Self.callers(agents.bob).isEmpty)
  }

  @Test(
    "a blocked contact is refused however its address is written (RFC 3261 §19.1.4)",
    arguments: ["sip:carol@LAB.Test", "sip:c%61rol@lab.test"])
  func blockedSpelling(identity: String) throws {
    let agents = try SimulatedAgents(adjust: Self.blockCarol)
    agents.aliceSettings.identity = identity
    try CallControlTests.run("/uanew <sip:bob@10.0.0.2>;regint=0", agents.bob)
    let target = try SIPURI("sip:bob@10.0.0.2")
    _ = try agents.alice.act { try $0.call(target, at: agents.bob.address, settings: agents.aliceSettings) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.map(\.status) == [403] && Self.callers(agents.bob).isEmpty)
  }

  @Test("an account is called also where its user is written with escapes; a contact may watch, in any case")
  func spelling() throws {
    let agents = try SimulatedAgents()
    try CallControlTests.run("/uanew <sip:bob@10.0.0.2>;regint=0", agents.bob)
    let target = try SIPURI("sip:%62ob@10.0.0.2")
    _ = try agents.alice.act { try $0.call(target, at: agents.bob.address, settings: agents.aliceSettings) }
    agents.run(milliseconds: 500)
    #expect(Self.callers(agents.bob) == ["sip:alice@10.0.0.1"])
    try CallControlTests.run("/addcontact <sip:dave@lab.test>", agents.bob)
    try CallControlTests.run("/uanew <sip:bob@lab.test>;regint=0", agents.bob)
    let dave = try SIPURI("sip:d%61ve@LAB.test")
    #expect(agents.bob.act { $0.control.contacts.mayWatch(dave) })
    #expect(agents.bob.act { $0.account(towards: dave)?.aor } == "sip:bob@lab.test")
  }
}
