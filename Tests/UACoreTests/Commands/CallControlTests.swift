import Handoff
import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Calls made, taken and steered by commands.
@Suite struct CallControlTests {
  /// Alice and Bob with an account each; Bob is asked before he answers.
  static func agents(
    mode: RxMode = .main, isAsked: Bool = true, _ configure: (inout Configuration) -> Void = { _ in }
  ) throws -> SimulatedAgents {
    let agents = try SimulatedAgents(mode: mode, configure: configure)
    agents.bobSettings.answersAtOnce = !isAsked
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    return agents
  }

  @Test("/config shows which secrets are set, and none of them")
  func secrets() throws {
    let agents = try SimulatedAgents(seed: 21) {
      for name in ["whip_token", "http_token", "whip_client_token"] { $0.moduleValues[name] = "s3cret-\(name)" }
    }
    let shown = try Self.run("/config", agents.alice)
    #expect(!shown.contains("s3cret") && shown.contains("(set)"), "\(shown)")
  }

  @discardableResult
  static func run(_ line: String, _ agent: SimulatedAgent) throws -> String {
    let result = agent.act { $0.execute(line: line) }
    try #require(result.isOK, "\(line): \(result.text)")
    return result.text
  }

  @Test("test_call_answer: dial, ring, accept, hang up", arguments: RxMode.allCases)
  func dialAndAccept(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode)
    #expect(try Self.run("/dial sip:bob@10.0.0.2", agents.alice).hasPrefix("call 1: calling sip:bob@10.0.0.2"))
    agents.run(milliseconds: 1000)
    #expect(agents.bob.report?.state == .ringing && agents.alice.report?.state == .ringing)
    try Self.run("a", agents.bob)
    agents.run(milliseconds: 1000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let id = try #require(agents.alice.act { $0.sortedCalls.first?.sipCallID })
    // baresip's listing, to the byte.
    #expect(
      try Self.run("l", agents.alice)
        == "\nUser-Agent: alice@10.0.0.1\n--- Active calls (1) ---\n"
        + "> [line 1, id \(id)]  0:00:00  ESTABLISHED             sip:bob@10.0.0.2\n\n")
    try Self.run("b", agents.alice)
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.map(\.reason) == ["hangup"] && agents.bob.ended.map(\.reason) == ["hangup"])
  }

  @Test("test_call_reject: a hang-up before the answer refuses the call", arguments: RxMode.allCases)
  func reject(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try Self.run("b", agents.bob)
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.reason == "rejected" && (agents.alice.ended.first?.status ?? 0) >= 480)
  }

  @Test("test_call_max: one call more than call_max_calls gets 486", arguments: RxMode.allCases)
  func maxCalls(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode, isAsked: false) { $0.callMaxCalls = 1 }
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.alice.ended.map(\.status) == [486])
    #expect(agents.bob.act { $0.callCount } == 1)
  }

  @Test("a limit of the config file is the endpoint's, and sipstat has what it kept out")
  func sessionLimit() throws {
    let agents = try Self.agents(isAsked: false) { $0.sipLimits.sessions = 1 }
    for _ in 0..<2 {
      try Self.run("d sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    #expect(agents.alice.ended.map(\.status) == [503])
    #expect(try Self.run("/sipstat", agents.bob).contains("refusedSessions  1"))
  }

  @Test("an answered call puts the others on hold, and a resumed one does", arguments: [true, false])
  func holdOthers(isHolding: Bool) throws {
    let agents = try Self.agents { $0.callHoldOtherCalls = isHolding }
    for line in ["a", "a"] {
      try Self.run("d sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
      try Self.run(line, agents.bob)
      agents.run(milliseconds: 500)
    }
    func held(_ agent: SimulatedAgent) -> [Bool] { agent.act { $0.reports.map(\.isOnHold) } }
    #expect(held(agents.bob) == [isHolding, false])
    guard isHolding else { return }
    try Self.run("/line 1", agents.bob)
    try Self.run("X", agents.bob)
    agents.run(milliseconds: 500)
    #expect(held(agents.bob) == [false, true])
  }

  @Test("the call that /rekey names gets new keys, else the current one", arguments: RxMode.allCases)
  func rekey(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode) { $0.callHoldOtherCalls = false }
    (agents.aliceSettings.mediaEncryption, agents.bobSettings.mediaEncryption) = ("srtp-mand", "srtp-mand")
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    func rekeys() -> [Int] {
      agents.alice.act { core in for report in core.reports { core.refreshStatistics(report.id) } }
      agents.run(milliseconds: 50)
      return agents.alice.act { $0.reports.map(\.media.rekeys) }
    }
    for _ in 0..<2 {
      try Self.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    try Self.run("/rekey 1", agents.alice)
    agents.run(milliseconds: 500)
    #expect(rekeys() == [1, 0])
    try Self.run("k", agents.alice)
    agents.run(milliseconds: 500)
    #expect(rekeys() == [1, 1])
    #expect(agents.alice.act { !$0.execute(line: "/rekey 3").isOK })
  }

  @Test("test_call_dtmf: digits typed in a call go to the peer", arguments: RxMode.allCases)
  func digits(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode, isAsked: false)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1000)
    try Self.run("123#", agents.alice)
    try Self.run("/sndcode a9", agents.bob)
    agents.run(milliseconds: 3000)
    #expect(agents.bob.report?.digits == "123#" && agents.alice.report?.digits == "A9")
  }

  @Test("without a call, digits are a number in the account's domain; menu_clean_number cleans it")
  func number() throws {
    let agents = try Self.agents { $0.menuCleanNumber = true }
    let account = try #require(Account(uri: "sip:alice@10.0.0.2"))
    agents.alice.act {
      $0.accounts = [CallSettings(account: account, configuration: $0.settings.configuration)]
    }
    #expect(try Self.run("1234", agents.alice).hasPrefix("call 1: calling sip:1234@10.0.0.2"))
    try Self.run("b", agents.alice)
    agents.run(milliseconds: 1000)
    #expect(try Self.run("/dial (0)12 - 34", agents.alice).hasPrefix("call 2: calling sip:01234@10.0.0.2"))
  }

  @Test("do not disturb refuses calls, and is switched off again")
  func doNotDisturb() throws {
    let agents = try Self.agents()
    try Self.run("/dnd on", agents.bob)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.status == 480)
    try Self.run("/dnd off", agents.bob)
    try Self.run("d", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.bob.report?.state == .ringing)
  }

  @Test("test_contact: contacts are added, found, dialled by name, and removed", arguments: RxMode.allCases)
  func contacts(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode, isAsked: false)
    #expect(agents.alice.act { $0.control.contacts.find("sip:null@void.com") } == nil)
    try Self.run("/addcontact \"Neil Young\" <sip:neil@10.0.0.2>", agents.alice)
    #expect(agents.alice.act { $0.control.contacts.contacts.count } == 1)
    let found = agents.alice.act { $0.control.contacts.find("sip:neil@10.0.0.2") }
    #expect(found?.line == "\"Neil Young\" <sip:neil@10.0.0.2>")
    #expect(try Self.run("d neil", agents.alice).contains("sip:neil@10.0.0.2"))
    try Self.run("/hangupall", agents.alice)
    agents.run(milliseconds: 500)
    #expect(try Self.run("D", agents.alice).contains("sip:neil@10.0.0.2"))
    try Self.run("/rmcontact sip:neil@10.0.0.2", agents.alice)
    #expect(agents.alice.act { $0.control.contacts.contacts.isEmpty })
  }

  @Test("who is chosen among the contacts stays so when another one goes, or is written anew")
  func chosenContact() throws {
    let agents = try Self.agents(isAsked: false)
    func chosen() -> String? { agents.alice.act { $0.control.contacts.selected?.address.user } }
    for name in ["ann", "ben", "cem"] { try Self.run("/addcontact <sip:\(name)@10.0.0.2>", agents.alice) }
    try Self.run(">", agents.alice)
    #expect(chosen() == "ben")
    try Self.run("/addcontact \"Ann\" <sip:ann@10.0.0.2>", agents.alice)
    #expect(chosen() == "ben")
    try Self.run("/rmcontact sip:ann@10.0.0.2", agents.alice)
    #expect(chosen() == "ben")
    try Self.run("/rmcontact sip:ben@10.0.0.2", agents.alice)
    #expect(chosen() == "cem")
  }

  @Test(
    "test_contact_find_call: a call's peer is found among the contacts, by its host if need be",
    arguments: RxMode.allCases)
  func contactOfCall(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode, isAsked: false)
    for line in ["B <sip:b@10.0.0.9>", "A <sip:alice@10.0.0.1>"] { try Self.run("/addcontact \(line)", agents.bob) }
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let peer = try #require(agents.bob.report?.peer)
    #expect(agents.bob.act { $0.control.contacts.find(peer: peer) }?.displayName == "A")
    try Self.run("/rmcontact sip:alice@10.0.0.1", agents.bob)
    #expect(agents.bob.act { $0.control.contacts.find(peer: peer) } == nil)
    try Self.run("/addcontact X <sip:x@10.0.0.1>", agents.bob)
    #expect(agents.bob.act { $0.control.contacts.find(peer: peer) }?.displayName == "X")
  }

  @Test("a contact's access decides who may call", arguments: [("allow", true), ("block", false)])
  func access(rule: String, isTaken: Bool) throws {
    let agents = try Self.agents()
    try Self.run("/addcontact <sip:*@*>;access=\(isTaken ? "block" : "allow")", agents.bob)
    try Self.run("/addcontact <sip:alice@10.0.0.1>;access=\(rule)", agents.bob)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect((agents.bob.report?.state == .ringing) == isTaken)
    if !isTaken { #expect(agents.alice.ended.first?.status == 403) }
  }

  @Test(
    "test_call_custom_headers: header fields of the account's are in its INVITE, until they are removed",
    arguments: RxMode.allCases)
  func customHeaders(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode, isAsked: false)
    try Self.run("/uaaddheader X-Ticket=4711", agents.alice)
    #expect(!agents.alice.act { $0.execute(line: "/uaaddheader Via=x") }.isOK)
    #expect(!agents.alice.act { $0.execute(line: "/uaaddheader X:Y=x") }.isOK)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let invites = agents.bob.trace.withLock { $0.filter { $0.contains("INVITE sip:") } }
    #expect(invites.count == 1 && invites[0].contains("X-Ticket: 4711"))
    try Self.run("/uarmheader X-Ticket", agents.alice)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let last = agents.bob.trace.withLock { $0.last { $0.contains("INVITE sip:") } }
    #expect(last?.contains("X-Ticket") == false)
  }

  @Test("a call that nobody answered is made again, as often as redial_attempts says")
  func redial() throws {
    let agents = try Self.agents {
      $0.redialAttempts = 2
      $0.redialDelay = 3
    }
    try Self.run("/dnd on", agents.bob)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 2000)
    #expect(agents.alice.ended.count == 1)
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.ended.map(\.status) == [480, 480, 480])
    #expect(try Self.run("/calllog", agents.alice).split(separator: "\n").count == 3)
  }

  @Test(
    "test_call_progress: early media's answer goes out before anyone answered, and the 2xx repeats it",
    arguments: RxMode.allCases)
  func earlyMedia(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode)
    agents.bobSettings.answerMode = .early
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1000)
    #expect(agents.alice.report?.state == .early && agents.alice.report?.firstMedia != nil)
    try Self.run("a", agents.bob)
    agents.run(milliseconds: 1000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(agents.alice.warnings.isEmpty && agents.bob.warnings.isEmpty)
  }

  @Test(
    "test_call_uag_find_msg, test_ua_cuser, test_uag_find_param: a call goes to its user's account, or to a catch-all",
    arguments: RxMode.allCases)
  func findAccount(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode, isAsked: false)
    agents.bobSettings.catchesAll = false
    var other = agents.bobSettings
    other.identity = "sip:carol@10.0.0.2"
    agents.bob.act { $0.accounts = [agents.bobSettings, other] }
    try Self.run("d sip:carol@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.bob.act { $0.sortedCalls.map(\.settings.identity) } == ["sip:carol@10.0.0.2"])
    try Self.run("d sip:dave@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.alice.ended.map(\.status) == [404])
    agents.bob.act { $0.localAccounts[0].settings.catchesAll = true }
    try Self.run("d sip:dave@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.bob.act { $0.sortedCalls.map(\.settings.identity) }.last == "sip:bob@10.0.0.2")
  }

  @Test("a command without its slash, and a peer of a family that SIP is not open for, are named as what they are")
  func plainWords() throws {
    let agents = try Self.agents(mode: .main)
    func said(_ line: String) -> String { agents.alice.act { $0.execute(line: line) }.text }
    #expect(said("dial sip:bob@10.0.0.2") == "dial is the name of a command: write /dial")
    #expect(said("hangup") == "hangup is the name of a command: write /hangup")
    #expect(
      said("/dial sip:bob@[2001:db8::1]")
        == "SIP over UDP is not open here for IPv6 (sip_listen, net_interface, net_af, -4, -6)")
  }

  @Test("test_ua_alloc: accounts are made and taken away by command", arguments: RxMode.allCases)
  func accounts(mode: RxMode) throws {
    let agents = try Self.agents(mode: mode)
    let list = try Self.run("/uanew <sip:carol@10.0.0.1>;regint=0;answermode=auto", agents.alice)
    let padding = String(repeating: " ", count: 24)
    #expect(
      list == "\n--- User Agents (2) ---\n0 - sip:alice@10.0.0.1\(padding)\n1 - sip:carol@10.0.0.1\(padding)\n\n")
    try Self.run("/uafind sip:carol@10.0.0.1", agents.alice)
    try Self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.bob.report?.peer == "sip:carol@10.0.0.1")
    try Self.run("/uadel sip:carol@10.0.0.1", agents.alice)
    #expect(agents.alice.act { $0.accounts.map(\.identity) } == ["sip:alice@10.0.0.1"])
    let warned = try Self.run("/uanew <sip:dave@10.0.0.1>;regint=0;bogus=1", agents.alice)
    #expect(warned.hasPrefix("warning: bogus: neither Apus nor baresip has such an account parameter\n"))
    #expect(!agents.alice.act { $0.execute(line: "/uanew nonsense") }.isOK)
    #expect(!agents.alice.act { $0.execute(line: "/uanew <sip:x@y>;mediaenc=zrtp") }.isOK)
  }
}
