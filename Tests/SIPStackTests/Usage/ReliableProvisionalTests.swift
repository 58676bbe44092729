internal import NetBase
internal import SIPStack
internal import Testing

@Suite("100rel and PRACK")
struct ReliableProvisionalTests {
  static func configuration(_ use: CallPolicy.ReliableProvisional) -> SIPConfiguration {
    SIPConfiguration(policy: CallPolicy(reliableProvisional: use))
  }

  static func pair(
    seed: UInt64 = 1, _ a: CallPolicy.ReliableProvisional = .yes, _ b: CallPolicy.ReliableProvisional = .yes
  ) -> Pair {
    Pair(seed: seed, configuration: self.configuration(a), b: self.configuration(b))
  }

  @Test("a reliable 183 is confirmed, and the 200 goes out (RFC 3262 §3, §4)")
  func confirmed() throws {
    let pair = Self.pair()
    pair.answerByItself()
    let id = pair.call()
    pair.run(3_000)
    #expect(
      pair.ladder == [
        "a:INVITE", "b:100 INVITE", "b:180 INVITE", "a:PRACK", "b:200 PRACK", "b:200 INVITE", "a:ACK",
      ])
    let ring = try #require(pair.all("180 INVITE", from: .b).first?.message)
    let number = try #require(ring.headers["RSeq"])
    #expect(ring.headers["Require"] == "100rel")
    let prack = try #require(pair.all("PRACK", from: .a).first?.message)
    #expect(prack.headers["RAck"] == "\(number) 1 INVITE" && prack.headers["CSeq"] == "2 PRACK")
    guard case .progress(id, let progress)? = pair.events.first(where: { $0.side == .a })?.event else {
      Issue.record("no progress")
      return
    }
    #expect(progress.isReliable && progress.dialog != nil)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a reliable 183 with a body that describes nothing is confirmed, and is no answer: that comes with the 200")
  func otherBody() {
    let pair = Self.pair()
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingCall(let id, _) = event else { return }
      pair.b.ring(id, status: 183, body: Pair.answer, now: pair.now)
      pair.after(500) { pair.act { pair.b.accept(id, body: nil, now: $0) } }
    }
    pair.link = { [unowned pair] sent in
      guard sent.from == .b, sent.name == "183 INVITE" || sent.name == "200 INVITE" else { return [10] }
      var text = String(decoding: sent.bytes, as: UTF8.self)
      text.replace("application/sdp", with: "text/plain")
      text.replace(
        "Content-Length: 0\r\n\r\n", with: "Content-Type: application/sdp\r\nContent-Length: 6\r\n\r\nanswer")
      pair.inject(text, to: .a, from: Pair.addressB)
      return []
    }
    _ = pair.call()
    pair.run(3_000)
    #expect(pair.count("PRACK", from: .a) == 1 && pair.established(.a) == [Pair.answer])
  }

  @Test(
    "who may, and who must: each policy against each",
    arguments: [
      (.no, .no, 0, nil), (.no, .yes, 0, nil), (.yes, .no, 0, nil), (.yes, .yes, 1, nil), (.required, .yes, 1, nil),
      (.yes, .required, 1, nil), (.required, .required, 1, nil), (.required, .no, 0, 420), (.no, .required, 0, 421),
    ] as [(CallPolicy.ReliableProvisional, CallPolicy.ReliableProvisional, Int, Int?)])
  func policies(
    a: CallPolicy.ReliableProvisional, b: CallPolicy.ReliableProvisional, pracks: Int, refusal: Int?
  ) throws {
    let pair = Self.pair(a, b)
    pair.answerByItself()
    let id = pair.call()
    pair.run(3_000)
    #expect(pair.count("PRACK", from: .a) == pracks)
    if let refusal {
      #expect(pair.count("\(refusal) INVITE", from: .b) == 1 && pair.incoming == nil)
      let answer = try #require(pair.all("\(refusal) INVITE", from: .b).first?.message)
      #expect(answer.headers[refusal == 420 ? "Unsupported" : "Require"] == "100rel")
    } else {
      #expect(pair.established(.a).count == 1)
    }
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("one call's policy overrules the configuration, at the caller and at the callee")
  func perCall() {
    let pair = Self.pair(.no, .no)
    pair.b.policyForCall = { invite in
      invite.requestURI.user == "bob" ? CallPolicy(reliableProvisional: .yes) : CallPolicy()
    }
    pair.answerByItself()
    pair.act {
      _ = pair.a.invite(
        OutgoingInvite(
          from: NameAddress(uri: Pair.uri("sip:a@192.0.2.1")), to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          contact: Pair.uri("sip:a@192.0.2.1"), destination: Pair.addressB, local: Pair.addressA, body: Pair.offer,
          policy: CallPolicy(reliableProvisional: .yes)), now: $0)
    }
    pair.run(3_000)
    #expect(pair.count("PRACK", from: .a) == 1 && pair.established(.a).count == 1)
  }

  @Test("without PRACK the 180 is repeated at 0.5, 1, 2 … s, and after 32 s the call is refused with 504")
  func unconfirmed() {
    let pair = Self.pair()
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
    }
    pair.link = { $0.name == "PRACK" ? [] : [10] }
    _ = pair.call()
    pair.runToEnd()
    #expect(pair.times("180 INVITE", from: .b) == [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500])
    #expect(pair.count("504 INVITE", from: .b) >= 1 && pair.ends(.b) == [.timeout])
    pair.expectEmpty()
  }

  @Test("several provisional responses wait for each other, and all come in order, whatever is lost", arguments: 1...30)
  func order(seed: UInt64) {
    let pair = Self.pair(seed: seed)
    var generator = SeededGenerator(seed: seed)
    pair.link = { _ in
      Int.random(in: 0..<10, using: &generator) < 3 ? [] : [Int64.random(in: 1...900, using: &generator), 1200]
    }
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingCall(let id, _) = event else { return }
      for status in [180, 181, 182, 183] { pair.b.ring(id, status: status, now: pair.now) }
      pair.after(60_000) { pair.b.accept(id, body: Pair.answer, now: pair.now) }
    }
    let id = pair.call()
    pair.run(100_000)
    var seen: [Int] = []
    for entry in pair.events {
      if entry.side == .a, case .progress(_, let progress) = entry.event, progress.isReliable {
        seen.append(progress.status)
      }
    }
    #expect(seen == [180, 181, 182, 183])
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test(
    "a 200 waits for the PRACK of a description, and not for one of a plain 180 (RFC 3262 §3)",
    arguments: [true, false])
  func delayedAnswer(withBody: Bool) {
    let pair = Self.pair()
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingCall(let id, _) = event else { return }
      pair.b.ring(id, status: 183, body: withBody ? Pair.answer : nil, now: pair.now)
      pair.b.accept(id, body: Pair.answer, now: pair.now)
    }
    let id = pair.call()
    #expect(pair.count("200 INVITE", from: .b) == 0)
    pair.run(5_000)
    let early = pair.ladder.firstIndex(of: "b:200 INVITE") ?? 0
    let prack = pair.ladder.firstIndex(of: "b:200 PRACK") ?? 0
    #expect(withBody ? early > prack : early < prack)
    #expect(pair.established(.a) == [Pair.answer] && pair.established(.b) == [nil])
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("an INVITE without offer gets it in a 183, the answer goes with the PRACK, the 200 has none (RFC 3262 §5)")
  func earlyOffer() {
    let pair = Self.pair()
    var answered: [SIPBody?] = []
    pair.onEvent = { [unowned pair] side, event in
      switch event {
      case .incomingCall(let id, _):
        pair.b.ring(id, status: 183, body: Pair.offer, now: pair.now)
        pair.after(5_000) { pair.b.accept(id, body: Pair.offer, now: pair.now) }
      case .earlyOffer(let id, let progress):
        #expect(progress.body == Pair.offer)
        pair.after(800) {
          if let dialog = progress.dialog {
            pair.a.acknowledgeProgress(id, dialog: dialog, body: Pair.answer, now: pair.now)
          }
        }
      case .progressAcknowledged(_, let body): answered.append(body)
      default: break
      }
    }
    let id = pair.call(body: nil)
    pair.run(10_000)
    #expect(answered == [Pair.answer])
    #expect(pair.all("200 INVITE", from: .b).allSatisfy { $0.message.body == nil })
    #expect(pair.established(.a) == [nil] && pair.established(.b) == [nil])
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a PRACK that confirms nothing gets 481, and a copy of the one that did gets its 200 again")
  func strangePracks() throws {
    let pair = Self.pair()
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
    }
    pair.link = { $0.name == "PRACK" ? [] : [10] }
    _ = pair.call()
    pair.run(100)
    let ring = try SIPEssentials(#require(pair.all("180 INVITE", from: .b).first?.message))
    let number = try #require(Int(pair.all("180 INVITE", from: .b).first?.message.headers["RSeq"] ?? ""))
    func prack(_ rack: String, _ sequence: Int) {
      pair.inject(
        Requests.text(
          .prack, from: ring.from.description, to: ring.to.description, callID: ring.callID, sequence: sequence,
          branch: "z9hG4bKp\(sequence)", headers: ["RAck: \(rack)"]), to: .b, from: Pair.addressA)
    }
    prack("\(number + 1) 1 INVITE", 10)
    prack("\(number) 2 INVITE", 11)
    prack("\(number) 1 BYE", 12)
    prack("x", 13)
    #expect(pair.count("481 PRACK", from: .b) == 4)
    prack("\(number) 1 INVITE", 14)
    prack("\(number) 1 INVITE", 14)
    #expect(pair.count("200 PRACK", from: .b) == 2)
    prack("\(number) 1 INVITE", 15)
    #expect(pair.count("481 PRACK", from: .b) == 5)
  }

  @Test("an offer in a PRACK is the user's to answer, in its 200 (RFC 3262 §5)")
  func offerInPrack() throws {
    let pair = Self.pair()
    pair.onEvent = { [unowned pair] side, event in
      switch event {
      case .incomingCall(let id, _): pair.b.ring(id, status: 183, body: Pair.answer, now: pair.now)
      case .reoffer(let id, let body, .prack):
        #expect(body == Pair.offer)
        pair.b.acceptReinvite(id, body: Pair.answer, now: pair.now)
      default: break
      }
    }
    pair.link = { $0.name == "PRACK" ? [] : [10] }
    _ = pair.call()
    pair.run(100)
    let ring = try #require(pair.all("183 INVITE", from: .b).first?.message)
    let essentials = try SIPEssentials(ring)
    pair.inject(
      Requests.text(
        .prack, from: essentials.from.description, to: essentials.to.description, callID: essentials.callID,
        sequence: 9, headers: ["RAck: \(ring.headers["RSeq"] ?? "") 1 INVITE", "Content-Type: application/sdp"],
        body: "offer"), to: .b, from: Pair.addressA)
    #expect(pair.all("200 PRACK", from: .b).first?.message.body == Pair.answer)
  }

  @Test("CANCEL while a reliable 180 is not confirmed: all ends, nothing is repeated")
  func cancelled() {
    let pair = Self.pair()
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
    }
    pair.link = { $0.name == "PRACK" ? [] : [10] }
    let id = pair.call()
    pair.run(700)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    #expect(pair.count("180 INVITE", from: .b) == 2 && pair.ends(.a) == [.cancelled] && pair.ends(.b) == [.cancelled])
    pair.expectEmpty()
  }
}
