import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Presence with a peer whose every message a test writes: bodies that are none, first NOTIFYs, fetches, a registrar.
@Suite struct ForeignPresenceTests {
  /// Carol, at 10.0.0.3.
  private struct Lab {
    let agents: SimulatedAgents
    let carol: ScriptedPeer

    init() throws {
      self.agents = try CallControlTests.agents { $0.activeModules.append("presence") }
      self.carol = try ScriptedPeer(
        in: self.agents.simulation,
        configuration: SIPConfiguration(
          allow: [.register, .subscribe, .notify], eventPackages: ["presence", "dialog"]))
      self.carol.onRequest = { [unowned carol = self.carol] endpoint, id, _ in
        endpoint.respond(id, status: 200, now: carol.now)
      }
    }

    func run(_ line: String) throws {
      try CallControlTests.run(line, self.agents.alice)
      self.agents.run(milliseconds: 500)
    }

    var asked: [SubscriptionID] {
      self.carol.events.compactMap { if case .subscriptionRequested(let id, _) = $0 { id } else { nil } }
    }

    func notify(_ id: SubscriptionID, _ text: String, type: String = PIDF.contentType) {
      self.carol.act {
        $0.notify(id, body: SIPBody(contentType: type, bytes: Array(text.utf8)), now: self.carol.now)
      }
      self.agents.run(milliseconds: 500)
    }

    var told: [String] {
      self.agents.alice.events.compactMap { if case .contact(_, _, _, let state) = $0 { state } else { nil } }
    }

    /// What Carol was answered to a subscription of hers.
    func subscribe(event: String, expires: Int, to target: String = "sip:alice@10.0.0.1") throws -> [String] {
      let before = self.carol.events.count
      let (uri, own) = (try SIPURI(target), try SIPURI("sip:carol@10.0.0.3"))
      self.carol.act {
        _ = $0.subscribe(
          OutgoingSubscription(
            from: NameAddress(uri: own), to: NameAddress(uri: uri), contact: own,
            targets: [SIPTarget(address: self.agents.alice.address)], local: self.carol.address, event: event,
            expires: expires), now: self.carol.now)
      }
      self.agents.run(milliseconds: 500)
      return self.carol.events.dropFirst(before).compactMap { event in
        switch event {
        case .subscriptionAccepted(_, let expires): "accepted \(expires)"
        case .notified(_, let notice): "\(notice.state) \(notice.body?.contentType ?? "nothing")"
        case .subscriptionEnded(_, let end): "ended \(end)"
        default: nil
        }
      }
    }
  }

  @Test("a body that can't be read is counted, and changes nothing")
  func malformed() throws {
    let lab = try Lab()
    try lab.run("/addcontact <sip:carol@10.0.0.3>;presence=p2p;dialog=p2p")
    let asked = lab.asked
    try #require(asked.count == 2)
    for id in asked { lab.carol.act { $0.acceptSubscription(id, body: nil, now: lab.carol.now) } }
    lab.agents.run(milliseconds: 500)
    #expect(lab.told.isEmpty)
    lab.notify(asked[0], "<presence><tuple><status><basic>open</basic></status></tuple></presence>")
    lab.notify(
      asked[1], "<dialog-info version='0' state='full'><dialog id='1'><state>early</state></dialog></dialog-info>",
      type: DialogInfo.contentType)
    #expect(lab.told == ["Online", "early"])
    for text in ["<presence>", "<!DOCTYPE a><presence/>", "\u{0}", "<list/>", "<presence>&x;</presence>"] {
      lab.notify(asked[0], text)
    }
    lab.notify(asked[0], "<presence/>", type: "text/plain")
    lab.notify(asked[1], "<dialog-info/>", type: DialogInfo.contentType)
    #expect(lab.told == ["Online", "early"])
    #expect(lab.agents.alice.act { $0.contactWatches.counters.unreadableNotifications } == 7)
    #expect(try CallControlTests.run("/sipstat", lab.agents.alice).contains("unreadableNotifications  7"))
    lab.notify(asked[0], "<presence><tuple><status><basic>closed</basic></status></tuple></presence>")
    #expect(lab.told == ["Online", "early", "Offline"])
  }

  @Test(
    "the notifier's reason says when to ask again",
    arguments: [("deactivated", 5), ("probation", 300), ("rejected", 3_600)])
  func reasons(reason: String, seconds: Int64) throws {
    let lab = try Lab()
    try lab.run("/addcontact <sip:carol@10.0.0.3>;presence=p2p")
    let id = try #require(lab.asked.first)
    lab.carol.act { $0.acceptSubscription(id, body: nil, now: lab.carol.now) }
    lab.agents.run(milliseconds: 500)
    lab.carol.act { $0.terminateSubscription(id, reason: reason, now: lab.carol.now) }
    lab.agents.run(milliseconds: seconds * 1000 - 500)
    #expect(lab.asked.count == 1)
    lab.agents.run(milliseconds: 1_000)
    #expect(lab.asked.count == 2)
  }

  @Test("an account that registers watches once it is registered")
  func registered() throws {
    let lab = try Lab()
    lab.agents.alice.act { $0.accounts = [] }
    try lab.run("/addcontact <sip:carol@10.0.0.3>;presence=p2p")
    #expect(lab.asked.isEmpty)
    lab.carol.onRequest = { _, _, _ in }
    try lab.run("/uanew <sip:alice@10.0.0.3>;regint=600")
    #expect(lab.asked.isEmpty)
    lab.carol.onRequest = { [unowned carol = lab.carol] endpoint, id, _ in
      endpoint.respond(id, status: 200, now: carol.now)
    }
    #expect(lab.agents.simulation.run(milliseconds: 400_000) { !lab.asked.isEmpty })
    #expect(lab.agents.alice.act { $0.localAccounts.first?.registration } == .registered)
  }

  @Test("a contact that is added while its account renews its registration is watched when that is done")
  func addedMeanwhile() throws {
    let lab = try Lab()
    lab.agents.alice.act { $0.accounts = [] }
    try lab.run("/uanew <sip:alice@10.0.0.3>;regint=600")
    func registration() -> LocalAccount.Registration? {
      lab.agents.alice.act { $0.localAccounts.first?.registration }
    }
    #expect(registration() == .registered)
    var answer: (() -> Void)?
    lab.carol.onRequest = { [unowned carol = lab.carol] _, id, _ in
      answer = { carol.act { $0.respond(id, status: 200, now: carol.now) } }
    }
    #expect(lab.agents.simulation.run(milliseconds: 700_000) { registration() == .registering })
    try lab.run("/addcontact <sip:carol@10.0.0.3>;presence=p2p")
    #expect(lab.asked.isEmpty)
    let respond = try #require(answer)
    respond()
    lab.agents.run(milliseconds: 500)
    #expect(registration() == .registered && lab.asked.count == 1)
  }

  @Test("a fetch brings the state once; what is too brief is refused; an hour is the most")
  func expiries() throws {
    let lab = try Lab()
    try lab.run("/addcontact <sip:carol@10.0.0.3>")
    #expect(
      try lab.subscribe(event: "presence", expires: 0).suffix(2) == ["terminated application/pidf+xml", "ended local"])
    #expect(try lab.subscribe(event: "dialog", expires: 20).first == "accepted 60")
    #expect(
      try lab.subscribe(event: "dialog", expires: 86_400) == ["accepted 3600", "active application/dialog-info+xml"])
    #expect(lab.agents.alice.act { $0.watchers.count } == 2)
  }

  @Test("another package gets 489, nobody's account 404, an account without requests 403, one with a password 401")
  func refusals() throws {
    let lab = try Lab()
    try lab.run("/addcontact <sip:carol@10.0.0.3>")
    #expect(try lab.subscribe(event: "reg", expires: 600) == ["ended refused(status: 489, reason: \"Bad Event\")"])
    lab.agents.alice.act { core in core.localAccounts[0].settings.catchesAll = false }
    let nobody = try lab.subscribe(event: "presence", expires: 600, to: "sip:nobody@10.0.0.1")
    #expect(nobody == ["ended refused(status: 404, reason: \"Not Found\")"])
    lab.agents.alice.act { core in core.localAccounts[0].settings.acceptsRequests = false }
    let refused = try lab.subscribe(event: "presence", expires: 600)
    #expect(refused == ["ended refused(status: 403, reason: \"Forbidden\")"])
    #expect(lab.agents.alice.act { $0.watchers.counters.watchersForbidden } == 1)
    try lab.run("/uanew <sip:guarded@10.0.0.1>;regint=0;uas_user=carol;uas_pass=secret")
    let guarded = try lab.subscribe(event: "presence", expires: 600, to: "sip:guarded@10.0.0.1")
    #expect(guarded.count == 1 && guarded[0].hasPrefix("ended refused(status: 401, reason: \"Unauthorized"))
  }
}
