internal import NetBase
internal import SIPStack
internal import Testing

@Suite("UPDATE of ours")
struct UpdateTests {
  @Test("either side changes a standing call by UPDATE: no ACK (RFC 3311 §5)", arguments: [true, false])
  func standing(byCaller: Bool) throws {
    let (pair, caller, callee) = try Pair.standing()
    ReofferTests.acceptAll(pair)
    let (side, other, id) = byCaller ? (Pair.Side.a, Pair.Side.b, caller) : (.b, .a, callee)
    pair.act { pair.endpoint(side).update(id, body: ReofferTests.hold, headers: [("X-Why", "hold")], now: $0) }
    pair.run(1_000)
    #expect(ReofferTests.words(pair, side) == ["answered with body"])
    #expect(ReofferTests.words(pair, other) == ["UPDATE offer"])
    #expect(pair.count("ACK", from: side) == (byCaller ? 1 : 0))
    let update = try #require(pair.all("UPDATE", from: side).first?.message)
    #expect(update.headers["Contact"] != nil && update.headers["X-Why"] == "hold")
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("UPDATE against UPDATE, and against a re-INVITE: 491 on both sides, then both get through", arguments: 1...20)
  func glare(seed: UInt64) throws {
    let (pair, caller, callee) = try Pair.standing(seed: seed)
    ReofferTests.acceptAll(pair)
    pair.act {
      pair.a.update(caller, body: ReofferTests.hold, now: $0)
      if seed % 2 == 0 {
        pair.b.update(callee, body: ReofferTests.hold, now: $0)
      } else {
        pair.b.reinvite(callee, body: ReofferTests.hold, now: $0)
      }
    }
    pair.run(30_000)
    #expect(pair.count("491 UPDATE", from: .b) >= 1)
    #expect(pair.count(seed % 2 == 0 ? "491 UPDATE" : "491 INVITE", from: .a) >= 1)
    for side in [Pair.Side.a, .b] {
      #expect(ReofferTests.words(pair, side).filter { $0.hasPrefix("answered") }.count == 1)
    }
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a change may go by UPDATE where the peer allows it, else it is a re-INVITE", arguments: [true, false])
  func inPlaceOfReinvite(isAllowed: Bool) throws {
    let (pair, caller, _) = try Pair.standing(
      configuration: SessionTimerTests.configuration(SessionTimerPolicy()),
      b: SessionTimerTests.configuration(SessionTimerPolicy(), withoutUpdate: !isAllowed))
    ReofferTests.acceptAll(pair)
    pair.act { pair.a.reinvite(caller, body: ReofferTests.hold, byUpdate: true, now: $0) }
    pair.run(1_000)
    #expect(pair.count("UPDATE", from: .a) == (isAllowed ? 1 : 0))
    #expect(pair.count("INVITE", from: .a) == (isAllowed ? 1 : 2))
    #expect(ReofferTests.words(pair, .a) == ["answered with body"])
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a second offer while the first waits for its answer gets 500 with Retry-After (RFC 3311 §5.2)")
  func overlapping() throws {
    let (pair, _, _) = try Pair.standing()
    let dialog = try ReofferTests.dialogOfA(pair)
    for (sequence, method) in [(5, SIPMethod.update), (6, .update), (7, .invite)] {
      pair.inject(
        Requests.text(
          method, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: sequence,
          branch: "z9hG4bKo\(sequence)", headers: ["Content-Type: application/sdp"], body: "hold"), to: .b,
        from: Pair.addressA)
    }
    for name in ["500 UPDATE", "500 INVITE"] {
      let refusal = try #require(pair.all(name, from: .b).first?.message)
      #expect((0...10).contains(Int(refusal.headers["Retry-After"] ?? "") ?? -1))
    }
    #expect(ReofferTests.words(pair, .b) == ["UPDATE offer"])
  }

  /// A call whose offer was answered in a reliable 183, not yet accepted.
  static func early() throws -> (Pair, SessionID, SessionID) {
    let pair = ReliableProvisionalTests.pair()
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingCall(let id, _) = event {
        pair.b.ring(id, status: 183, body: Pair.answer, now: pair.now)
      }
    }
    let caller = pair.call()
    pair.run(1_000)
    let callee = try #require(pair.incoming)
    ReofferTests.acceptAll(pair)
    return (pair, caller, callee)
  }

  @Test("before the call is answered either side may change it, once the 183 is confirmed", arguments: [true, false])
  func earlyUpdate(byCaller: Bool) throws {
    let (pair, caller, callee) = try Self.early()
    let (side, id) = byCaller ? (Pair.Side.a, caller) : (.b, callee)
    pair.act { pair.endpoint(side).update(id, body: ReofferTests.hold, now: $0) }
    pair.run(1_000)
    #expect(ReofferTests.words(pair, side) == ["answered with body"])
    pair.act { pair.b.accept(callee, body: Pair.answer, now: $0) }
    pair.run(1_000)
    #expect(pair.established(.a).count == 1 && pair.established(.b).count == 1)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("after a reliable answer the 2xx has none, and one that has is not listened to (RFC 3261 §13.2.1)")
  func acceptedAfterUpdate() throws {
    let (pair, caller, callee) = try Self.early()
    pair.act { pair.a.update(caller, body: ReofferTests.hold, now: $0) }
    pair.run(1_000)
    pair.act { pair.b.accept(callee, body: Pair.answer, now: $0) }
    pair.run(1_000)
    #expect(pair.all("200 INVITE", from: .b).map(\.message.body) == [nil] && pair.established(.a) == [nil])
    for isUpdated in [true, false] {
      let pair = ForkTests.pair()
      let id = pair.call()
      try ForkTests.answer(pair, 183, tag: "f1", headers: [("Require", "100rel"), ("RSeq", "1")], body: Pair.answer)
      try ForkTests.answer(pair, 200, to: "PRACK", tag: "f1")
      if isUpdated {
        pair.act { pair.a.update(id, body: ReofferTests.hold, now: $0) }
        try ForkTests.answer(pair, 200, to: "UPDATE", tag: "f1", body: Pair.answer)
      }
      try ForkTests.answer(pair, 200, tag: "f1", body: SIPBody(bytes: Array("other".utf8)))
      #expect(pair.established(.a) == [isUpdated ? nil : Pair.answer])
    }
  }

  @Test("an early UPDATE before the offer was answered reliably is not sent, and one that comes gets 500 or 491")
  func tooEarly() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] _, event in
      if case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
    }
    let id = pair.call()
    pair.run(100)
    pair.act { pair.a.update(id, body: ReofferTests.hold, now: $0) }
    #expect(ReofferTests.words(pair, .a) == ["failed 491"])
    let ring = try SIPEssentials(#require(pair.all("180 INVITE", from: .b).first?.message))
    func update(to side: Pair.Side, _ from: String, _ to: String) {
      pair.inject(
        Requests.text(
          .update, from: from, to: to, callID: ring.callID, sequence: 5, branch: "z9hG4bKe\(side)",
          headers: ["Content-Type: application/sdp"], body: "hold"), to: side, from: Pair.addressA)
    }
    update(to: .b, ring.from.description, ring.to.description)
    update(to: .a, ring.to.description, ring.from.description)
    #expect(pair.count("500 UPDATE", from: .b) == 1 && pair.count("491 UPDATE", from: .a) == 1)
  }

  @Test("a CANCEL or a refusal takes an early UPDATE down with the call", arguments: [true, false])
  func earlyUpdateAndEnd(byCaller: Bool) throws {
    let (pair, caller, callee) = try Self.early()
    pair.onEvent = { _, _ in }
    pair.act { pair.a.update(caller, body: ReofferTests.hold, now: $0) }
    pair.run(100)
    pair.act { if byCaller { pair.a.hangUp(caller, now: $0) } else { pair.b.hangUp(callee, now: $0) } }
    pair.runToEnd()
    #expect(pair.count("487 UPDATE", from: .b) == 1)
    #expect(ReofferTests.words(pair, .b).contains("UPDATE offer"))
    #expect(pair.ends(.a).count == 1 && pair.ends(.b).count == 1)
    pair.expectEmpty()
  }
}
