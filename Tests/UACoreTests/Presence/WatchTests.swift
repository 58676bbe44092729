import Handoff
import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Presence and calls of contacts, and ours for them, between two agents with the module `presence`.
@Suite struct WatchTests {
  @Test("a contact's presence is watched, and told as it changes")
  func presence() throws {
    let lab = try PresenceLab()
    #expect(lab.told(.presence) == ["Online"])
    #expect(try lab.alice("/contacts").contains(#"> Online [idle]   "Bob" <sip:bob@10.0.0.2>"#))
    for word in ["busy", "away", "away", "offline", "Online"] {
      try lab.bob("/presence \(word)")
      lab.agents.run(milliseconds: 500)
    }
    #expect(lab.told(.presence) == ["Online", "Busy", "Away", "Offline", "Online"])
    #expect(try lab.bob("/presence") == "presence: Online, 2 watchers")
    let wrong = lab.agents.bob.act { $0.execute(line: "/presence asleep") }
    #expect(wrong == CommandResult(isOK: false, text: "/presence takes online, busy, away or offline"))
  }

  @Test("programs hear of a change in baresip's words")
  func notices() throws {
    let lab = try PresenceLab()
    let listener = NoticeTests.Listener()
    lab.agents.alice.act { $0.applications = [("listener", listener)] }
    try lab.bob("/presence busy")
    lab.agents.run(milliseconds: 500)
    #expect(listener.parameters(.module) == ["presence,presence,sip:bob@10.0.0.2 Busy"])
  }

  @Test("a subscription is refreshed for as long as the contact stays, and ended with it")
  func refresh() throws {
    let lab = try PresenceLab()
    lab.agents.run(milliseconds: 3_000_000)
    #expect(lab.subscribes(.presence) >= 6)
    #expect(try lab.bob("/presence busy") == "presence: Busy, 2 watchers")
    lab.agents.run(milliseconds: 500)
    #expect(lab.told(.presence) == ["Online", "Busy"])
    try lab.alice("/rmcontact sip:bob@10.0.0.2")
    lab.agents.run(milliseconds: 500)
    #expect(try lab.bob("/presence") == "presence: Busy, 0 watchers")
    let before = lab.subscribes(.presence)
    lab.agents.run(milliseconds: 3_000_000)
    #expect(lab.subscribes(.presence) == before)
  }

  @Test("a lamp follows a colleague's calls: ringing, in a call, over", arguments: [true, false])
  func lamp(isCalled: Bool) throws {
    let lab = try PresenceLab()
    if isCalled {
      try lab.alice("/dial sip:bob@10.0.0.2")
      lab.agents.run(milliseconds: 500)
      #expect(lab.told(.dialog) == ["idle", "early"])
      #expect(try lab.alice("/contacts").contains("Online [early]"))
      try lab.bob("a")
    } else {
      // Alice answers by herself, at once.
      try lab.bob("/dial sip:alice@10.0.0.1")
    }
    lab.agents.run(milliseconds: 1_000)
    try lab.bob("b")
    lab.agents.run(milliseconds: 1_000)
    let steps = isCalled ? ["early", "confirmed", "idle"] : ["trying", "confirmed", "idle"]
    #expect(lab.told(.dialog) == ["idle"] + steps)
  }

  @Test("who watches learns how far a call is, and not with whom")
  func discreet() throws {
    let lab = try PresenceLab()
    try lab.bob("/dial sip:secret@10.0.0.1")
    lab.agents.run(milliseconds: 1_000)
    let notices = lab.agents.alice.trace.withLock {
      $0.filter { $0.contains("NOTIFY sip:") && $0.contains("<dialog ") }
    }
    #expect(!notices.isEmpty && notices.allSatisfy { !$0.contains("secret") })
  }

  // MARK: Who may watch

  @Test("a stranger learns neither presence nor calls; who subscribes asks less and less often")
  func stranger() throws {
    let lab = try PresenceLab(knowsAlice: false)
    #expect(lab.told(.presence).isEmpty && lab.subscribes(.presence) == 1)
    #expect(lab.agents.alice.trace.withLock { $0.contains { $0.contains("SIP/2.0 403 ") } })
    #expect(try lab.bob("/presence") == "presence: Online, 0 watchers")
    // After 30 s, 330 s, 3930 s.
    let counts = [20, 20, 270, 40, 3_540, 100].map { seconds in
      lab.agents.run(milliseconds: Int64(seconds) * 1000)
      return lab.subscribes(.presence)
    }
    #expect(counts == [1, 2, 2, 3, 3, 4])
    try lab.bob("/addcontact <sip:alice@10.0.0.1>")
    lab.agents.run(milliseconds: 86_400_000)
    #expect(lab.told(.presence) == ["Online"] && lab.told(.dialog) == ["idle"])
  }

  static let rules: [([String], Bool)] = [
    (["<sip:alice@10.0.0.1>"], true), (["<sip:alice@10.0.0.1>;access=block"], false),
    (["<sip:*@*>;access=allow"], true), (["<sip:*@*>"], false), (["<sip:carol@10.0.0.1>"], false),
    (["<sip:alice@10.0.0.9>"], false), (["<sip:*@*>;access=block", "<sip:alice@10.0.0.1>"], false),
    (["<sip:*@*>;access=block", "<sip:alice@10.0.0.1>;access=allow"], true),
    (["<sip:*@*>;access=allow", "<sip:alice@10.0.0.1>;access=block"], false),
  ]

  @Test("access=allow and access=block say who may watch", arguments: rules)
  func access(contacts: [String], isAllowed: Bool) throws {
    let lab = try PresenceLab(contact: "<sip:bob@10.0.0.2>", knowsAlice: false)
    for contact in contacts { try lab.bob("/addcontact \(contact)") }
    try lab.alice("/addcontact <sip:bob@10.0.0.2>;presence=p2p")
    lab.agents.run(milliseconds: 500)
    #expect(lab.told(.presence) == (isAllowed ? ["Online"] : []))
  }

  @Test("without the module nobody watches or is watched; it may be switched on and off")
  func module() throws {
    let lab = try PresenceLab()
    try lab.bob("/rmmod presence")
    lab.agents.run(milliseconds: 500)
    #expect(lab.told(.presence).last == "Unknown" && lab.told(.dialog).last == "unknown")
    lab.agents.run(milliseconds: 10_000)
    #expect(lab.agents.alice.trace.withLock { $0.last { $0.contains("SIP/2.0 ") } }?.contains("489 Bad Event") == true)
    #expect(!lab.agents.bob.act { $0.execute(line: "/presence busy") }.isOK)
    try lab.bob("/insmod presence")
    lab.agents.run(milliseconds: 60_000)
    #expect(lab.told(.presence).last == "Online")
    try lab.alice("/rmmod presence")
    lab.agents.run(milliseconds: 500)
    #expect(try lab.bob("/presence") == "presence: Online, 0 watchers")
    #expect(!(try lab.alice("/contacts")).contains("Online"))
  }

  @Test("more than presence_watchers get 503, and there is room again when one ends")
  func limit() throws {
    let lab = try PresenceLab { $0.moduleValues["presence_watchers"] = "1" }
    #expect(lab.told(.presence) == ["Online"] && lab.told(.dialog).isEmpty)
    #expect(
      lab.agents.alice.trace.withLock { $0.contains { $0.contains("SIP/2.0 503 ") && $0.contains("Retry-After: 300") } }
    )
    #expect(lab.agents.bob.act { $0.watchers.counters.watchersTooMany } == 1)
    try lab.alice("/rmcontact sip:bob@10.0.0.2")
    try lab.alice("/addcontact <sip:bob@10.0.0.2>;dialog=p2p")
    lab.agents.run(milliseconds: 60_000)
    #expect(lab.told(.dialog) == ["idle"])
  }

  // MARK: Peers that fail

  @Test("a contact that is gone is unknown, and seen again when it is back")
  func lostPeer() throws {
    let lab = try PresenceLab()
    let network = lab.agents.simulation.network
    network.tap { _ in false }
    lab.agents.run(milliseconds: 700_000)
    #expect(lab.told(.presence) == ["Online", "Unknown"] && lab.told(.dialog) == ["idle", "unknown"])
    network.tap { _ in true }
    try lab.bob("/presence busy")
    lab.agents.run(milliseconds: 400_000)
    #expect(lab.told(.presence) == ["Online", "Unknown", "Busy"])
    // What Bob kept of the old subscriptions has run out.
    #expect(try lab.bob("/presence").hasSuffix(" 2 watchers"))
  }

  @Test("the end of either agent ends what it watches and who watches it")
  func ends() throws {
    let one = try PresenceLab()
    one.agents.alice.act { $0.hangUpAll() }
    one.agents.run(milliseconds: 500)
    #expect(one.subscribes(.presence, expires: 0) == 1 && one.subscribes(.dialog, expires: 0) == 1)
    #expect(try one.bob("/presence").hasSuffix(" 0 watchers"))
    let other = try PresenceLab()
    other.agents.bob.act { $0.hangUpAll() }
    other.agents.run(milliseconds: 500)
    #expect(other.told(.presence) == ["Online", "Offline", "Unknown"])
    #expect(other.agents.alice.trace.withLock { $0.contains { $0.contains("terminated;reason=deactivated") } })
  }

  @Test("an account that goes takes along its watchers and what it watches; another one goes on")
  func accountGoes() throws {
    let lab = try PresenceLab()
    try lab.alice("/uanew <sip:second@10.0.0.1>;regint=0")
    try lab.bob("/addcontact <sip:second@10.0.0.1>")
    try lab.alice("/uadel sip:alice@10.0.0.1")
    lab.agents.run(milliseconds: 1_000)
    #expect(lab.told(.presence) == ["Online", "Unknown", "Online"])
    #expect(lab.agents.alice.trace.withLock { $0.contains { $0.contains("From: <sip:second@10.0.0.1>") } })
    try lab.bob("/uadel sip:bob@10.0.0.2")
    lab.agents.run(milliseconds: 500)
    #expect(lab.told(.presence).last == "Unknown")
  }
}
