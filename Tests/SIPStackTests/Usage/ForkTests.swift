internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Forks")
struct ForkTests {
  /// A response to A's INVITE, or to its last request of another method, from the fork with this tag.
  static func answer(
    _ pair: Pair, _ status: Int, to method: String = "INVITE", tag: String, headers: [(String, String)] = [],
    body: SIPBody? = nil
  ) throws {
    let invite = try #require(pair.all(method, from: .a).last?.message)
    var answer = SIPMessage(.response(status: status, reason: "Fork"), headers: SIPHeaders())
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] { answer.headers.append(name, invite.headers[name] ?? "") }
    answer.headers.set("To", "<sip:bob@192.0.2.2>;tag=\(tag)")
    answer.headers.append("Contact", "<sip:\(tag)@192.0.2.2>")
    for (name, value) in headers { answer.headers.append(name, value) }
    answer.set(body: body)
    pair.inject(answer.serialized(), to: .a, from: Pair.addressB)
  }

  static func pair() -> Pair {
    let pair = ReliableProvisionalTests.pair()
    pair.link = { _ in [] }
    return pair
  }

  static func progress(_ pair: Pair) -> [CallProgress] {
    pair.events.compactMap { if case .progress(_, let progress) = $0.event { progress } else { nil } }
  }

  @Test("each fork has its dialog: early media of each is told apart, and a PRACK goes to each (RFC 3261 §12.1)")
  func early() throws {
    let pair = Self.pair()
    _ = pair.call()
    let bodies = ["one", "two"].map { SIPBody(bytes: Array($0.utf8)) }
    for (tag, body) in zip(["f1", "f2"], bodies) {
      try Self.answer(pair, 183, tag: tag, headers: [("Require", "100rel"), ("RSeq", "7")], body: body)
    }
    let heard = Self.progress(pair)
    #expect(heard.map { $0.dialog?.remoteTag } == ["f1", "f2"] && heard.map(\.body) == bodies)
    let pracks = pair.all("PRACK", from: .a).map(\.message)
    #expect(pracks.map { try? NameAddress($0.headers["To"] ?? "").tag } == ["f1", "f2"])
    #expect(pracks.map { $0.headers["CSeq"] } == ["2 PRACK", "2 PRACK"], "each dialog counts for itself")
    #expect(pracks.map { $0.startLine } == ["f1", "f2"].map { .request(.prack, Pair.uri("sip:\($0)@192.0.2.2")) })
    #expect(pair.a.census.dialogs == 2)
  }

  @Test("copies of a reliable response, and one that skips a number, are neither confirmed nor told (RFC 3262 §4)")
  func sequence() throws {
    let pair = Self.pair()
    _ = pair.call()
    func ring(_ tag: String, _ number: Int) throws {
      try Self.answer(pair, 180, tag: tag, headers: [("Require", "100rel"), ("RSeq", "\(number)")])
    }
    try ring("f1", 7)
    try ring("f1", 7)
    try ring("f1", 9)
    try ring("f1", 8)
    try ring("f2", 40)
    #expect(Self.progress(pair).count == 3)
    #expect(
      pair.all("PRACK", from: .a).map { $0.message.headers["RAck"] ?? "" } == [
        "7 1 INVITE", "8 1 INVITE", "40 1 INVITE",
      ])
  }

  @Test("the first 2xx wins; each later one is acknowledged and hung up, and early dialogs are let go")
  func late() throws {
    let pair = Self.pair()
    let id = pair.call()
    for tag in ["f1", "f2", "f3"] { try Self.answer(pair, 180, tag: tag) }
    try Self.answer(pair, 200, tag: "f2", body: Pair.answer)
    #expect(pair.established(.a) == [Pair.answer] && pair.a.census.dialogs == 1)
    for tag in ["f1", "f4", "f1"] { try Self.answer(pair, 200, tag: tag, body: Pair.answer) }
    let byes = pair.all("BYE", from: .a).map { try? NameAddress($0.message.headers["To"] ?? "").tag }
    #expect(byes == ["f1", "f4"] && pair.count("ACK", from: .a) == 4 && pair.a.counters.forkedAnswers == 2)
    #expect(pair.ends(.a).isEmpty)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("the BYE to a fork that lost passes a proxy that challenges it")
  func challengedFarewell() throws {
    let (pair, account) = DigestFlowTests.alone()
    _ = DigestFlowTests.call(pair, account)
    try DigestFlowTests.answer(pair, 407, [DigestFlowTests.demand("n1")])
    for tag in ["f1", "f2"] { try Self.answer(pair, 200, tag: tag, body: Pair.answer) }
    try #require(pair.sent.last?.name == "BYE")
    try DigestFlowTests.answer(pair, 407, [DigestFlowTests.demand("n2", more: ", qop=\"auth\", stale=TRUE")])
    let bye = try #require(pair.sent.last)
    #expect(bye.name == "BYE" && pair.count("BYE", from: .a) == 2)
    #expect(try DigestFlowTests.authorization(bye, "Proxy-Authorization")["nonce"] == "n2")
    #expect(bye.message.headers["To"]?.contains("tag=f2") == true)
  }

  @Test("an early UPDATE goes to the fork that is named; if another one wins it has failed")
  func updateOfLoser() throws {
    let pair = Self.pair()
    let id = pair.call()
    for tag in ["f1", "f2"] {
      try Self.answer(pair, 183, tag: tag, headers: [("Require", "100rel"), ("RSeq", "1")], body: Pair.answer)
    }
    let second = try #require(Self.progress(pair).last?.dialog)
    try Self.answer(pair, 200, to: "PRACK", tag: "f2")
    pair.act { pair.a.update(id, dialog: second, body: ReofferTests.hold, now: $0) }
    #expect(pair.all("UPDATE", from: .a).first?.message.startLine == .request(.update, Pair.uri("sip:f2@192.0.2.2")))
    try Self.answer(pair, 200, tag: "f1", body: Pair.answer)
    #expect(ReofferTests.words(pair, .a) == ["failed 487"] && pair.established(.a).count == 1)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("an UPDATE that waits after a 491 has failed as well, when another fork wins")
  func waitingUpdateOfLoser() throws {
    let pair = Self.pair()
    let id = pair.call()
    try Self.answer(pair, 183, tag: "f1", headers: [("Require", "100rel"), ("RSeq", "1")], body: Pair.answer)
    try Self.answer(pair, 200, to: "PRACK", tag: "f1")
    pair.act { pair.a.update(id, body: ReofferTests.hold, now: $0) }
    try Self.answer(pair, 491, to: "UPDATE", tag: "f1")
    #expect(ReofferTests.words(pair, .a).isEmpty)
    try Self.answer(pair, 200, tag: "f2", body: Pair.answer)
    #expect(ReofferTests.words(pair, .a) == ["failed 487"])
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("no UPDATE overtakes a PRACK, whose number would be too low then (RFC 3261 §12.2.2)")
  func updateAfterPrack() throws {
    let pair = Self.pair()
    let id = pair.call()
    try Self.answer(pair, 183, tag: "f1", headers: [("Require", "100rel"), ("RSeq", "1")], body: Pair.answer)
    pair.act { pair.a.update(id, body: ReofferTests.hold, now: $0) }
    #expect(pair.count("UPDATE", from: .a) == 0 && ReofferTests.words(pair, .a) == ["failed 491"])
    try Self.answer(pair, 200, to: "PRACK", tag: "f1")
    pair.act { pair.a.update(id, body: ReofferTests.hold, now: $0) }
    #expect(pair.count("UPDATE", from: .a) == 1)
  }

  @Test("the BYE to a fork that answers late has a higher number than what its early dialog has seen")
  func numberOfLoser() throws {
    let pair = Self.pair()
    _ = pair.call()
    for number in [1, 2] {
      try Self.answer(pair, 180, tag: "f1", headers: [("Require", "100rel"), ("RSeq", "\(number)")])
    }
    try Self.answer(pair, 200, tag: "f2", body: Pair.answer)
    try Self.answer(pair, 200, tag: "f1", body: Pair.answer)
    #expect(pair.all("BYE", from: .a).map { $0.message.headers["CSeq"] } == ["4 BYE"])
  }
}
