internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Flows and targets (RFC 3261 §18, RFC 3263 §4.3)")
struct FlowTests {
  static let dead = SocketAddress(ipv4: 0xC000_0203, port: 5060)

  static func call(_ pair: Pair, _ targets: [SIPTarget], body: SIPBody? = Pair.offer) -> SessionID {
    var id: SessionID?
    pair.act {
      id = pair.a.invite(
        OutgoingInvite(
          from: NameAddress(uri: Pair.uri("sip:alice@192.0.2.1")), to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          contact: Pair.uri("sip:alice@192.0.2.1:5060"), targets: targets, local: Pair.addressA, body: body), now: $0)
    }
    guard let id else { preconditionFailure("no session") }
    return id
  }

  @Test(
    "a target that is not there, does not answer, or says 503 is followed by the next, with a branch of its own",
    arguments: ["unreachable", "silent", "503"])
  func failover(how: String) throws {
    let pair = Pair()
    pair.answerByItself()
    let id = Self.call(pair, [SIPTarget(address: Self.dead), SIPTarget(address: Pair.addressB)])
    switch how {
    case "unreachable": pair.act { pair.a.transportFailed(to: Self.dead, error: "nobody", now: $0) }
    case "silent": pair.run(33_000)
    default: try DigestFlowTests.answer(pair, 503)
    }
    pair.run(3_000)
    #expect(pair.established(.a).count == 1 && pair.established(.b).count == 1)
    let invites = pair.all("INVITE", from: .a)
    #expect(invites.first?.to == Self.dead && invites.last?.to == Pair.addressB)
    #expect(invites.first?.message.headers["Via"] != invites.last?.message.headers["Via"])
    #expect(invites.first?.message.headers["Call-ID"] == invites.last?.message.headers["Call-ID"])
    #expect(pair.a.counters.failovers == 1)
    pair.act { pair.a.hangUp(id, now: $0) }
    #expect(pair.sent.last?.to == Pair.addressB)
    pair.runToEnd()
    #expect(pair.ends(.a) == [.localHangup] && pair.ends(.b) == [.remoteHangup])
    pair.expectEmpty()
  }

  @Test("when no target is left the last failure is told")
  func exhausted() throws {
    let pair = Pair()
    _ = Self.call(pair, [SIPTarget(address: Self.dead), SIPTarget(address: Self.dead.with(port: 5070))])
    pair.act { pair.a.transportFailed(to: Self.dead, error: "first", now: $0) }
    pair.act { pair.a.transportFailed(to: Self.dead.with(port: 5070), error: "second", now: $0) }
    #expect(pair.ends(.a) == [.unreachable("second")])
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a call that was hung up is not given to the next target")
  func hungUp() {
    let pair = Pair()
    let id = Self.call(pair, [SIPTarget(address: Self.dead), SIPTarget(address: Pair.addressB)])
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.run(33_000)
    #expect(pair.ends(.a) == [.cancelled] && pair.incoming == nil)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("each target names its transport, server name and local address")
  func paths() {
    let pair = Pair()
    let other = SocketAddress(ipv4: 0x0A00_0001, port: 5061)
    _ = Self.call(
      pair,
      [
        SIPTarget(
          address: Self.dead, transport: .tls, serverName: "sip.example.com", local: other,
          flow: SIPFlow(number: 7))
      ])
    let sent = pair.sent.last
    #expect(
      sent?.path
        == SIPPath(
          peer: Self.dead, local: other, transport: .tls, flow: SIPFlow(number: 7), serverName: "sip.example.com"))
    #expect(sent?.message.headers["Via"]?.hasPrefix("SIP/2.0/TLS 10.0.0.1:5061;") == true)
  }

  @Test("over TCP a call uses one flow both ways, and nothing is retransmitted")
  func streamCall() {
    let pair = Pair()
    pair.answerByItself()
    let id = Self.call(pair, [SIPTarget(address: Pair.addressB, transport: .tcp)])
    pair.run(3_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    #expect(pair.ends(.b) == [.remoteHangup])
    #expect(pair.sent.first?.path.flow == nil, "the first request asks for a connection")
    #expect(pair.sent.dropFirst().allSatisfy { $0.path.flow == pair.flow })
    #expect(pair.a.counters.retransmissionsSent + pair.b.counters.retransmissionsSent == 0)
    pair.expectEmpty()
  }

  @Test("a response whose connection is gone goes to the address of the Via (RFC 3261 §18.2.2)")
  func responseAfterLoss() throws {
    let pair = Pair()
    let source = SocketAddress(ipv4: 0xC000_0201, port: 40_000)
    let via = "SIP/2.0/TCP 192.0.2.1:5070"
    let path = SIPPath(peer: source, local: Pair.addressB, transport: .tcp, flow: SIPFlow(number: 3))
    Array(Requests.text(.invite, via: via).utf8).withRawSpan { span in
      pair.b.receive(span, from: source, on: Pair.addressB, transport: .tcp, flow: path.flow, now: pair.now)
    }
    pair.act { _ in }
    #expect(pair.sent.last?.path == path, "100 goes back over the flow")
    let id = try #require(pair.incoming)
    pair.act { pair.b.flowFailed(path, error: "closed", now: $0) }
    pair.act { pair.b.reject(id, status: 486, now: $0) }
    #expect(pair.sent.last?.path.flow == nil && pair.sent.last?.to == source.with(port: 5070))
  }

  @Test("so does a 200 that is repeated")
  func answerAfterLoss() throws {
    let pair = Pair()
    let source = SocketAddress(ipv4: 0xC000_0201, port: 40_000)
    let path = SIPPath(peer: source, local: Pair.addressB, transport: .tcp, flow: SIPFlow(number: 3))
    Array(Requests.text(.invite, via: "SIP/2.0/TCP 192.0.2.1:5070").utf8).withRawSpan { span in
      pair.b.receive(span, from: source, on: Pair.addressB, transport: .tcp, flow: path.flow, now: pair.now)
    }
    pair.act { _ in }
    let id = try #require(pair.incoming)
    pair.act { pair.b.accept(id, body: Pair.answer, now: $0) }
    pair.act { pair.b.flowFailed(path, error: "closed", now: $0) }
    pair.run(700)
    let answers = pair.all("200 INVITE", from: .b)
    #expect(answers.count >= 2 && answers.first?.path == path)
    #expect(answers.last?.path.flow == nil && answers.last?.to == source.with(port: 5070))
  }

  @Test("a request of a dialog whose connection turns out to be dead goes over a new one, once")
  func reconnects() {
    let pair = Pair()
    pair.answerByItself()
    let id = Self.call(pair, [SIPTarget(address: Pair.addressB, transport: .tcp)])
    pair.run(3_000)
    // A NAT has forgotten the connection: what goes into it is lost.
    let dead = pair.flow
    pair.link = { $0.path.flow == dead && $0.from == .a ? [] : [10] }
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.flow = SIPFlow(number: 2)
    let path = SIPPath(peer: Pair.addressB, local: Pair.addressA, transport: .tcp, flow: dead)
    pair.act { pair.a.flowFailed(path, error: "reset", now: $0) }
    pair.runToEnd()
    #expect(pair.all("BYE", from: .a).map(\.path.flow) == [dead, nil])
    #expect(pair.ends(.a) == [.localHangup] && pair.ends(.b) == [.remoteHangup])
    pair.expectEmpty()
  }

  @Test("and ends where that cannot be made either")
  func reconnectsOnce() {
    let pair = Pair()
    pair.answerByItself()
    let id = Self.call(pair, [SIPTarget(address: Pair.addressB, transport: .tcp)])
    pair.run(3_000)
    pair.link = { $0.from == .a ? [] : [10] }
    pair.act { pair.a.reinvite(id, body: Pair.offer, now: $0) }
    let path = SIPPath(peer: Pair.addressB, local: Pair.addressA, transport: .tcp, flow: pair.flow)
    pair.act { pair.a.flowFailed(path, error: "reset", now: $0) }
    #expect(pair.ends(.a).isEmpty && pair.count("INVITE", from: .a) == 3)
    pair.act { pair.a.transportFailed(to: Pair.addressB, transport: .tcp, error: "refused", now: $0) }
    #expect(pair.ends(.a) == [.unreachable("refused")] && pair.count("INVITE", from: .a) == 3)
  }

  /// A call to B that A ended; its 200 came with `route` in Record-Route.
  private static func ended(over transport: SIPTransportKind, recording route: String) -> Pair {
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingCall(let id, _) = event else { return }
      pair.b.accept(id, body: Pair.answer, now: pair.now)
    }
    let id = Self.call(pair, [SIPTarget(address: Pair.addressB, transport: transport)])
    pair.link = { [unowned pair] sent in
      guard sent.from == .b, sent.name == "200 INVITE" else { return [10] }
      let text = String(decoding: sent.bytes, as: UTF8.self)
      pair.inject(
        text.replacing("\r\nTo:", with: "\r\nRecord-Route: \(route)\r\nTo:"), to: .a, from: Pair.addressB)
      return []
    }
    pair.run(1_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    return pair
  }

  @Test("over a WebSocket all requests of a dialog go, whatever address the server names of itself")
  func webSocket() {
    let pair = Self.ended(over: .wss, recording: "<sip:127.0.0.1:8080;transport=ws;lr>")
    for name in ["ACK", "BYE"] {
      let sent = pair.all(name, from: .a).first
      #expect(sent?.to == Pair.addressB && sent?.path.transport == .wss, "\(name)")
      #expect(sent?.message.headers["Route"] == "<sip:127.0.0.1:8080;transport=ws;lr>", "\(name)")
    }
  }

  @Test(
    "a hop without a port has its transport's",
    arguments: [("tcp", 5060), ("tls", 5061), ("udp", 5060)] as [(String, UInt16)])
  func defaultPort(transport: String, port: UInt16) {
    let pair = Self.ended(over: .udp, recording: "<sip:192.0.2.9;transport=\(transport);lr>")
    #expect(pair.all("BYE", from: .a).first?.to == SocketAddress(ipv4: 0xC000_0209, port: port))
  }

  @Test("a flow that breaks gives its pending requests to the next target")
  func flowBreaks() {
    let pair = Pair()
    pair.answerByItself()
    let broken = SIPPath(peer: Self.dead, local: Pair.addressA, transport: .tcp, flow: SIPFlow(number: 9))
    _ = Self.call(
      pair,
      [SIPTarget(address: Self.dead, transport: .tcp), SIPTarget(address: Pair.addressB, transport: .tcp)])
    pair.act { pair.a.flowFailed(broken, error: "reset", now: $0) }
    pair.run(3_000)
    #expect(pair.established(.a).count == 1)
  }

  @Test("an INVITE that goes elsewhere names the address and the transport that lead back from there")
  func contactElsewhere() {
    let pair = Pair()
    let other = SocketAddress(ipv4: 0xC000_0205, port: 5066)
    _ = Self.call(
      pair,
      [SIPTarget(address: Self.dead), SIPTarget(address: Pair.addressB, transport: .tcp, local: other)])
    pair.act { pair.a.transportFailed(to: Self.dead, error: "refused", now: $0) }
    let contacts = pair.all("INVITE", from: .a).map { $0.message.headers["Contact"] }
    #expect(contacts == ["<sip:alice@192.0.2.1:5060>", "<sip:alice@192.0.2.5:5066;transport=tcp>"])
  }

  @Test("a callee that rings when the connection breaks is told that the call is over, and called by no other way")
  func breaksWhileRinging() throws {
    let pair = Pair()
    pair.link = { _ in [] }
    let target = SIPTarget(address: Pair.addressB, transport: .tcp)
    _ = Self.call(pair, [target, SIPTarget(address: Self.dead, transport: .tcp)])
    try ForkTests.answer(pair, 180, tag: "b")
    let path = SIPPath(peer: Pair.addressB, local: Pair.addressA, transport: .tcp, flow: pair.flow)
    pair.act { pair.a.flowFailed(path, error: "reset", now: $0) }
    #expect(pair.ends(.a) == [.unreachable("reset")])
    #expect(pair.count("INVITE", from: .a) == 1 && pair.count("CANCEL", from: .a) == 1)
    #expect(pair.all("CANCEL", from: .a).last?.path.flow == nil)
    // It was answered at that moment.
    try ForkTests.answer(pair, 200, tag: "b", body: Pair.answer)
    #expect(pair.count("ACK", from: .a) == 1 && pair.count("BYE", from: .a) == 1)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("the ACK that went over a connection that is gone goes over a new one when the 200 comes again")
  func acknowledgementAfterLoss() throws {
    let pair = Pair()
    pair.link = { _ in [] }
    _ = Self.call(pair, [SIPTarget(address: Pair.addressB, transport: .tcp, flow: SIPFlow(number: 4))])
    try ForkTests.answer(pair, 200, tag: "b", body: Pair.answer)
    #expect(pair.all("ACK", from: .a).last?.path.flow == SIPFlow(number: 4))
    let path = SIPPath(peer: Pair.addressB, local: Pair.addressA, transport: .tcp, flow: SIPFlow(number: 4))
    pair.act { pair.a.flowFailed(path, error: "reset", now: $0) }
    try ForkTests.answer(pair, 200, tag: "b", body: Pair.answer)
    let acknowledgements = pair.all("ACK", from: .a)
    #expect(acknowledgements.count == 2 && acknowledgements.last?.path.flow == nil)
  }

  @Test("a connection that brings nothing in all the time of a request is closed; one that brings anything is kept")
  func silentConnection() {
    let pair = Pair()
    pair.locate = { _ in [SIPTarget(address: Pair.addressB, transport: .tcp)] }
    pair.link = { _ in [] }
    DigestFlowTests.message(pair, nil)
    pair.run(33_000)
    #expect(DigestFlowTests.results(pair) == ["timeout"])
    #expect(pair.closed == [SIPPath(peer: Pair.addressB, local: Pair.addressA, transport: .tcp)])
    // Something else comes over it while one request waits in vain.
    pair.link = { sent in sent.name == "MESSAGE" ? [] : [10] }
    DigestFlowTests.message(pair, nil)
    pair.run(10_000)
    pair.act {
      _ = pair.a.request(
        OutgoingRequest(
          .options, to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          from: NameAddress(uri: Pair.uri("sip:alice@192.0.2.1")), local: Pair.addressA), now: $0)
    }
    pair.run(23_000)
    #expect(DigestFlowTests.results(pair) == ["timeout", "200 OK", "timeout"] && pair.closed.count == 1)
    DigestFlowTests.message(pair, nil)
    pair.run(33_000)
    #expect(pair.closed.count == 2)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a request too large for a datagram goes over TCP, and over UDP when that fails (RFC 3261 §18.1.1)")
  func largeRequests() throws {
    let large = SIPBody(bytes: Array(repeating: UInt8(ascii: "x"), count: 1_200))
    let pair = Pair(configuration: SIPConfiguration(usesTCPForLargeRequests: true))
    pair.answerByItself()
    _ = Self.call(pair, [SIPTarget(address: Pair.addressB)], body: large)
    #expect(pair.sent.first?.path.transport == .tcp)
    #expect(pair.sent.first?.message.headers["Via"]?.hasPrefix("SIP/2.0/TCP ") == true)
    #expect(pair.a.counters.enlarged == 1)
    pair.act { pair.a.transportFailed(to: Pair.addressB, transport: .tcp, error: "refused", now: $0) }
    let fallback = try #require(pair.sent.last)
    #expect(fallback.path.transport == .udp && fallback.name == "INVITE")
    _ = Self.call(pair, [SIPTarget(address: Pair.addressB)])
    #expect(pair.sent.last?.path.transport == .udp, "a small one stays")
    let without = Pair()
    _ = Self.call(without, [SIPTarget(address: Pair.addressB)], body: large)
    #expect(without.sent.first?.path.transport == .udp)
  }

  @Test("the address that a peer sees is told once, and again when it changes (RFC 3581)")
  func publicAddress() throws {
    let pair = Pair()
    pair.link = { _ in [] }
    func seen() -> [String] {
      pair.events.compactMap { entry in
        if case .publicAddress(let address, _) = entry.event { "\(address)" } else { nil }
      }
    }
    for address in ["203.0.113.9;rport=4000", "203.0.113.9;rport=4000", "203.0.113.9;rport=4001", "192.0.2.1;rport=0"] {
      DigestFlowTests.message(pair, nil)
      let request = try #require(pair.sent.last)
      var response = SIPMessage(.response(status: 200, reason: "OK"), headers: request.message.headers)
      let via = try #require(request.message.headers["Via"])
      response.headers.set("Via", via.replacing(";rport;", with: ";received=\(address);"))
      pair.inject(response.serialized(), to: .a, from: Pair.addressB)
    }
    #expect(seen() == ["203.0.113.9:4000", "203.0.113.9:4001"])
  }
}
