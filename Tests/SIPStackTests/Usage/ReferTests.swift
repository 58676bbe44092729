internal import NetBase
internal import SIPStack
internal import Testing

@Suite("REFER")
struct ReferTests {
  static let carol = NameAddress(uri: Pair.uri("sip:carol@192.0.2.3"))

  /// What one side hears of its REFERs, as short words.
  static func words(_ pair: Pair, _ side: Pair.Side) -> [String] {
    pair.events.compactMap { entry in
      guard entry.side == side else { return nil }
      return switch entry.event {
      case .referRequested(_, let refer): "asked \(refer.target.uri)"
      case .referAccepted(_, let status): "accepted \(status)"
      case .referProgress(_, let progress): "progress \(progress.status)"
      case .referEnded(_, .completed(let status, _)): "completed \(status)"
      case .referEnded(_, .refused(let status, _)): "refused \(status)"
      case .referEnded(_, .unobserved): "unobserved"
      case .referEnded(_, .lost): "lost"
      case .referAbandoned: "abandoned"
      default: nil
      }
    }
  }

  static func accept(_ pair: Pair, _ statuses: [Int]) {
    pair.onEvent = { [unowned pair] side, event in
      guard case .referRequested(let id, _) = event else { return }
      pair.endpoint(side).acceptRefer(id, now: pair.now)
      for (index, status) in statuses.enumerated() {
        pair.after(Int64(index + 1) * 1_000) { pair.endpoint(side).notifyRefer(id, status: status, now: pair.now) }
      }
    }
  }

  @Test(
    "a blind transfer: 202, then NOTIFY with each status line, the last one final (RFC 3515 §2.4)",
    arguments: [true, false])
  func blind(byCaller: Bool) throws {
    let (pair, caller, callee) = try Pair.standing()
    Self.accept(pair, [180, 200])
    let (side, other, id) = byCaller ? (Pair.Side.a, Pair.Side.b, caller) : (.b, .a, callee)
    pair.act {
      _ = pair.endpoint(side).refer(id, to: Self.carol, referredBy: NameAddress(uri: Pair.uri("sip:x@y")), now: $0)
    }
    pair.run(5_000)
    #expect(Self.words(pair, other) == ["asked sip:carol@192.0.2.3"])
    #expect(Self.words(pair, side) == ["accepted 202", "progress 100", "progress 180", "completed 200"])
    let refer = try #require(pair.all("REFER", from: side).first?.message)
    #expect(refer.headers["Refer-To"] == "<sip:carol@192.0.2.3>" && refer.headers["Referred-By"] == "<sip:x@y>")
    #expect(refer.headers["Contact"] != nil)
    let notices = pair.all("NOTIFY", from: other).map(\.message)
    #expect(
      notices.map { $0.headers["Subscription-State"] } == [
        "active;expires=180", "active;expires=179", "terminated;reason=noresource",
      ])
    #expect(notices.allSatisfy { $0.body?.contentType == "message/sipfrag;version=2.0" })
    let number = try SIPEssentials(refer).cseq.number
    #expect(notices.allSatisfy { $0.headers["Event"] == "refer;id=\(number)" })
    #expect(pair.ends(.a).isEmpty && pair.ends(.b).isEmpty, "the call itself stays")
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a challenged NOTIFY keeps the number of the REFER that it is about")
  func challengedNotify() throws {
    let (pair, account) = DigestFlowTests.alone()
    let id = DigestFlowTests.call(pair, account)
    try DigestFlowTests.answer(pair, 200, [("Contact", "<sip:bob@192.0.2.2:5060>")])
    let invite = try SIPEssentials(#require(pair.all("INVITE", from: .a).first?.message))
    pair.onEvent = { [unowned pair] _, event in
      if case .referRequested(let id, _) = event { pair.a.acceptRefer(id, now: pair.now) }
    }
    pair.inject(
      Requests.text(
        .refer, from: "<sip:bob@192.0.2.2>;tag=proxy200", to: invite.from.description, callID: invite.callID,
        sequence: 77,
        branch: "z9hG4bKr", headers: ["Refer-To: <sip:carol@192.0.2.3>", "Contact: <sip:bob@192.0.2.2:5060>"]), to: .a,
      from: Pair.addressB)
    try DigestFlowTests.answer(pair, 407, [DigestFlowTests.demand("n1")], to: "NOTIFY")
    #expect(pair.all("NOTIFY", from: .a).last?.message.headers["Proxy-Authorization"] != nil)
    try DigestFlowTests.answer(pair, 200, to: "NOTIFY")
    let refer = try #require(
      pair.events.lazy.compactMap { if case .referRequested(let id, _) = $0.event { id } else { nil } }.first)
    pair.act { pair.a.notifyRefer(refer, status: 200, now: $0) }
    let notices = pair.all("NOTIFY", from: .a).map { $0.message.headers["Event"] }
    #expect(notices == ["refer;id=77", "refer;id=77", "refer;id=77"])
    pair.act { pair.a.hangUp(id, now: $0) }
  }

  @Test("the referrer hangs up at once: the NOTIFYs still come, in the dialog that is left (RFC 5057)")
  func hangUpAtOnce() throws {
    let (pair, caller, _) = try Pair.standing()
    Self.accept(pair, [180, 200])
    pair.act {
      _ = pair.a.refer(caller, to: Self.carol, now: $0)
      pair.a.hangUp(caller, now: $0)
    }
    pair.run(5_000)
    #expect(pair.ends(.a) == [.localHangup] && pair.ends(.b) == [.remoteHangup])
    #expect(Self.words(pair, .a) == ["accepted 202", "progress 100", "progress 180", "completed 200"])
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a refused REFER: the status, and nothing more", arguments: [403, 603])
  func refused(status: Int) throws {
    let (pair, caller, _) = try Pair.standing()
    pair.onEvent = { [unowned pair] _, event in
      if case .referRequested(let id, _) = event { pair.b.rejectRefer(id, status: status, now: pair.now) }
    }
    pair.act { _ = pair.a.refer(caller, to: Self.carol, now: $0) }
    pair.run(1_000)
    #expect(Self.words(pair, .a) == ["refused \(status)"] && pair.count("NOTIFY", from: .b) == 0)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("Refer-Sub: false asks for no news, and gets none (RFC 4488)")
  func unobserved() throws {
    let (pair, caller, _) = try Pair.standing()
    Self.accept(pair, [200])
    pair.act { _ = pair.a.refer(caller, to: Self.carol, isObserved: false, now: $0) }
    pair.run(5_000)
    #expect(pair.all("202 REFER", from: .b).first?.message.headers["Refer-Sub"] == "false")
    #expect(Self.words(pair, .a) == ["accepted 202", "unobserved"] && pair.count("NOTIFY", from: .b) == 0)
    #expect(pair.a.census.subscriptions == 0 && pair.b.census.subscriptions == 0)
  }

  @Test("two REFERs of one call are told apart by their id")
  func two() throws {
    let (pair, caller, _) = try Pair.standing()
    var ids: [ReferID] = []
    pair.onEvent = { [unowned pair] _, event in
      if case .referRequested(let id, _) = event {
        ids.append(id)
        pair.b.acceptRefer(id, now: pair.now)
      }
    }
    var own: [ReferID] = []
    pair.act {
      own.append(pair.a.refer(caller, to: Self.carol, now: $0))
      own.append(pair.a.refer(caller, to: Self.carol, now: $0))
    }
    pair.run(1_000)
    pair.act { pair.b.notifyRefer(ids[1], status: 486, now: $0) }
    pair.act { pair.b.notifyRefer(ids[0], status: 200, now: $0) }
    pair.run(1_000)
    var ends: [ReferID: ReferEnd] = [:]
    for entry in pair.events { if case .referEnded(let id, let end) = entry.event { ends[id] = end } }
    #expect(ends[own[0]] == .completed(status: 200, reason: "OK"))
    #expect(ends[own[1]] == .completed(status: 486, reason: "Busy Here"))
  }

  @Test("outside a call: the 202 makes the dialog, or a NOTIFY that overtakes it", arguments: [true, false])
  func outside(isOvertaken: Bool) {
    let pair = Pair()
    Self.accept(pair, [200])
    pair.link = { isOvertaken && $0.name == "202 REFER" ? [2_500] : [10] }
    pair.act {
      _ = pair.a.refer(
        OutgoingRefer(
          from: NameAddress(uri: Pair.uri("sip:a@192.0.2.1")), to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          contact: Pair.uri("sip:a@192.0.2.1:5060"), targets: [SIPTarget(address: Pair.addressB)], local: Pair.addressA,
          target: Self.carol), now: $0)
    }
    pair.run(10_000)
    let heard = Self.words(pair, .a)
    #expect(heard.contains("completed 200") && heard.contains("progress 100"))
    #expect(heard.filter { $0 == "completed 200" }.count == 1)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a receiver that falls silent: the referrer hears that it is lost; one that is never answered gives up")
  func silence() throws {
    let (pair, caller, _) = try Pair.standing()
    Self.accept(pair, [])
    pair.act { _ = pair.a.refer(caller, to: Self.carol, now: $0) }
    pair.run(200_000)
    #expect(Self.words(pair, .a).last == "lost" && Self.words(pair, .b).last == "abandoned")
    pair.onEvent = { _, _ in }
    pair.act { _ = pair.a.refer(caller, to: Self.carol, now: $0) }
    pair.run(100_000)
    #expect(Self.words(pair, .b).last == "abandoned")
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test(
    "a REFER that makes no sense is refused",
    arguments: [
      ([], 400), (["Refer-To: <sip:a@b>", "Refer-To: <sip:c@d>"], 400), (["Refer-To: <<>"], 400),
      (["Refer-To: <http://a>"], 416),
    ])
  func nonsense(headers: [String], status: Int) throws {
    let pair = Pair()
    pair.inject(Requests.text(.refer, headers: headers), to: .b, from: Pair.addressA)
    #expect(pair.count("\(status) REFER", from: .b) == 1 && Self.words(pair, .b).isEmpty)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("what the target URI asks for: Replaces is taken out, anything else is not passed on")
  func target() throws {
    let pair = Pair()
    pair.inject(
      Requests.text(
        .refer,
        headers: [
          "Refer-To: <sip:c@d;method=INVITE?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=evil>",
          "Referred-By: <sip:e@f>;cid=\"1\"",
        ]), to: .b, from: Pair.addressA)
    guard case .referRequested(_, let refer)? = pair.events.last?.event else {
      Issue.record("no request")
      return
    }
    #expect(refer.target.uri.description == "sip:c@d" && refer.method == .invite && refer.session == nil)
    #expect(refer.replaces == Replaces(callID: "x@y", toTag: "1", fromTag: "2"))
    #expect(
      refer.inviteHeaders.map { "\($0): \($1)" } == [
        "Replaces: x@y;to-tag=1;from-tag=2", "Referred-By: <sip:e@f>;cid=\"1\"",
      ])
  }
}
