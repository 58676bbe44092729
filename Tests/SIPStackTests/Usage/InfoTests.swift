internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("INFO and MESSAGE in a call")
struct InfoTests {
  @Test("a digit by INFO arrives, in either form; the sender hears 200", arguments: [true, false])
  func digit(isRelay: Bool) throws {
    let (pair, caller, callee) = try Pair.standing()
    let digit = try #require(DTMFInfo(digit: "5", duration: 160))
    pair.act { _ = pair.a.info(caller, body: isRelay ? digit.relayBody : digit.plainBody, now: $0) }
    pair.act { _ = pair.b.info(callee, body: digit.relayBody, headers: [("X-A", "b")], now: $0) }
    pair.run(1_000)
    for (side, duration) in [(Pair.Side.b, isRelay ? 160 : 250), (.a, 160)] {
      let heard = pair.events.compactMap { entry in
        if entry.side == side, case .info(_, let info) = entry.event { info } else { nil }
      }
      #expect(heard.map(\.digit) == [DTMFInfo(digit: "5", duration: duration)])
      if side == .a { #expect(heard.first?.headers["X-A"] == "b") }
    }
    let results = pair.events.filter { if case .requestResult(_, 200, _, _, _) = $0.event { true } else { false } }
    #expect(results.count == 2)
    pair.act { pair.a.hangUp(caller, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test(
    "what is a digit, and what is not",
    arguments: [
      ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5" as Character?, 160),
      ("application/dtmf-relay", "signal = * \nduration = 99999", "*", 10_000), ("application/DTMF", "#", "#", 250),
      ("application/dtmf", "Signal=d", "D", 250), ("application/dtmf-relay", "Signal=11\r\n", "#", 250),
      ("application/dtmf-relay", "Signal=16", "!", 250), ("application/dtmf-relay", "Signal=17", nil, 0),
      ("application/dtmf-relay", "", nil, 0), ("application/dtmf", "x", nil, 0), ("text/plain", "5", nil, 0),
      ("application/dtmf-relay", "Signal=é", nil, 0),
    ])
  func parsing(type: String, text: String, digit: Character?, duration: Int) {
    let read = DTMFInfo(SIPBody(contentType: type, bytes: Array(text.utf8)))
    #expect(read?.digit == digit && read.map(\.duration) ?? 0 == duration)
  }

  @Test("an INFO that is not understood gets 415, a package that was not asked for 469, nonsense 400; empty 200")
  func refusals() throws {
    let (pair, _, _) = try Pair.standing()
    let dialog = try ReofferTests.dialogOfA(pair)
    func info(_ headers: [String], _ body: String, _ sequence: Int) -> String? {
      pair.inject(
        Requests.text(
          .info, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: sequence,
          branch: "z9hG4bKi\(sequence)", headers: headers, body: body), to: .b, from: Pair.addressA)
      return pair.sent.last { $0.from == .b }?.name
    }
    #expect(info(["Content-Type: text/plain"], "hello", 5) == "415 INFO")
    #expect(info(["Info-Package: foo"], "", 6) == "469 INFO")
    #expect(info(["Content-Type: application/dtmf-relay"], "Signal=xx", 7) == "400 INFO")
    #expect(info([], "", 8) == "200 INFO")
  }

  @Test("a package that Recv-Info announces is taken and handed on, another is refused with what is taken")
  func packages() throws {
    var configuration = SIPConfiguration()
    configuration.policy.infoPackages = [.trickleICE]
    let (pair, caller, callee) = try Pair.standing(configuration: configuration)
    for message in [pair.all("INVITE", from: .a), pair.all("200 INVITE", from: .b)].compactMap(\.first?.message) {
      #expect(message.headers["Recv-Info"] == "trickle-ice")
      #expect(message.headers.list("Supported").contains("trickle-ice"))
    }
    func send(_ package: String, _ type: String) {
      let body = SIPBody(contentType: type, bytes: Array("a=ice-ufrag:x\r\n".utf8))
      pair.act { _ = pair.a.info(caller, body: body, headers: [("Info-Package", package)], now: $0) }
      pair.run(500)
    }
    send("trickle-ice", "application/trickle-ice-sdpfrag")
    send("Trickle-ICE;x=y", "application/dtmf")
    send("other", "application/trickle-ice-sdpfrag")
    let heard = pair.events.compactMap { entry in
      if entry.side == .b, case .info(callee, let info) = entry.event { info } else { nil }
    }
    #expect(heard.map(\.package) == [.trickleICE] && heard.first?.body?.bytes.count == 15)
    let answers = pair.sent.filter { $0.from == .b && $0.name.hasSuffix(" INFO") }
    #expect(answers.map(\.name) == ["200 INFO", "415 INFO", "469 INFO"])
    #expect(answers.last?.message.headers["Recv-Info"] == "trickle-ice")
    #expect(answers.dropLast().last?.message.headers["Accept"] == "application/trickle-ice-sdpfrag")
    pair.act { _ in #expect(pair.a.takes(.trickleICE, in: caller)) }
  }

  @Test("what a peer takes is its last Recv-Info, without parameters; nothing where it has announced nothing")
  func announced() throws {
    var peer = PeerCapabilities()
    #expect(peer.receivedInfo.isEmpty)
    for (value, expected) in [("Foo, Trickle-ICE;v=1", ["foo", "trickle-ice"]), ("foo", ["foo"])]
      as [(String, Set<String>)]
    {
      var headers = SIPHeaders()
      headers.append("Recv-Info", value)
      peer.note(headers)
      peer.note(SIPHeaders())
      #expect(peer.receivedInfo == expected)
    }
  }

  @Test("MESSAGE in a call, and outside of one, is answered and handed on")
  func message() throws {
    let (pair, caller, callee) = try Pair.standing()
    let text = SIPBody(contentType: "text/plain", bytes: Array("hello".utf8))
    pair.act { _ = pair.a.message(caller, body: text, now: $0) }
    pair.run(100)
    pair.inject(
      Requests.text(.message, callID: "m", headers: ["Content-Type: text/plain"], body: "out"), to: .b,
      from: Pair.addressA)
    let heard = pair.events.compactMap { entry in
      if entry.side == .b, case .instantMessage(let id, let message) = entry.event { (id, message) } else { nil }
    }
    #expect(heard.map(\.0) == [callee, nil])
    #expect(heard.first?.1.body == text && heard.last?.1.body?.bytes == Array("out".utf8))
  }

  @Test("in a call that is over nothing is sent, and the user is told")
  func over() throws {
    let (pair, caller, _) = try Pair.standing()
    pair.act {
      pair.a.hangUp(caller, now: $0)
      _ = pair.a.info(caller, body: nil, now: $0)
    }
    guard case .requestFailed(_, .rejected(status: 481, _))? = pair.events.last?.event else {
      Issue.record("not refused")
      return
    }
    #expect(pair.count("INFO", from: .a) == 0)
  }
}
