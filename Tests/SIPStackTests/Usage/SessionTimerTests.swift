internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Session timers")
struct SessionTimerTests {
  typealias Policy = SessionTimerPolicy

  static func configuration(_ policy: Policy, withoutUpdate: Bool = false) -> SIPConfiguration {
    var configuration = SIPConfiguration(policy: CallPolicy(sessionTimers: policy))
    if withoutUpdate { configuration.allow.removeAll { $0 == .update } }
    return configuration
  }

  static func standing(_ a: Policy, _ b: Policy, withoutUpdate: Bool = false) throws -> (Pair, SessionID, SessionID) {
    let pair = try Pair.standing(
      configuration: Self.configuration(a, withoutUpdate: withoutUpdate),
      b: Self.configuration(b, withoutUpdate: withoutUpdate))
    ReofferTests.acceptAll(pair.0)
    return pair
  }

  static let asking = Policy(use: .requested, interval: 100, minimum: 90)

  @Test(
    "who refreshes: the answer says, and that side does, at half the interval (RFC 4028 §7, §9)",
    arguments: [
      (Policy.Refresher.unspecified, Policy.Refresher.unspecified, Pair.Side.a),
      (.local, .unspecified, .a), (.remote, .unspecified, .b), (.unspecified, .local, .b), (.unspecified, .remote, .a),
    ])
  func refresher(a: Policy.Refresher, b: Policy.Refresher, side: Pair.Side) throws {
    let (pair, caller, _) = try Self.standing(
      Policy(use: .requested, interval: 100, refresher: a), Policy(use: .requested, interval: 100, refresher: b))
    let answer = try #require(pair.all("200 INVITE", from: .b).first?.message)
    #expect(answer.headers["Session-Expires"] == "100;refresher=\(side == .a ? "uac" : "uas")")
    #expect((answer.headers["Require"] == "timer") == (side == .a))
    pair.run(1_000_000)
    #expect(pair.ends(.a).isEmpty && pair.ends(.b).isEmpty)
    let other: Pair.Side = side == .a ? .b : .a
    #expect((19...21).contains(pair.count("UPDATE", from: side)) && pair.count("UPDATE", from: other) == 0)
    let update = try #require(pair.all("UPDATE", from: side).first?.message)
    #expect(update.headers["Session-Expires"] == "100;refresher=uac" && update.bytes.isEmpty)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a 2xx with an offer that the user never answers: the session expires all the same")
  func unanswered() {
    let pair = Pair(configuration: Self.configuration(Self.asking))
    pair.answerByItself(body: Pair.offer)
    // The callee gives up after 32 s, and its BYE is lost.
    pair.link = { sent in sent.name == "BYE" && sent.from == .b ? [] : [10] }
    _ = pair.call(body: nil)
    pair.run(60_000)
    #expect(pair.ends(.a).isEmpty && pair.ends(.b) == [.timeout])
    pair.run(60_000)
    #expect(pair.ends(.a) == [.timeout] && pair.count("BYE", from: .a) == 1)
    #expect(pair.count("ACK", from: .a) >= 1)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test(
    "an UPDATE that left before the answer and is answered behind it leaves the timer alone", arguments: [true, false])
  func earlyUpdate(isSlowToAnswer: Bool) throws {
    var configuration = Self.configuration(Policy(use: .requested, interval: 100, refresher: .remote))
    configuration.policy.reliableProvisional = .yes
    let pair = Pair(configuration: configuration)
    pair.link = { sent in sent.name == "200 UPDATE" && !isSlowToAnswer ? [400] : [10] }
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingCall(let id, _) = event {
        pair.b.ring(id, status: 183, body: Pair.answer, now: pair.now)
      }
    }
    let caller = pair.call()
    pair.run(1_000)
    let callee = try #require(pair.incoming)
    if isSlowToAnswer { pair.onEvent = { _, _ in } } else { ReofferTests.acceptAll(pair) }
    pair.act { pair.b.update(callee, body: ReofferTests.hold, now: $0) }
    pair.run(100)
    pair.act { pair.b.accept(callee, body: nil, now: $0) }
    pair.run(100)
    #expect(pair.established(.a).count == 1 && pair.count("UPDATE", from: .b) == 1)
    if isSlowToAnswer { pair.act { pair.a.acceptReinvite(caller, body: Pair.answer, now: $0) } }
    ReofferTests.acceptAll(pair)
    pair.link = { _ in [10] }
    pair.run(400_000)
    // The callee refreshes at half of 100 s.
    #expect(pair.ends(.a).isEmpty && pair.ends(.b).isEmpty)
    #expect((7...9).contains(pair.count("UPDATE", from: .b)) && pair.count("UPDATE", from: .a) == 0)
    // It asked for none, so its answer says nothing of one.
    let answer = try #require(pair.all("200 UPDATE", from: .a).first)
    #expect(answer.message.headers["Session-Expires"] == nil)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("what a fork that lost can do is not believed of the one that won: who can't refresh is not asked to")
  func capabilitiesOfLoser() throws {
    var configuration = Self.configuration(Self.asking)
    configuration.policy.reliableProvisional = .yes
    let pair = Pair(configuration: configuration)
    pair.link = { _ in [] }
    _ = pair.call()
    try ForkTests.answer(
      pair, 183, tag: "f1", headers: [("Require", "100rel"), ("RSeq", "1"), ("Supported", "timer")], body: Pair.answer)
    try ForkTests.answer(pair, 200, tag: "f2", body: Pair.answer)
    let invite = try SIPEssentials(#require(pair.all("INVITE", from: .a).first?.message))
    ReofferTests.acceptAll(pair)
    pair.inject(
      Requests.text(
        .invite, from: "<sip:bob@192.0.2.2>;tag=f2", to: invite.from.description,
        callID: invite.callID, sequence: 1, branch: "z9hG4bKf2", headers: ["Content-Type: application/sdp"],
        body: "hold"), to: .a, from: Pair.addressB)
    let answer = pair.all("200 INVITE", from: .a).last?.message
    #expect(answer?.headers["Session-Expires"] == "100;refresher=uas")
  }

  @Test(
    "a peer that does not allow UPDATE is refreshed by a re-INVITE with the same description", arguments: [true, false])
  func byReinvite(byCaller: Bool) throws {
    let (pair, caller, _) = try Self.standing(
      Policy(use: .requested, interval: 100, refresher: byCaller ? .local : .remote), Policy(), withoutUpdate: true)
    pair.run(200_000)
    let side: Pair.Side = byCaller ? .a : .b
    let invites = pair.all("INVITE", from: side).dropFirst(byCaller ? 1 : 0)
    #expect(invites.count >= 3 && pair.count("UPDATE", from: side) == 0)
    #expect(invites.allSatisfy { $0.message.body == (byCaller ? Pair.offer : Pair.answer) })
    #expect(pair.ends(.a).isEmpty && pair.ends(.b).isEmpty)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("without refresh the other side sends BYE shortly before the end", arguments: [true, false])
  func expiry(callerDies: Bool) throws {
    let (pair, _, _) = try Self.standing(
      Policy(use: .requested, interval: 300, refresher: callerDies ? .local : .remote), Policy())
    let began = pair.now
    let dead: Pair.Side = callerDies ? .a : .b
    let living: Pair.Side = callerDies ? .b : .a
    pair.link = { $0.from == dead ? [] : [10] }
    pair.run(320_000)
    #expect(pair.ends(living) == [.timeout])
    let bye = try #require(pair.all("BYE", from: living).first)
    #expect((266_000...269_000).contains(bye.at.milliseconds(since: began)))
    #expect(bye.message.headers["Reason"] == "SIP;cause=408;text=\"Session expired\"")
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("that a refresh was refused is told, for what was asked for meanwhile waits for its end")
  func refusedRefresh() throws {
    let (pair, caller, _) = try Self.standing(Self.asking, Self.asking)
    pair.link = { sent in sent.name == "UPDATE" ? [] : [10] }
    pair.run(60_000)
    let update = try #require(pair.all("UPDATE", from: .a).last?.message)
    #expect(pair.a.isChanging(caller))
    var refusal = SIPMessage(.response(status: 500, reason: "No"))
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] { refusal.headers.append(name, update.headers[name] ?? "") }
    pair.inject(refusal.serialized(), to: .a, from: Pair.addressB)
    let told = pair.events.last { $0.side == .a }?.event
    guard case .sessionRefreshFailed(caller)? = told else {
      Issue.record("told last: \(told.map { "\($0)" } ?? "nothing")")
      return
    }
    #expect(!pair.a.isChanging(caller) && pair.ends(.a).isEmpty)
  }

  @Test("422 names a longer interval, and the INVITE is sent again with it (RFC 4028 §7.3)")
  func tooSmall() throws {
    let (pair, _, _) = try Self.standing(Self.asking, Policy(minimum: 600))
    let refusal = try #require(pair.all("422 INVITE", from: .b).first?.message)
    #expect(refusal.headers["Min-SE"] == "600")
    let invites = pair.all("INVITE", from: .a)
    let first = try SIPEssentials(#require(invites.first?.message))
    let second = try SIPEssentials(#require(invites.last?.message))
    #expect(invites.count == 2 && invites.last?.message.headers["Session-Expires"] == "600")
    #expect(invites.last?.message.headers["Min-SE"] == "600")
    #expect(second.callID == first.callID && second.cseq.number == 2 && second.via.branch != first.via.branch)
    #expect(pair.events.filter { if case .incomingCall = $0.event { true } else { false } }.count == 1)
  }

  @Test("a 422 that asks for no more than before ends the call")
  func stubborn() throws {
    let pair = Pair(configuration: Self.configuration(Policy(use: .requested, interval: 700)))
    pair.link = { _ in [] }
    _ = pair.call()
    for number in 1...3 {
      guard let invite = pair.all("INVITE", from: .a).last?.message, invite.headers["CSeq"] == "\(number) INVITE" else {
        break
      }
      var answer = SIPMessage(.response(status: 422, reason: "No"), headers: SIPHeaders())
      for name in ["Via", "From", "To", "Call-ID", "CSeq"] { answer.headers.append(name, invite.headers[name] ?? "") }
      answer.headers.set("To", (invite.headers["To"] ?? "") + ";tag=x")
      answer.headers.append("Min-SE", "800")
      pair.inject(answer.serialized(), to: .a, from: Pair.addressB)
    }
    #expect(pair.all("INVITE", from: .a).last?.message.headers["CSeq"] == "2 INVITE")
    #expect(pair.ends(.a) == [.rejected(status: 422, reason: "No")])
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test(
    "who may, and who must",
    arguments: [
      (Policy.Use.no, Policy.Use.no, nil, nil), (.requested, .no, nil, nil), (.no, .requested, "uas", nil),
      (.accepted, .accepted, nil, nil), (.requested, .accepted, "uac", nil), (.accepted, .requested, "uac", nil),
      (.required, .accepted, "uac", nil), (.required, .no, nil, 420), (.no, .required, nil, 421),
    ] as [(Policy.Use, Policy.Use, String?, Int?)])
  func policies(a: Policy.Use, b: Policy.Use, refresher: String?, refusal: Int?) throws {
    let pair = Pair(configuration: Self.configuration(Policy(use: a)), b: Self.configuration(Policy(use: b)))
    pair.answerByItself()
    let id = pair.call()
    pair.run(3_000)
    if let refusal {
      #expect(pair.count("\(refusal) INVITE", from: .b) == 1 && pair.incoming == nil)
    } else {
      let answer = try #require(pair.all("200 INVITE", from: .b).first?.message)
      #expect(answer.headers["Session-Expires"] == refresher.map { "1800;refresher=\($0)" })
    }
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("any re-INVITE or UPDATE that goes through counts as a refresh")
  func refreshedByReinvite() throws {
    let (pair, caller, callee) = try Self.standing(
      Policy(use: .requested, interval: 300, refresher: .local), Policy())
    for _ in 0..<5 {
      pair.run(140_000)
      pair.act { pair.b.reinvite(callee, body: ReofferTests.hold, now: $0) }
    }
    #expect(pair.count("UPDATE", from: .a) == 0 && pair.ends(.a).isEmpty)
    pair.run(200_000)
    #expect(pair.count("UPDATE", from: .a) == 1, "the refresher stays the same, whoever sends in between")
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a refresh that meets a change of the peer's goes again with what stands then")
  func refreshAfterGlare() throws {
    let (pair, _, callee) = try Self.standing(
      Policy(use: .requested, interval: 100, refresher: .local), Policy(), withoutUpdate: true)
    let changed = SIPBody(bytes: Array("v=0 after the change".utf8))
    pair.onEvent = { [unowned pair] side, event in
      if case .reoffer(let id, _, _) = event {
        pair.endpoint(side).acceptReinvite(id, body: side == .a ? changed : Pair.answer, now: pair.now)
      }
    }
    while pair.count("INVITE", from: .a) == 1 { try #require(pair.step()) }
    // The refresh is still on its way.
    pair.act { pair.b.reinvite(callee, body: ReofferTests.hold, now: $0) }
    pair.run(60_000)
    let refreshes = pair.all("INVITE", from: .a).dropFirst()
    #expect(pair.count("491 INVITE", from: .b) >= 1 && refreshes.count >= 2, "\(refreshes.map(\.name))")
    #expect(refreshes.first?.message.body == Pair.offer && refreshes.last?.message.body == changed)
    // What was asked for meanwhile waits for that word.
    #expect(pair.events.contains { if case .sessionRefreshFailed = $0.event { $0.side == .a } else { false } })
    #expect(pair.ends(.a).isEmpty)
  }

  @Test("a refresh in the middle of a change of the peer's waits for it")
  func refreshDuringChange() throws {
    let (pair, caller, callee) = try Self.standing(
      Policy(use: .requested, interval: 100, refresher: .local), Policy())
    pair.onEvent = { _, _ in }
    pair.run(46_000)
    pair.act { pair.b.reinvite(callee, body: ReofferTests.hold, now: $0) }
    pair.run(10_000)
    #expect(pair.count("UPDATE", from: .a) == 0)
    pair.act { pair.a.rejectReinvite(caller, now: $0) }
    pair.run(5_000)
    #expect(pair.count("UPDATE", from: .a) == 1 && pair.ends(.a).isEmpty)
  }
}
