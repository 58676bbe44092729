internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Requests outside a dialog: MESSAGE, redirects, limits")
struct RequestFlowTests {
  static let methods: [SIPMethod] = [.invite, .ack, .cancel, .bye, .options, .update, .message, .register]

  @Test("MESSAGE reaches the user, and his answer the sender (RFC 3428)")
  func message() throws {
    let pair = Pair(configuration: SIPConfiguration(allow: Self.methods, messagesAwaitAnswer: true))
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingRequest(let id, let request) = event else { return }
      #expect(request.method == .message && request.body?.contentType == "text/plain")
      #expect(request.body.map { String(decoding: $0.bytes, as: UTF8.self) } == "hello")
      pair.after(700) { pair.b.respond(id, status: 202, headers: [("X-Note", "later")], now: pair.now) }
    }
    DigestFlowTests.message(pair, nil)
    pair.runToEnd()
    guard case .requestResult(_, 202, _, let headers, _)? = pair.events.last?.event else {
      Issue.record("no result")
      return
    }
    #expect(headers["X-Note"] == "later" && headers["Contact"] == nil)
    #expect(pair.events.count { if case .incomingRequest = $0.event { true } else { false } } == 1)
    pair.expectEmpty()
  }

  @Test("a request whose place can't be found fails with the reason")
  func notFound() {
    let pair = Pair()
    pair.locate = { _ in [] }
    DigestFlowTests.message(pair, nil)
    #expect(DigestFlowTests.results(pair) == ["unreachable(\"no address\")"])
    pair.expectEmpty()
  }

  // MARK: Redirects

  /// A pair whose account follows redirects, the link broken so that the test answers.
  static func redirecting(_ follows: Bool = true) -> (Pair, SIPAccountID) {
    let pair = Pair()
    pair.link = { _ in [] }
    return (pair, pair.a.addAccount(SIPAccountSettings(followsRedirects: follows)))
  }

  static func target(_ pair: Pair) -> String {
    guard case .request(_, let uri)? = pair.sent.last?.message.startLine else { return "" }
    return "\(uri) at \(pair.sent.last?.to.description ?? "")"
  }

  @Test("contacts are tried by their q, the next when one refuses, each once (RFC 3261 §8.1.3.4)")
  func redirect() throws {
    let (pair, account) = Self.redirecting()
    DigestFlowTests.message(pair, account)
    try DigestFlowTests.answer(
      pair, 302,
      [("Contact", "<sip:c@192.0.2.30>;q=0.1, <sip:d@192.0.2.31:5070>;q=0.7"), ("Contact", "<sip:bob@192.0.2.2>")])
    #expect(Self.target(pair) == "sip:d@192.0.2.31:5070 at 192.0.2.31:5070", "the first asked is not asked again")
    try DigestFlowTests.answer(pair, 480)
    #expect(Self.target(pair) == "sip:c@192.0.2.30 at 192.0.2.30:5060")
    #expect(pair.sent.last?.message.headers["CSeq"] == "3 MESSAGE")
    try DigestFlowTests.answer(pair, 200)
    #expect(DigestFlowTests.results(pair) == ["200 Proxy"])
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("who is led to a sips URI is reached by one, too (RFC 3261 §8.1.1.8)")
  func redirectedToSecured() throws {
    let (pair, account) = Self.redirecting()
    pair.locate = { _ in [SIPTarget(address: Pair.addressB, transport: .tls)] }
    _ = DigestFlowTests.call(pair, account)
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sips:carol@192.0.2.2>")])
    let contacts = pair.all("INVITE", from: .a).map { $0.message.headers["Contact"] }
    #expect(contacts == ["<sip:alice@192.0.2.1:5060>", "<sips:alice@192.0.2.1:5060>"])
  }

  @Test(
    "the next contact is tried too when one is overloaded, silent or not there", arguments: ["503", "silent", "dead"])
  func redirectPastFailure(how: String) throws {
    let (pair, account) = Self.redirecting()
    DigestFlowTests.message(pair, account)
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:c@192.0.2.30>;q=0.1, <sip:d@192.0.2.31>;q=0.7")])
    #expect(Self.target(pair) == "sip:d@192.0.2.31 at 192.0.2.31:5060")
    switch how {
    case "503": try DigestFlowTests.answer(pair, 503)
    case "silent": pair.run(33_000)
    default:
      let address = try #require(pair.sent.last).to
      pair.act { pair.a.transportFailed(to: address, error: "refused", now: $0) }
    }
    #expect(Self.target(pair) == "sip:c@192.0.2.30 at 192.0.2.30:5060")
    try DigestFlowTests.answer(pair, 200)
    #expect(DigestFlowTests.results(pair) == ["200 Proxy"])
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a circle of redirects ends, and so does a chain without end")
  func circle() throws {
    let (pair, account) = Self.redirecting()
    DigestFlowTests.message(pair, account)
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:x@192.0.2.30>")])
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:bob@192.0.2.2>")])
    #expect(DigestFlowTests.results(pair) == ["302 Redirected in a circle"])
    DigestFlowTests.message(pair, account)
    var count = 0
    while DigestFlowTests.results(pair).count == 1, count < 50 {
      count += 1
      try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:x\(count)@192.0.2.30>")])
    }
    #expect(count == SIPEndpoint.maximumRedirects)
  }

  @Test("a redirect to a toll number is not followed, and counted")
  func toll() throws {
    let (pair, account) = Self.redirecting()
    DigestFlowTests.message(pair, account)
    let contacts = [
      ("Contact", "<sip:%2B49123@192.0.2.30>"), ("Contact", "<sip:x@192.0.2.30>"), ("Contact", "<sip:00-1@192.0.2.30>"),
    ]
    try DigestFlowTests.answer(pair, 302, contacts)
    #expect(Self.target(pair) == "sip:x@192.0.2.30 at 192.0.2.30:5060")
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:+1900@192.0.2.30>")])
    #expect(DigestFlowTests.results(pair) == ["302 Redirected to a toll number"])
    #expect(pair.a.counters.tollRedirects == 3 && pair.count("MESSAGE", from: .a) == 2)
  }

  @Test("an account that does not follow redirects, and a request without an account, hand them to the user")
  func notFollowed() throws {
    let (pair, account) = Self.redirecting(false)
    for account in [account, nil] {
      DigestFlowTests.message(pair, account)
      try DigestFlowTests.answer(pair, 301, [("Contact", "<sip:x@192.0.2.30>")])
    }
    #expect(DigestFlowTests.results(pair) == ["301 Proxy", "301 Proxy"] && pair.count("MESSAGE", from: .a) == 2)
  }

  @Test("an INVITE follows a redirect in the same session, and hangs up where it went")
  func redirectedCall() throws {
    let (pair, account) = Self.redirecting()
    let id = DigestFlowTests.call(pair, account)
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:carol@192.0.2.30?Replaces=x>")])
    #expect(Self.target(pair) == "sip:carol@192.0.2.30 at 192.0.2.30:5060")
    #expect(pair.ends(.a).isEmpty && pair.count("ACK", from: .a) == 1)
    try DigestFlowTests.answer(pair, 180)
    pair.act { pair.a.hangUp(id, now: $0) }
    #expect(pair.sent.last?.name == "CANCEL" && pair.sent.last?.to.host == "192.0.2.30")
    pair.runToEnd()
    #expect(pair.ends(.a) == [.cancelled])
    pair.expectEmpty()
  }

  @Test("a redirect to a name that is not there goes to the next contact, and a hang-up meanwhile ends the call")
  func unlocatable() throws {
    let (pair, account) = Self.redirecting()
    _ = DigestFlowTests.call(pair, account)
    try DigestFlowTests.answer(
      pair, 302, [("Contact", "<sip:a@nowhere.example>;q=1, <sip:b@192.0.2.30>;q=0.5")])
    #expect(Self.target(pair) == "sip:b@192.0.2.30 at 192.0.2.30:5060")
    let again = DigestFlowTests.call(pair, account)
    pair.locate = { [unowned pair] _ in
      pair.a.hangUp(again, now: pair.now)
      return [SIPTarget(address: FlowTests.dead)]
    }
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:b@192.0.2.30>")])
    #expect(pair.ends(.a) == [.cancelled])
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a sips request is not redirected to sip")
  func secureRedirect() throws {
    let (pair, account) = Self.redirecting()
    pair.act {
      _ = pair.a.request(
        OutgoingRequest(
          .options, to: NameAddress(uri: Pair.uri("sips:bob@192.0.2.2")),
          from: NameAddress(uri: Pair.uri("sips:alice@192.0.2.1")),
          targets: [SIPTarget(address: Pair.addressB, transport: .tls)], local: Pair.addressA, account: account),
        now: $0)
    }
    try DigestFlowTests.answer(pair, 302, [("Contact", "<sip:bob@192.0.2.30>")])
    #expect(pair.sent.count == 1)
  }

  // MARK: Limits

  /// What B does with `count` copies of a request that differ in nothing that matters.
  static func flood(
    _ method: SIPMethod, _ count: Int, _ limits: SIPLimits, headers: [String] = [], hosts: Int = 1, tag: String? = nil
  ) -> Pair {
    let pair = Pair(configuration: SIPConfiguration(allow: Self.methods, limits: limits))
    for index in 0..<count {
      let source = SocketAddress(ipv4: 0xC633_6400 + UInt32(index % hosts), port: 5060)
      let to = "<sip:bob@192.0.2.2>" + (tag.map { ";tag=\($0)\(index)" } ?? "")
      pair.inject(
        Requests.text(
          method, to: to, callID: "c\(index)", branch: "z9hG4bKf\(index)", via: "SIP/2.0/UDP \(source)",
          headers: headers),
        to: .b, from: source)
    }
    return pair
  }

  @Test("more INVITEs from one host than a second allows get 503 with Retry-After, and no session")
  func inviteRate() throws {
    let limits = SIPLimits(invitesPerSecond: 10, retryAfter: 7)
    let pair = Self.flood(.invite, 25, limits)
    #expect(pair.count("503 INVITE", from: .b) == 15 && pair.b.counters.rateLimited == 15)
    #expect(pair.b.census.sessions == 10 && pair.b.census.serverTransactions == 10)
    let refusal = try #require(pair.all("503 INVITE", from: .b).first?.message)
    #expect(refusal.headers["Retry-After"] == "7" && refusal.headers["To"]?.contains("tag=") == true)
    #expect(Self.flood(.invite, 25, limits, hosts: 5).b.counters.rateLimited == 0, "each host has its own count")
    #expect(Self.flood(.register, 25, limits).b.counters.rateLimited == 0)
    #expect(Self.flood(.register, 25, SIPLimits(requestsPerSecond: 10)).b.counters.rateLimited == 15)
  }

  @Test("invented credentials, tags and CANCELs do not take a host past its limit; a right digest does")
  func invented() {
    let options = Self.flood(.options, 3_000, SIPLimits(), headers: ["Authorization: x"])
    #expect(options.b.counters.rateLimited == 2_000 && options.b.census.serverTransactions == 1_000)
    let byes = Self.flood(.bye, 3_000, SIPLimits(), tag: "t")
    #expect(byes.b.counters.rateLimited == 2_000 && byes.b.census.serverTransactions == 1_000)
    #expect(Self.flood(.invite, 25, SIPLimits(requestsPerSecond: 10), tag: "t").b.counters.rateLimited == 15)
    #expect(Self.flood(.cancel, 25, SIPLimits(requestsPerSecond: 10)).b.counters.rateLimited == 15)

    let (pair, account) = DigestFlowTests.pair(limits: SIPLimits(requestsPerSecond: 2))
    for _ in 0..<10 {
      DigestFlowTests.message(pair, account)
      pair.run(50)
    }
    #expect(DigestFlowTests.results(pair) == Array(repeating: "200 OK", count: 10))
    #expect(pair.b.counters.rateLimited == 0)
    for index in 0..<5 {
      let headers = ["Authorization: Digest username=\"alice\", realm=\"lab\", nonce=\"n\(index)\""]
      pair.inject(
        Requests.text(.message, callID: "f\(index)", branch: "z9hG4bKf\(index)", headers: headers), to: .b,
        from: FlowTests.dead)
    }
    #expect(pair.b.counters.rateLimited == 3)
  }

  @Test("the next second is a new one")
  func nextSecond() {
    var limiter = SourceLimiter(limit: 2, window: .seconds(1))
    let start = Instant(nanoseconds: 0)
    let verdicts = [0, 100, 200, 999, 1_000, 1_100, 1_200].map { milliseconds in
      limiter.allows(Pair.addressA, start.advanced(byMilliseconds: milliseconds))
    }
    #expect(verdicts == [true, true, false, false, true, true, false])
  }

  @Test("a flood from countless addresses takes bounded memory, and IPv6 hosts count by their network")
  func manySources() {
    var limiter = SourceLimiter(limit: 100, window: .seconds(1))
    let now = Instant(nanoseconds: 0)
    for host in 0..<20_000 as Range<UInt32> {
      _ = limiter.allows(SocketAddress(ipv4: host, port: 1), now)
    }
    #expect(limiter.count == SourceLimiter.maximumSources)
    let newcomer = limiter.allows(SocketAddress(ipv4: 0xFFFF_0000, port: 1), now)
    #expect(!newcomer, "newcomers share one count")
    let known = limiter.allows(SocketAddress(ipv4: 7, port: 1), now)
    #expect(known, "those that are known keep theirs")
    let later = limiter.allows(SocketAddress(ipv4: 0xFFFF_0000, port: 1), now.advanced(byMilliseconds: 2_000))
    #expect(later)
    var six = SourceLimiter(limit: 2, window: .seconds(1))
    let verdicts = (0..<4 as Range<UInt64>).map { six.allows(SocketAddress(ipv6: 0x2001_0DB8, $0, port: 1), now) }
    #expect(verdicts == [true, true, false, false])
  }

  @Test("when too many calls live, more INVITEs get 503; what belongs to a call is still served")
  func sessionLimit() throws {
    let pair = Self.flood(.invite, 5, SIPLimits(sessions: 2))
    #expect(pair.b.census.sessions == 2 && pair.b.counters.refusedSessions == 3)
    let source = SocketAddress(ipv4: 0xC633_6400, port: 5060)
    pair.inject(
      Requests.text(.cancel, callID: "c0", branch: "z9hG4bKf0", via: "SIP/2.0/UDP \(source)"), to: .b, from: source)
    #expect(pair.count("200 CANCEL", from: .b) == 1 && pair.b.census.sessions == 1)
  }

  @Test(
    "what is too long is refused, and counted",
    arguments: [
      (SIPLimits(messageLength: 2_000), 3_000, 0, "400"), (SIPLimits(bodyLength: 2_000), 3_000, 0, "413"),
      (SIPLimits(headerLength: 1_000), 0, 40, "400"), (SIPLimits(headerCount: 20), 0, 40, "400"),
      (SIPLimits(messageLength: 4_000, headerLength: 1_000, headerCount: 20, bodyLength: 3_000), 3_000, 0, "200"),
    ])
  func sizes(limits: SIPLimits, body: Int, headers: Int, expected: String) {
    let pair = Pair(configuration: SIPConfiguration(limits: limits))
    pair.inject(
      Requests.text(
        .options, headers: Array(repeating: "X-Filler: abcdefghijklmnopqrst", count: headers),
        body: String(repeating: "x", count: body)), to: .b, from: Pair.addressA)
    #expect(pair.sent.map(\.name) == ["\(expected) OPTIONS"])
    let counters = pair.b.counters
    #expect(counters.malformed + counters.bodiesTooLong == (expected == "200" ? 0 : 1))
  }
}
