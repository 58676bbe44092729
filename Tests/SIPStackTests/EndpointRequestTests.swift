internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Requests outside a dialog")
struct EndpointRequestTests {
  /// What B answers to `text` from 192.0.2.1:5099.
  static func answers(
    _ text: String, configuration: SIPConfiguration = SIPConfiguration()
  ) -> (pair: Pair, responses: [Pair.Sent]) {
    let pair = Pair(configuration: configuration)
    pair.inject(text, to: .b, from: Pair.addressA.with(port: 5099))
    return (pair, pair.sent.filter { $0.from == .b })
  }

  @Test(
    "a request that cannot be served is refused with its status",
    arguments: [
      ("BYE without a dialog", Requests.text(.bye, to: "<sip:bob@192.0.2.2>;tag=none"), 481),
      ("BYE without a tag", Requests.text(.bye), 481),
      ("INVITE in no dialog", Requests.text(.invite, to: "<sip:bob@192.0.2.2>;tag=none"), 481),
      ("unknown method", Requests.text(SIPMethod("FROB")), 405),
      ("method not allowed", Requests.text(.register), 405),
      ("unsupported Require", Requests.text(.invite, headers: ["Require: 100rel, nonsense"]), 420),
      ("unknown scheme", Requests.text(.invite, uri: "soap.beep://192.0.2.2"), 416),
      ("hops that are no number", Requests.text(.invite, headers: ["Max-Forwards: many"]), 400),
      (
        "unknown body type",
        Requests.text(.invite, headers: ["Content-Type: application/unknown"], body: "x"), 415
      ),
      ("wrong version", Requests.text(.options).replacing("SIP/2.0\r\nVia", with: "SIP/7.0\r\nVia"), 505),
      ("two Call-IDs", Requests.text(.options, headers: ["Call-ID: other"]), 400),
      ("method mismatch", Requests.text(.options).replacing("1 OPTIONS", with: "1 INVITE"), 400),
      ("no From", Requests.text(.options).replacing("From:", with: "X-From:"), 400),
      ("request URI in brackets", Requests.text(.invite, uri: "<sip:bob@192.0.2.2>"), 400),
      ("body too short", Requests.text(.options).replacing("Content-Length: 0", with: "Content-Length: 99"), 400),
      (
        "too many header fields",
        Requests.text(.options, headers: Array(repeating: "X-A: b", count: 260)), 400
      ),
      ("OPTIONS", Requests.text(.options), 200),
      ("OPTIONS with no hops left", Requests.text(.options, headers: ["Max-Forwards: 0"]), 200),
      (
        "no hops left, which is no reason",
        Requests.text(.invite, headers: ["Max-Forwards: 0", "Content-Type: application/unknown"], body: "x"), 415
      ),
    ] as [(String, String, Int)])
  func refusals(name: String, text: String, status: Int) throws {
    let (pair, responses) = Self.answers(text)
    #expect(responses.count == 1)
    let response = try #require(responses.first)
    guard case .response(status, _) = response.message.startLine else {
      Issue.record("\(name): \(response.message.startLine)")
      return
    }
    #expect(pair.incoming == nil)
    #expect(response.to == Pair.addressA.with(port: 5099), "rport: back to where it came from")
    let essentials = response.message.headers["To"].flatMap { try? NameAddress($0) }
    #expect(essentials?.tag != nil)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("Allow, Unsupported and Accept say what would be right")
  func explanations() {
    let method = Self.answers(Requests.text(.register)).responses.first?.message
    #expect(method?.headers["Allow"] == Pair.allowed)
    let require = Self.answers(Requests.text(.invite, headers: ["Require: 100rel, x"])).responses.first?.message
    #expect(require?.headers["Unsupported"] == "100rel, x")
    let supported = SIPConfiguration(supported: ["100rel"])
    let fewer = Self.answers(Requests.text(.invite, headers: ["Require: 100rel, x"]), configuration: supported)
    #expect(fewer.responses.first?.message.headers["Unsupported"] == "x")
  }

  @Test("OPTIONS is answered by the endpoint itself, with what it can do (RFC 3261 §11.2)")
  func options() throws {
    let configuration = SIPConfiguration(supported: ["timer"], optionsBody: Pair.answer)
    let response = try #require(
      Self.answers(Requests.text(.options), configuration: configuration).responses.first?.message)
    #expect(response.headers["Allow"] != nil && response.headers["Supported"] == "timer")
    #expect(response.headers["Accept"] == "application/sdp")
    #expect(response.body == Pair.answer)
  }

  @Test("OPTIONS of ours brings a result, or a failure")
  func outgoingOptions() throws {
    let pair = Pair()
    func ask() {
      pair.act {
        _ = pair.a.options(
          to: NameAddress(uri: Pair.uri("sip:192.0.2.2")), from: NameAddress(uri: Pair.uri("sip:alice@192.0.2.1")),
          destination: Pair.addressB, local: Pair.addressA, now: $0)
      }
      pair.runToEnd()
    }
    ask()
    guard case .requestResult(_, status: 200, _, let headers, _)? = pair.events.last?.event else {
      Issue.record("no result")
      return
    }
    #expect(headers["Allow"] != nil)
    pair.link = { _ in [] }
    ask()
    guard case .requestFailed(_, .timeout)? = pair.events.last?.event else {
      Issue.record("no failure")
      return
    }
    #expect(pair.times("OPTIONS", from: .a).count == 1 + 11)
    pair.expectEmpty()
  }

  @Test("a request that comes over two paths is served once, its copy gets 482 (RFC 3261 §8.2.2.2)")
  func merged() {
    let pair = Pair()
    pair.inject(Requests.text(.invite, branch: "z9hG4bKone"), to: .b, from: Pair.addressA)
    pair.inject(Requests.text(.invite, branch: "z9hG4bKtwo"), to: .b, from: Pair.addressA)
    #expect(pair.ladder == ["b:100 INVITE", "b:482 INVITE"])
  }

  @Test("a copy of a request gets the same bytes again")
  func copies() {
    let pair = Pair()
    for _ in 0..<3 { pair.inject(Requests.text(.options), to: .b, from: Pair.addressA) }
    #expect(pair.sent.count == 3 && Set(pair.sent.map(\.bytes)).count == 1)
    #expect(pair.b.counters.retransmissionsReceived == 2 && pair.b.census.serverTransactions == 1)
  }

  @Test("a peer of RFC 2543, without magic cookie and tag, is served and its copies are known")
  func oldPeer() {
    let pair = Pair()
    let text = Requests.text(.invite, from: "<sip:eve@192.0.2.1>", branch: "1")
    pair.inject(text, to: .b, from: Pair.addressA)
    pair.inject(text, to: .b, from: Pair.addressA)
    #expect(pair.ladder == ["b:100 INVITE", "b:100 INVITE"])
    pair.inject(text.replacing("CSeq: 1", with: "CSeq: 2"), to: .b, from: Pair.addressA)
    #expect(pair.b.census.serverTransactions == 2, "another sequence number is another request")
  }

  @Test(
    "responses go where RFC 3261 §18.2.2 and RFC 3581 say",
    arguments: [
      ("SIP/2.0/UDP 192.0.2.1:5070", "192.0.2.1:5070", "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx1"),
      ("SIP/2.0/UDP 192.0.2.1", "192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx1"),
      (
        "SIP/2.0/UDP 10.0.0.9:5070", "192.0.2.1:5070",
        "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKx1;received=192.0.2.1"
      ),
      (
        "SIP/2.0/UDP 10.0.0.9:5070;rport", "192.0.2.1:5099",
        "SIP/2.0/UDP 10.0.0.9:5070;rport=5099;branch=z9hG4bKx1;received=192.0.2.1"
      ),
      (
        "SIP/2.0/UDP host.example.com", "192.0.2.1:5060",
        "SIP/2.0/UDP host.example.com;branch=z9hG4bKx1;received=192.0.2.1"
      ),
    ])
  func responseRouting(via: String, to: String, written: String) throws {
    let response = try #require(Self.answers(Requests.text(.options, via: via)).responses.first)
    #expect(response.to.description == to)
    #expect(response.message.headers["Via"] == written)
  }

  @Test("every Via is copied, in order, also when they share a line")
  func allVias() throws {
    let text = Requests.text(
      .options, headers: ["v: SIP/2.0/UDP p2.example.com;branch=z9hG4bKb, SIP/2.0/TCP p3.example.com;branch=z9hG4bKc"])
    let response = try #require(Self.answers(text).responses.first?.message)
    #expect(
      response.headers.all("Via").dropFirst() == [
        "SIP/2.0/UDP p2.example.com;branch=z9hG4bKb", "SIP/2.0/TCP p3.example.com;branch=z9hG4bKc",
      ])
  }

  @Test("what belongs to nothing is dropped and counted")
  func dropped() {
    let pair = Pair()
    pair.inject("\r\n\r\n", to: .b, from: Pair.addressA)
    pair.inject("nonsense", to: .b, from: Pair.addressA)
    pair.inject(Requests.text(.ack), to: .b, from: Pair.addressA)
    pair.inject(Requests.text(.ack).replacing("From:", with: "X:"), to: .b, from: Pair.addressA)
    let stray = Requests.text(.options).replacing("OPTIONS sip:bob@192.0.2.2 SIP/2.0", with: "SIP/2.0 200 OK")
    pair.inject(stray, to: .b, from: Pair.addressA)
    #expect(pair.sent.isEmpty)
    let counters = pair.b.counters
    #expect(counters.keepAlives == 1 && counters.malformed == 2)
    #expect(counters.unmatchedAcknowledgements == 1 && counters.unmatchedResponses == 1 && counters.dropped == 4)
    pair.expectEmpty()
  }

  @Test("a response with a second Via, or another's branch, is not ours (RFC 3261 §8.1.3.3)")
  func foreignResponse() throws {
    let pair = Pair()
    pair.link = { _ in [] }
    _ = pair.call()
    let invite = try #require(pair.sent.first?.message)
    var response = SIPMessage(.response(status: 486, reason: "No"), headers: invite.headers)
    response.headers.append("Via", "SIP/2.0/UDP other.example.com;branch=z9hG4bKb")
    pair.inject(response.serialized(), to: .a, from: Pair.addressB)
    #expect(pair.ends(.a).isEmpty && pair.a.counters.unmatchedResponses == 1)
  }

  @Test("a flood of requests is cut off at the limit, and counted")
  func flood() {
    let pair = Pair(configuration: SIPConfiguration(limits: SIPLimits(serverTransactions: 10)))
    for index in 0..<50 {
      pair.inject(
        Requests.text(.options, callID: "c\(index)", branch: "z9hG4bKf\(index)"), to: .b, from: Pair.addressA)
    }
    #expect(pair.sent.count == 10 && pair.b.counters.overloaded == 40)
  }
}
