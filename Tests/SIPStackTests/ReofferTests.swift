internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Re-INVITE and UPDATE")
struct ReofferTests {
  static let hold = SIPBody(bytes: Array("hold".utf8))

  /// The re-offer events of one side, as short words.
  static func words(_ pair: Pair, _ side: Pair.Side) -> [String] {
    pair.events.compactMap { entry in
      guard entry.side == side else { return nil }
      return switch entry.event {
      case .reoffer(_, let body, let method): "\(method) \(body == nil ? "without offer" : "offer")"
      case .reofferAnswered(_, let body): "answered \(body == nil ? "without" : "with") body"
      case .reofferAcknowledged(_, let body): "acknowledged \(body == nil ? "without" : "with") body"
      case .reofferFailed(_, let status, _): "failed \(status)"
      case .reofferCancelled: "cancelled"
      default: nil
      }
    }
  }

  static func acceptAll(_ pair: Pair) {
    pair.onEvent = { [unowned pair] side, event in
      if case .reoffer(let id, _, _) = event {
        pair.endpoint(side).acceptReinvite(id, body: Pair.answer, now: pair.now)
      }
    }
  }

  @Test("either side changes the session", arguments: [true, false])
  func bothWays(byCaller: Bool) throws {
    let (pair, caller, callee) = try Pair.standing()
    Self.acceptAll(pair)
    let (side, other, id) = byCaller ? (Pair.Side.a, Pair.Side.b, caller) : (.b, .a, callee)
    pair.act { pair.endpoint(side).reinvite(id, body: Self.hold, now: $0) }
    pair.run(1_000)
    #expect(Self.words(pair, side) == ["answered with body"])
    #expect(Self.words(pair, other) == ["INVITE offer", "acknowledged without body"])
    let last = try SIPEssentials(#require(pair.all("INVITE", from: side).last?.message))
    #expect(last.to.tag != nil && last.cseq.number == (byCaller ? 2 : 1))
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("the ACK leaves when the answer is in force: the peer may use its new keys as soon as it has it")
  func acknowledgementComesLast() throws {
    let (pair, caller, _) = try Pair.standing()
    Self.acceptAll(pair)
    let accept = pair.onEvent
    var acknowledged: [Int] = []
    pair.onEvent = { [unowned pair] side, event in
      accept(side, event)
      if case .reofferAnswered = event { acknowledged.append(pair.count("ACK", from: side)) }
    }
    let before = pair.count("ACK", from: .a)
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.run(1_000)
    #expect(acknowledged == [before] && pair.count("ACK", from: .a) == before + 1)
  }

  @Test("an answer that comes again from where its sender is by now is acknowledged there")
  func movedAnswer() throws {
    let (pair, caller, callee) = try Pair.standing()
    Self.acceptAll(pair)
    let elsewhere = SocketAddress(ipv4: 0xC000_0209, port: 5060)
    // The first ACK finds nobody.
    pair.link = { sent in sent.name == "ACK" ? [] : [10] }
    pair.act { pair.b.reinvite(callee, body: Self.hold, now: $0) }
    pair.run(100)
    let first = try #require(pair.all("ACK", from: .b).last)
    #expect(first.to == Pair.addressA)
    let count = pair.count("ACK", from: .b)
    pair.act { pair.a.move(caller, to: elsewhere, now: $0) }
    pair.run(100)
    let again = pair.all("ACK", from: .b).dropFirst(count)
    let bytes = try #require(again.first).bytes
    #expect(again.map(\.to) == [elsewhere] && bytes.starts(with: "ACK sip:alice@192.0.2.9:5060 ".utf8))
  }

  @Test("a refused re-INVITE leaves the session as it was")
  func refused() throws {
    let (pair, caller, _) = try Pair.standing()
    pair.onEvent = { [unowned pair] side, event in
      if case .reoffer(let id, _, _) = event { pair.b.rejectReinvite(id, status: 488, now: pair.now) }
    }
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.run(1_000)
    #expect(Self.words(pair, .a) == ["failed 488"])
    #expect(pair.ends(.a).isEmpty && pair.ends(.b).isEmpty)
  }

  @Test("a second re-INVITE while one is pending fails at once")
  func second() throws {
    let (pair, caller, _) = try Pair.standing()
    pair.act {
      pair.a.reinvite(caller, body: Self.hold, now: $0)
      pair.a.reinvite(caller, body: Self.hold, now: $0)
    }
    #expect(Self.words(pair, .a) == ["failed 491"])
    #expect(pair.count("INVITE", from: .a) == 2)
  }

  @Test("glare: both get 491, wait their own random time, and both get through (RFC 3261 §14.1)", arguments: 1...20)
  func glare(seed: UInt64) throws {
    let (pair, caller, callee) = try Pair.standing(seed: seed)
    Self.acceptAll(pair)
    let start = pair.now
    pair.act {
      pair.a.reinvite(caller, body: Self.hold, now: $0)
      pair.b.reinvite(callee, body: Self.hold, now: $0)
    }
    pair.run(30_000)
    #expect(pair.count("491 INVITE", from: .a) >= 1 && pair.count("491 INVITE", from: .b) >= 1)
    #expect(Self.words(pair, .a).filter { $0.hasPrefix("answered") }.count == 1)
    #expect(Self.words(pair, .b).filter { $0.hasPrefix("answered") }.count == 1)
    // Whoever made the Call-ID waits 2.1 to 4 s, the other up to 2 s, counted from the 491.
    let waitA = try #require(pair.all("INVITE", from: .a).dropFirst(2).first?.at).milliseconds(since: start) - 20
    let waitB = try #require(pair.all("INVITE", from: .b).dropFirst().first?.at).milliseconds(since: start) - 20
    #expect((2_100...4_000).contains(waitA) && (0...2_000).contains(waitB))
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a re-INVITE without offer asks for one: the answer comes with the ACK")
  func withoutOffer() throws {
    let (pair, _, _) = try Pair.standing()
    let dialog = try Self.dialogOfA(pair)
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .reoffer(let id, nil, _) = event {
        pair.b.acceptReinvite(id, body: Pair.offer, now: pair.now)
      }
    }
    pair.inject(
      Requests.text(
        .invite, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 7, branch: "z9hG4bKq1"),
      to: .b, from: Pair.addressA)
    pair.inject(
      Requests.text(
        .ack, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 7, branch: "z9hG4bKq2",
        headers: ["Content-Type: application/sdp"], body: "answer"), to: .b, from: Pair.addressA)
    #expect(Self.words(pair, .b) == ["INVITE without offer", "acknowledged with body"])
  }

  @Test("an UPDATE with an offer is answered like a re-INVITE, one without is answered at once (RFC 3311)")
  func update() throws {
    let (pair, _, _) = try Pair.standing()
    Self.acceptAll(pair)
    let dialog = try Self.dialogOfA(pair)
    func update(_ sequence: Int, _ body: String) {
      pair.inject(
        Requests.text(
          .update, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: sequence,
          branch: "z9hG4bKu\(sequence)", headers: body.isEmpty ? [] : ["Content-Type: application/sdp"], body: body),
        to: .b, from: Pair.addressA)
    }
    update(8, "")
    #expect(Self.words(pair, .b) == [] && pair.count("200 UPDATE", from: .b) == 1)
    update(9, "hold")
    #expect(Self.words(pair, .b) == ["UPDATE offer"])
    let response = try #require(pair.all("200 UPDATE", from: .b).last?.message)
    #expect(response.body == Pair.answer && response.headers["Contact"] != nil)
  }

  @Test("an UPDATE during our own re-INVITE gets 491")
  func updateGlare() throws {
    let (pair, _, callee) = try Pair.standing()
    let dialog = try Self.dialogOfA(pair)
    pair.act { pair.b.reinvite(callee, body: Self.hold, now: $0) }
    pair.inject(
      Requests.text(
        .update, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 8,
        headers: ["Content-Type: application/sdp"], body: "hold"), to: .b, from: Pair.addressA)
    #expect(pair.count("491 UPDATE", from: .b) == 1)
  }

  @Test("the user's answer is cut off by a BYE: the re-INVITE gets 487")
  func byeDuringReinvite() throws {
    let (pair, caller, callee) = try Pair.standing()
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.run(500)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.run(500)
    #expect(Self.words(pair, .b) == ["INVITE offer", "cancelled"])
    pair.act { pair.b.acceptReinvite(callee, body: Pair.answer, now: $0) }
    pair.runToEnd()
    #expect(pair.count("487 INVITE", from: .b) == 1)
    pair.expectEmpty()
  }

  @Test("the callee of a re-INVITE hangs up instead of answering")
  func hangUpInsteadOfAnswer() throws {
    let (pair, caller, callee) = try Pair.standing()
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.run(500)
    pair.act { pair.b.hangUp(callee, now: $0) }
    pair.runToEnd()
    #expect(pair.ends(.a) == [.remoteHangup] && pair.ends(.b) == [.localHangup])
    pair.expectEmpty()
  }

  @Test("a re-INVITE that gets 481 or no response ends the session", arguments: [true, false])
  func lostDialog(isRefused: Bool) throws {
    let (pair, caller, callee) = try Pair.standing()
    if isRefused {
      // B forgets: its BYE and all else are lost.
      pair.link = { _ in [] }
      pair.act { pair.b.hangUp(callee, now: $0) }
      pair.run(40_000)
      pair.link = { _ in [10] }
    } else {
      pair.link = { _ in [] }
    }
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.runToEnd()
    #expect(
      pair.ends(.a)
        == [isRefused ? .rejected(status: 481, reason: "Call/Transaction Does Not Exist") : .timeout])
    #expect(pair.a.census == SIPCensus())
  }

  @Test("a re-INVITE with a lower sequence number gets 500 (RFC 3261 §12.2.2)")
  func outOfOrder() throws {
    let (pair, _, _) = try Pair.standing()
    let dialog = try Self.dialogOfA(pair)
    pair.inject(
      Requests.text(.options, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 9), to: .b,
      from: Pair.addressA)
    pair.inject(
      Requests.text(
        .invite, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 8, branch: "z9hG4bKlow"), to: .b,
      from: Pair.addressA)
    #expect(pair.ladder.suffix(2) == ["b:200 OPTIONS", "b:500 INVITE"])
  }

  @Test("a lost ACK of a re-INVITE: the 200 comes again, the ACK too")
  func lostAcknowledgement() throws {
    let (pair, caller, _) = try Pair.standing()
    Self.acceptAll(pair)
    let acknowledgements = pair.count("ACK", from: .a)
    pair.link = { [unowned pair] sent in
      sent.name == "ACK" && pair.count("ACK", from: .a) == acknowledgements + 1 ? [] : [10]
    }
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.run(2_000)
    #expect(pair.count("200 INVITE", from: .b) == 3)
    #expect(Self.words(pair, .a) == ["answered with body"])
    #expect(Self.words(pair, .b) == ["INVITE offer", "acknowledged without body"])
  }

  @Test("a re-INVITE refreshes the remote target (RFC 3261 §12.2.2)")
  func targetRefresh() throws {
    let (pair, caller, callee) = try Pair.standing()
    Self.acceptAll(pair)
    let dialog = try Self.dialogOfA(pair)
    pair.inject(
      Requests.text(
        .invite, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 5, branch: "z9hG4bKt1",
        headers: ["Contact: <sip:alice@192.0.2.1:5070>", "Content-Type: application/sdp"], body: "offer"), to: .b,
      from: Pair.addressA)
    pair.act { pair.b.hangUp(callee, now: $0) }
    let bye = try #require(pair.all("BYE", from: .b).first)
    #expect(bye.to == Pair.addressA.with(port: 5070))
    #expect(bye.message.startLine == .request(.bye, Pair.uri("sip:alice@192.0.2.1:5070")))
    _ = caller
  }

  @Test("hung up while the re-INVITE is open, and the peer is gone: nothing waits for ever", arguments: [true, false])
  func abandoned(isProvisionalLate: Bool) throws {
    let (pair, caller, _) = try Pair.standing()
    if isProvisionalLate { pair.link = { _ in [] } }
    pair.act { pair.a.reinvite(caller, body: Self.hold, now: $0) }
    pair.run(300)
    pair.link = { _ in [] }
    pair.act { pair.a.hangUp(caller, now: $0) }
    if isProvisionalLate {
      let invite = try #require(pair.all("INVITE", from: .a).last?.message)
      let trying = SIPMessage(.response(status: 100, reason: "Trying"), headers: invite.headers)
      pair.inject(trying.serialized(), to: .a, from: Pair.addressB)
    }
    pair.run(40_000)
    #expect(pair.a.census == SIPCensus() && pair.a.pendingRequests == 0)
  }

  /// From, To and Call-ID of a request that A could send in its dialog with B.
  static func dialogOfA(_ pair: Pair) throws -> (from: String, to: String, callID: String) {
    let answer = try SIPEssentials(#require(pair.all("200 INVITE", from: .b).first?.message))
    return (answer.from.description, answer.to.description, answer.callID)
  }
}
