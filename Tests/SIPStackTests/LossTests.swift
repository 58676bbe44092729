internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Loss, copies and failures")
struct LossTests {
  /// One call: a second of ringing, five seconds of talk, a re-INVITE, hang-up by A.
  static func scripted(link: @escaping (Pair, Pair.Sent) -> [Int64]) -> Pair {
    let pair = Pair()
    pair.link = { [unowned pair] sent in link(pair, sent) }
    pair.onEvent = { [unowned pair] side, event in
      switch event {
      case .incomingCall(let id, _):
        pair.b.ring(id, now: pair.now)
        pair.after(1_000) { pair.b.accept(id, body: Pair.answer, now: pair.now) }
      case .reoffer(let id, _, _): pair.endpoint(side).acceptReinvite(id, body: Pair.answer, now: pair.now)
      case .established(let id, _) where side == .a:
        pair.after(2_000) { pair.a.reinvite(id, body: Pair.offer, now: pair.now) }
        pair.after(20_000) { pair.a.hangUp(id, now: pair.now) }
      default: break
      }
    }
    _ = pair.call()
    pair.runToEnd()
    return pair
  }

  @Test("each message of a call is lost in turn, and the call succeeds all the same")
  func eachLost() {
    let whole = Self.scripted { _, _ in [10] }
    #expect(whole.sent.count == 11)
    for index in whole.sent.indices {
      let pair = Self.scripted { pair, _ in pair.sent.count == index + 1 ? [] : [10] }
      let note = Comment(rawValue: "lost: \(whole.ladder[index])")
      #expect(pair.established(.a).count == 1 && pair.established(.b).count == 1, note)
      #expect(pair.ends(.a) == [.localHangup] && pair.ends(.b) == [.remoteHangup], note)
      #expect(
        pair.a.counters.retransmissionsSent + pair.b.counters.retransmissionsSent > 0 || index == 2 || index == 1
          || index == 6, note)
      pair.expectEmpty(note)
    }
  }

  @Test("each message of a call comes twice, late the second time, and nothing happens twice")
  func eachDoubled() {
    for index in 0..<11 {
      let pair = Self.scripted { pair, _ in pair.sent.count == index + 1 ? [10, 1_900] : [10] }
      let note = Comment(rawValue: "doubled: \(index)")
      #expect(pair.established(.a).count == 1 && pair.established(.b).count == 1, note)
      #expect(pair.ends(.a) == [.localHangup] && pair.ends(.b) == [.remoteHangup], note)
      pair.expectEmpty(note)
    }
  }

  @Test("an INVITE into the void is sent seven times in 32 s, then the call times out (timers A and B)")
  func void() {
    let pair = Pair()
    pair.link = { _ in [] }
    let start = pair.now
    _ = pair.call()
    pair.runToEnd()
    #expect(pair.times("INVITE", from: .a) == [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500])
    #expect(pair.ends(.a) == [.timeout])
    #expect(pair.now.milliseconds(since: start) == 32_000)
    pair.expectEmpty()
  }

  @Test("a 200 without ACK is sent for 32 s, up to T2 apart; then the callee gives up with BYE (RFC 3261 §13.3.1.4)")
  func noAcknowledgement() {
    let pair = Pair()
    pair.answerByItself()
    pair.link = { $0.name == "ACK" ? [] : [10] }
    _ = pair.call()
    pair.runToEnd()
    #expect(
      pair.times("200 INVITE", from: .b)
        == [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500])
    #expect(pair.count("ACK", from: .a) == pair.count("200 INVITE", from: .b))
    #expect(pair.ends(.b) == [.timeout] && pair.ends(.a) == [.remoteHangup])
    #expect(pair.established(.b).isEmpty)
    pair.expectEmpty()
  }

  @Test("the copies of an accepted INVITE are swallowed, not taken for a new call (RFC 6026)")
  func copiesAfterAccept() {
    let pair = Pair()
    pair.answerByItself(after: 0)
    pair.link = { $0.name == "INVITE" ? [10, 3_000, 20_000] : [10] }
    let id = pair.call()
    pair.after(25_000) { pair.a.hangUp(id, now: pair.now) }
    pair.runToEnd()
    #expect(pair.events.count { if case .incomingCall = $0.event { true } else { false } } == 1)
    #expect(pair.b.counters.retransmissionsReceived == 2)
    #expect(pair.count("200 INVITE", from: .b) == 1)
    pair.expectEmpty()
  }

  @Test("the callee's 200 was never seen: its BYE ends the ringing caller")
  func byeInsteadOfAnswer() {
    let pair = Pair()
    pair.answerByItself()
    pair.link = { $0.name == "200 INVITE" ? [] : [10] }
    _ = pair.call()
    pair.runToEnd()
    #expect(pair.ends(.b) == [.timeout] && pair.ends(.a) == [.remoteHangup])
    pair.expectEmpty()
  }

  @Test("a refused port ends the call at once (ICMP)")
  func unreachable() {
    let pair = Pair()
    pair.link = { _ in [] }
    _ = pair.call()
    pair.act { pair.a.transportFailed(to: Pair.addressB.with(port: 9), error: "other", now: $0) }
    #expect(pair.ends(.a).isEmpty)
    pair.act { pair.a.transportFailed(to: Pair.addressB, error: "port unreachable", now: $0) }
    #expect(pair.ends(.a) == [.unreachable("port unreachable")])
    #expect(pair.a.counters.transportFailures == 1)
    pair.expectEmpty()
  }

  @Test(
    "a peer that dies is noticed by BYE, by re-INVITE and while it rings", arguments: ["bye", "reinvite", "ringing"])
  func death(when: String) throws {
    let pair = Pair()
    pair.answerByItself(after: when == "ringing" ? 100_000 : 500)
    let id = pair.call()
    pair.run(2_000)
    pair.link = { _ in [] }
    switch when {
    case "bye": pair.act { pair.a.hangUp(id, now: $0) }
    case "reinvite": pair.act { pair.a.reinvite(id, body: Pair.offer, now: $0) }
    default: break
    }
    pair.act { pair.a.transportFailed(to: Pair.addressB, error: "port unreachable", now: $0) }
    #expect(pair.ends(.a) == [when == "bye" ? .localHangup : .unreachable("port unreachable")])
    pair.run(33_000)
    #expect(pair.a.census == SIPCensus())
  }

  @Test("forks: the first 2xx is kept, each other gets ACK and BYE (RFC 3261 §13.2.2.4)")
  func forks() throws {
    let pair = Pair()
    pair.answerByItself(after: 500)
    let id = pair.call()
    pair.run(200)
    let invite = try #require(pair.sent.first?.message)
    /// A response of a third party to A's INVITE.
    func fork(_ status: Int, _ tag: String, body: String = "") {
      var response = SIPMessage(.response(status: status, reason: "Fork"))
      for name in ["Via", "From", "Call-ID", "CSeq"] { response.headers.append(name, invite.headers[name] ?? "") }
      response.headers.append("To", "<sip:bob@192.0.2.2>;tag=\(tag)")
      response.headers.append("Contact", "<sip:fork@192.0.2.77:5062>")
      if !body.isEmpty { response.set(body: SIPBody(bytes: Array(body.utf8))) }
      pair.inject(response.serialized(), to: .a, from: SocketAddress(ipv4: 0xC000_024D, port: 5062))
    }
    fork(183, "one", body: "early")
    #expect(pair.a.census.dialogs == 2, "two early dialogs: B's and the fork's")
    pair.run(1_000)
    #expect(pair.established(.a) == [Pair.answer])
    #expect(pair.a.census.dialogs == 1)
    fork(200, "one", body: "late")
    fork(200, "two", body: "later")
    fork(200, "one", body: "late")
    let others = SocketAddress(ipv4: 0xC000_024D, port: 5062)
    let toForks = pair.sent.filter { $0.to == others }.map(\.name)
    #expect(toForks == ["ACK", "BYE", "ACK", "BYE", "ACK"], "the copy of a 2xx gets its ACK again, and no second BYE")
    #expect(pair.a.counters.forkedAnswers == 2)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    #expect(pair.ends(.a) == [.localHangup])
    pair.expectEmpty()
  }

  @Test("a 2xx that comes after the call was over is acknowledged and hung up")
  func lateSuccess() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] _, event in
      if case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
    }
    let id = pair.call()
    pair.run(100)
    let callee = try #require(pair.incoming)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.link = { $0.name == "200 INVITE" ? [5_000] : [] }
    pair.act { pair.b.accept(callee, body: Pair.answer, now: $0) }
    pair.run(5_000)
    #expect(pair.ladder.contains("a:BYE"))
    #expect(pair.ends(.a) == [.cancelled])
  }

  @Test("thousands of calls leave nothing behind")
  func thousands() {
    #if DEBUG
      let calls = 1_000
    #else
      let calls = 10_000
    #endif
    let pair = Counted()
    for index in 0..<calls { pair.call(index) }
    #expect(pair.established == calls && pair.ended == 2 * calls)
    // Ten calls a second, and no transaction lives for more than 32 s.
    #expect(pair.mostTimers < 2_000, "transactions go when their time is over, not at the end")
    pair.finish()
    #expect(pair.a.census == SIPCensus() && pair.b.census == SIPCensus())
    #expect(pair.a.nextDeadline == nil && pair.b.nextDeadline == nil)
  }
}

/// Two endpoints without delay between them, for many calls.
final class Counted {
  let a = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: 1))
  let b = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: 2))
  var now = Instant(nanoseconds: 0)
  var established = 0
  var ended = 0
  var mostTimers = 0
  private let from = NameAddress(uri: SIPURI(user: "a", host: "192.0.2.1"))
  private let to = NameAddress(uri: SIPURI(user: "b", host: "192.0.2.2"))

  func call(_ index: Int) {
    self.now = self.now.advanced(byMilliseconds: 100)
    self.a.timeout(now: self.now)
    self.b.timeout(now: self.now)
    let id = self.a.invite(
      OutgoingInvite(
        from: self.from, to: self.to, contact: self.from.uri, destination: Pair.addressB, local: Pair.addressA,
        body: Pair.offer), now: self.now)
    self.exchange()
    self.a.hangUp(id, now: self.now)
    self.exchange()
    self.mostTimers = max(self.mostTimers, self.a.census.timers + self.b.census.timers)
  }

  func finish() {
    while let next = [self.a, self.b].compactMap(\.nextDeadline).min() {
      self.now = next
      self.a.timeout(now: next)
      self.b.timeout(now: next)
      self.exchange()
    }
  }

  private func exchange() {
    var isIdle = false
    while !isIdle {
      isIdle = true
      for (endpoint, other) in [(self.a, self.b), (self.b, self.a)] {
        while let action = endpoint.nextAction() {
          isIdle = false
          switch action {
          case .send(let bytes, let path):
            let (to, from) = (path.peer, path.local)
            bytes.withRawSpan { other.receive($0, from: from, on: to, transport: .udp, now: self.now) }
          case .event(.incomingCall(let id, _)): endpoint.accept(id, body: Pair.answer, now: self.now)
          case .event(.established): if endpoint === self.b { self.established += 1 }
          case .event(.ended): self.ended += 1
          case .event, .close: break
          }
        }
      }
    }
  }
}
