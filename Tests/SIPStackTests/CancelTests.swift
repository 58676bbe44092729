internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Cancelling")
struct CancelTests {
  @Test("test_call_cancel: hanging up while it rings sends CANCEL: 200, 487, ACK (RFC 3261 §9)")
  func whileRinging() throws {
    let pair = Pair()
    pair.answerByItself(after: 60_000)
    let id = pair.call()
    pair.run(1_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.run(2_000)
    #expect(pair.ladder.suffix(4) == ["a:CANCEL", "b:200 CANCEL", "b:487 INVITE", "a:ACK"])
    #expect(pair.ends(.a) == [.cancelled] && pair.ends(.b) == [.cancelled])
    let invite = try SIPEssentials(pair.sent[0].message)
    let cancel = try SIPEssentials(#require(pair.all("CANCEL", from: .a).first?.message))
    #expect(cancel.via == invite.via && cancel.to == invite.to && cancel.cseq.number == invite.cseq.number)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("CANCEL has the Via of its INVITE, though the connection turns out to have another port (RFC 3261 §9.1)")
  func viaOfTheInvite() throws {
    let pair = Pair()
    pair.connectedPort = 40_001
    let call = OutgoingInvite(
      from: NameAddress(uri: Pair.uri("sip:alice@192.0.2.1")), to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
      contact: Pair.uri("sip:alice@192.0.2.1;transport=tcp"), destination: Pair.addressB, local: Pair.addressA,
      transport: .tcp, body: Pair.offer)
    let id = pair.a.invite(call, now: pair.now)
    pair.run(1_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    let sent = try ["INVITE", "CANCEL"].map { try SIPEssentials(#require(pair.all($0, from: .a).first?.message)).via }
    #expect(sent[0] == sent[1])
    #expect(pair.count("200 CANCEL", from: .b) == 1 && pair.ends(.b) == [.cancelled])
    pair.expectEmpty()
  }

  @Test("CANCEL waits for the first provisional response")
  func deferred() throws {
    let pair = Pair()
    pair.link = { [unowned pair] sent in sent.name == "INVITE" && pair.count("INVITE", from: .a) < 3 ? [] : [10] }
    let id = pair.call()
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.run(1_400)
    #expect(pair.count("CANCEL", from: .a) == 0)
    pair.run(200)
    #expect(pair.count("CANCEL", from: .a) == 1)
    pair.runToEnd()
    #expect(pair.ends(.a) == [.cancelled] && pair.ends(.b) == [.cancelled])
    pair.expectEmpty()
  }

  @Test("hanging up on a peer that never responds ends with timer B, without CANCEL")
  func silent() {
    let pair = Pair()
    pair.link = { _ in [] }
    let id = pair.call()
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    #expect(pair.ends(.a) == [.cancelled])
    #expect(pair.count("CANCEL", from: .a) == 0)
    pair.expectEmpty()
  }

  @Test("the 200 crosses the CANCEL: ACK, then BYE")
  func crossing() throws {
    let pair = Pair()
    pair.answerByItself(after: 500)
    let id = pair.call()
    // The 200 is on its way when the user gives up.
    pair.run(515)
    #expect(pair.count("200 INVITE", from: .b) == 1)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    #expect(pair.count("CANCEL", from: .a) == 1)
    #expect(pair.count("200 CANCEL", from: .b) == 1, "the INVITE's transaction is still known")
    let tail = pair.ladder.filter { $0 == "a:ACK" || $0 == "a:BYE" || $0 == "b:487 INVITE" }
    #expect(tail == ["a:ACK", "a:BYE"])
    #expect(pair.ends(.a) == [.cancelled] && pair.ends(.b) == [.remoteHangup])
    pair.expectEmpty()
  }

  @Test("a CANCEL that gets no final response ends the call after 64 × T1")
  func unanswered() {
    let pair = Pair()
    pair.answerByItself(after: 500_000)
    let id = pair.call()
    pair.run(1_000)
    pair.link = { _ in [] }
    let start = pair.now
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.run(40_000)
    #expect(pair.ends(.a) == [.cancelled])
    #expect(pair.events.last?.at.milliseconds(since: start) == 32_000)
    #expect(pair.a.census == SIPCensus())
  }

  @Test("a CANCEL for nothing gets 481")
  func stray() throws {
    let pair = Pair()
    pair.inject(Requests.text(.cancel, to: "<sip:bob@192.0.2.2>"), to: .b, from: Pair.addressA)
    #expect(pair.ladder == ["b:481 CANCEL"])
  }

  @Test("hanging up an unanswered incoming call refuses it")
  func refusedByHangUp() throws {
    let pair = Pair()
    _ = pair.call()
    pair.run(100)
    let callee = try #require(pair.incoming)
    pair.act { pair.b.hangUp(callee, status: 603, reason: "Not now", now: $0) }
    pair.runToEnd()
    #expect(pair.ends(.a) == [.rejected(status: 603, reason: "Not now")])
    #expect(pair.ends(.b) == [.localHangup])
    pair.expectEmpty()
  }

  @Test("the callee's BYE waits for the ACK (RFC 3261 §15)")
  func byeWaitsForAcknowledgement() throws {
    let pair = Pair()
    pair.link = { [unowned pair] sent in sent.name == "ACK" && pair.count("ACK", from: .a) == 1 ? [] : [10] }
    pair.onEvent = { [unowned pair] _, event in
      if case .incomingCall(let id, _) = event {
        pair.b.accept(id, body: Pair.answer, now: pair.now)
        pair.b.hangUp(id, now: pair.now)
      }
    }
    _ = pair.call()
    pair.run(400)
    #expect(pair.count("BYE", from: .b) == 0)
    #expect(pair.ends(.b) == [.localHangup])
    pair.runToEnd()
    #expect(pair.ladder.firstIndex(of: "b:BYE") ?? 0 > pair.ladder.lastIndex(of: "a:ACK") ?? .max)
    #expect(pair.ends(.a) == [.remoteHangup])
    pair.expectEmpty()
  }

  @Test("the caller may hang up with BYE before the callee answers (RFC 3261 §15)")
  func byeInEarlyDialog() throws {
    let pair = Pair()
    pair.answerByItself(after: 60_000)
    _ = pair.call()
    pair.run(100)
    let ringing = try SIPEssentials(#require(pair.all("180 INVITE", from: .b).first?.message))
    pair.inject(
      Requests.text(
        .bye, from: "\(ringing.from)", to: "\(ringing.to)", callID: ringing.callID, sequence: 2), to: .b,
      from: Pair.addressA)
    pair.runToEnd()
    #expect(pair.count("200 BYE", from: .b) == 1 && pair.count("487 INVITE", from: .b) == 1)
    #expect(pair.ends(.b) == [.remoteHangup])
    #expect(pair.ends(.a) == [.rejected(status: 487, reason: "Request Terminated")])
    pair.expectEmpty()
  }
}
