internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Digest between endpoints (RFC 3261 §22, RFC 7616, RFC 8760)")
struct DigestFlowTests {
  /// A asks B, whose account demands a password; the user at B answers requests with 200.
  static func pair(
    password: String = "secret", limits: SIPLimits = SIPLimits(), nonceLifetime: Duration = .seconds(300)
  ) -> (Pair, SIPAccountID) {
    let configuration = SIPConfiguration(
      allow: [.invite, .ack, .cancel, .bye, .options, .update, .message], limits: limits, digest: toyDigest,
      nonceLifetime: nonceLifetime, messagesAwaitAnswer: true)
    let pair = Pair(configuration: configuration)
    let ours = pair.a.addAccount(SIPAccountSettings(credentials: credentials("alice", password)))
    let theirs = pair.b.addAccount(SIPAccountSettings(required: credentials("alice", "secret"), realm: "lab"))
    pair.b.accountOfRequest = { _, _, _, _ in theirs }
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingRequest(let id, _) = event { pair.b.respond(id, status: 200, now: pair.now) }
    }
    return (pair, ours)
  }

  static func message(_ pair: Pair, _ account: SIPAccountID?) {
    pair.act {
      _ = pair.a.request(
        OutgoingRequest(
          .message, to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          from: NameAddress(uri: Pair.uri("sip:alice@192.0.2.1")), local: Pair.addressA,
          body: SIPBody(contentType: "text/plain", bytes: Array("hello".utf8)), account: account),
        now: $0)
    }
  }

  static func results(_ pair: Pair) -> [String] {
    pair.events.compactMap { entry in
      switch entry.event {
      case .requestResult(_, let status, let reason, _, _): "\(status) \(reason)"
      case .requestFailed(_, let reason): "\(reason)"
      default: nil
      }
    }
  }

  static func authorization(_ sent: Pair.Sent, _ name: String = "Authorization") throws -> AuthenticationParameters {
    try #require(sent.message.headers[name].flatMap { AuthenticationParameters($0) })
  }

  @Test("a challenged request goes again with credentials, the next ones carry them at once with a higher count")
  func challenge() throws {
    let (pair, account) = Self.pair()
    for _ in 0..<3 {
      Self.message(pair, account)
      pair.run(1_000)
    }
    #expect(Self.results(pair) == ["200 OK", "200 OK", "200 OK"])
    let messages = pair.all("MESSAGE", from: .a)
    #expect(messages.count == 4 && messages[0].message.headers["Authorization"] == nil)
    let used = try messages.dropFirst().map { try Self.authorization($0) }
    #expect(used.map { $0["nc"] } == ["00000001", "00000002", "00000003"])
    #expect(used.allSatisfy { $0["algorithm"] == "SHA-256" }, "the stronger of the two that B offers")
    #expect(messages[0].message.headers["CSeq"] == "1 MESSAGE" && messages[1].message.headers["CSeq"] == "2 MESSAGE")
    #expect(messages[0].message.headers["Call-ID"] == messages[1].message.headers["Call-ID"])
    #expect(messages[0].message.headers["Via"] != messages[1].message.headers["Via"])
    #expect(pair.b.counters.badDigests == 0)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a wrong password ends after one try, with one clear reason")
  func wrongPassword() {
    let (pair, account) = Self.pair(password: "guess")
    Self.message(pair, account)
    pair.runToEnd()
    #expect(Self.results(pair) == ["401 Wrong user or password for realm \"lab\""])
    #expect(pair.count("MESSAGE", from: .a) == 2 && pair.b.counters.badDigests == 1)
    #expect(pair.a.counters.refusedPasswords == 1)
    pair.expectEmpty()
  }

  @Test("without an account, or without credentials in it, the challenge is the user's")
  func noCredentials() {
    let (pair, _) = Self.pair()
    Self.message(pair, nil)
    Self.message(pair, pair.a.addAccount(SIPAccountSettings()))
    pair.runToEnd()
    let result = "401 Unauthorized: the realm \"lab\" wants a password"
    #expect(Self.results(pair) == [result, result])
    #expect(pair.count("MESSAGE", from: .a) == 2)
  }

  @Test("an expired nonce is replaced once the server says that it is stale")
  func stale() throws {
    let (pair, account) = Self.pair(nonceLifetime: .seconds(10))
    Self.message(pair, account)
    pair.run(60_000)
    Self.message(pair, account)
    pair.run(1_000)
    #expect(Self.results(pair) == ["200 OK", "200 OK"])
    let challenges = pair.all("401 MESSAGE", from: .b)
    #expect(challenges.count == 2)
    #expect(challenges[1].message.headers["WWW-Authenticate"]?.contains("stale=true") == true)
    #expect(challenges[0].message.headers["WWW-Authenticate"]?.contains("stale") == false)
    #expect(pair.b.counters.badDigests == 0)
  }

  @Test("credentials that are played again are refused")
  func replay() throws {
    let (pair, account) = Self.pair()
    Self.message(pair, account)
    pair.run(1_000)
    let accepted = try #require(pair.all("MESSAGE", from: .a).last)
    var copy = accepted.message
    copy.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKreplay")
    copy.headers.set("Call-ID", "another")
    let before = pair.count("200 MESSAGE", from: .b)
    pair.inject(copy.serialized(), to: .b, from: Pair.addressA)
    #expect(pair.count("200 MESSAGE", from: .b) == before)
    #expect(pair.sent.last?.message.headers["WWW-Authenticate"]?.contains("stale=true") == true)
  }

  @Test("credentials hold though a proxy has put another URI in the request line (RFC 3261 §22.4)")
  func forwarded() throws {
    let (pair, account) = Self.pair()
    // The one with credentials is the proxy's to bring.
    pair.link = { sent in sent.message.headers["Authorization"] == nil ? [10] : [] }
    Self.message(pair, account)
    pair.run(100)
    var copy = try #require(pair.all("MESSAGE", from: .a).last).message
    #expect(copy.headers["Authorization"]?.contains("uri=\"sip:bob@192.0.2.2\"") == true)
    copy.startLine = .request(.message, Pair.uri("sip:bob@10.0.0.9:5060"))
    pair.inject(copy.serialized(), to: .b, from: Pair.addressA)
    #expect(pair.sent.last?.name == "200 MESSAGE" && pair.b.counters.badDigests == 0)
  }

  @Test("a nonce that is not ours, another URI or another body is refused")
  func forgeries() throws {
    let (pair, account) = Self.pair()
    Self.message(pair, account)
    pair.run(1_000)
    let accepted = try #require(pair.all("MESSAGE", from: .a).last).message
    let value = try #require(accepted.headers["Authorization"])
    let nonce = try #require(AuthenticationParameters(value)?["nonce"])
    let forged = [
      value.replacing(nonce, with: String(nonce.reversed())), value.replacing("nc=00000001", with: "nc=00000009"),
      value.replacing("sip:bob@192.0.2.2", with: "sip:eve@192.0.2.2"), value.replacing("alice", with: "bob"),
    ]
    for (index, text) in forged.enumerated() {
      var copy = accepted
      copy.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKforged\(index)")
      copy.headers.set("Call-ID", "forged\(index)")
      copy.headers.set("Authorization", text)
      pair.inject(copy.serialized(), to: .b, from: Pair.addressA)
      #expect(pair.sent.last?.name == "401 MESSAGE", "\(text)")
    }
    #expect(pair.b.counters.badDigests == 3, "a foreign nonce says nothing about the password")
  }

  @Test("a host that keeps sending wrong digests is not answered any more, for a minute")
  func badDigestLimit() {
    let (pair, account) = Self.pair(password: "guess", limits: SIPLimits(badDigestsPerMinute: 3))
    for _ in 0..<6 {
      Self.message(pair, account)
      pair.run(100)
    }
    #expect(pair.b.counters.badDigests == 3 && pair.b.counters.blockedSources > 0)
    let answered = pair.count("401 MESSAGE", from: .b)
    Self.message(pair, account)
    pair.run(100)
    #expect(pair.count("401 MESSAGE", from: .b) == answered)
    pair.run(120_000)
    Self.message(pair, account)
    pair.run(100)
    #expect(pair.count("401 MESSAGE", from: .b) > answered)
  }

  // MARK: A proxy that challenges, played by the test

  /// Answers the newest request of A's as 192.0.2.2 would.
  static func answer(
    _ pair: Pair, _ status: Int, _ headers: [(String, String)] = [], to name: String? = nil
  ) throws {
    let request = try #require(pair.sent.last { $0.from == .a && $0.name != "ACK" && $0.name == name ?? $0.name })
    var response = SIPMessage(.response(status: status, reason: "Proxy"))
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
      response.headers.append(name, try #require(request.message.headers[name]))
    }
    if !(request.message.headers["To"] ?? "").contains("tag=") {
      response.headers.set("To", "<sip:bob@192.0.2.2>;tag=proxy\(status)")
    }
    for (name, value) in headers { response.headers.append(name, value) }
    pair.inject(response.serialized(), to: .a, from: Pair.addressB)
  }

  static func demand(
    _ nonce: String, _ algorithm: String = "MD5", realm: String = "p", more: String = ", qop=\"auth\""
  ) -> (String, String) {
    ("Proxy-Authenticate", "Digest realm=\"\(realm)\", nonce=\"\(nonce)\", algorithm=\(algorithm)\(more)")
  }

  /// A pair whose link loses everything, so that the test is the other side.
  static func alone() -> (Pair, SIPAccountID) {
    let pair = Pair(configuration: SIPConfiguration(digest: toyDigest))
    pair.link = { _ in [] }
    return (pair, pair.a.addAccount(SIPAccountSettings(credentials: credentials("alice", "secret"))))
  }

  static func call(_ pair: Pair, _ account: SIPAccountID) -> SessionID {
    var id: SessionID?
    pair.act {
      id = pair.a.invite(
        OutgoingInvite(
          from: NameAddress(uri: Pair.uri("sip:alice@192.0.2.1")), to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          contact: Pair.uri("sip:alice@192.0.2.1:5060"), destination: Pair.addressB, local: Pair.addressA,
          body: Pair.offer, account: account), now: $0)
    }
    guard let id else { preconditionFailure("no session") }
    return id
  }

  @Test("INVITE, ACK, re-INVITE and BYE pass a proxy that challenges each")
  func callThroughProxy() throws {
    let (pair, account) = Self.alone()
    let id = Self.call(pair, account)
    try Self.answer(pair, 407, [Self.demand("n1")])
    let second = try #require(pair.sent.last)
    #expect(second.name == "INVITE" && second.message.headers["CSeq"] == "2 INVITE")
    #expect(try Self.authorization(second, "Proxy-Authorization")["nonce"] == "n1")
    #expect(pair.count("ACK", from: .a) == 1, "the 407 has its ACK")
    try Self.answer(pair, 200, [("Contact", "<sip:bob@192.0.2.2:5060>")])
    let acknowledgement = try #require(pair.all("ACK", from: .a).last)
    #expect(
      acknowledgement.message.headers["Proxy-Authorization"] == second.message.headers["Proxy-Authorization"])
    #expect(pair.established(.a).count == 1)
    pair.act { pair.a.reinvite(id, body: Pair.offer, now: $0) }
    let third = try #require(pair.sent.last)
    #expect(third.message.headers["CSeq"] == "3 INVITE")
    #expect(try Self.authorization(third, "Proxy-Authorization")["nc"] == "00000002")
    try Self.answer(pair, 407, [Self.demand("n2", more: ", qop=\"auth\", stale=TRUE")])
    let fourth = try #require(pair.sent.last)
    #expect(fourth.message.headers["CSeq"] == "4 INVITE")
    #expect(try Self.authorization(fourth, "Proxy-Authorization")["nonce"] == "n2")
    try Self.answer(pair, 200, [("Contact", "<sip:bob@192.0.2.2:5060>")])
    pair.act { pair.a.hangUp(id, now: $0) }
    try Self.answer(pair, 407, [Self.demand("n3")])
    let bye = try #require(pair.sent.last)
    #expect(bye.name == "BYE" && bye.message.headers["CSeq"] == "6 BYE")
    #expect(try Self.authorization(bye, "Proxy-Authorization")["nonce"] == "n3", "a nonce may end without stale")
    try Self.answer(pair, 200)
    pair.runToEnd()
    #expect(pair.ends(.a) == [.localHangup])
    pair.expectEmpty()
  }

  @Test("a proxy that calls each nonce stale comes to an end")
  func endlessStale() throws {
    let (pair, account) = Self.alone()
    _ = Self.call(pair, account)
    var rounds = 0
    while pair.ends(.a).isEmpty, rounds < 50 {
      rounds += 1
      try Self.answer(pair, 407, [Self.demand("n\(rounds)", more: ", qop=\"auth\", stale=true")])
    }
    #expect(rounds == DigestClient.Attempts.maximumPerRealm + 1)
    #expect(pair.ends(.a) == [.rejected(status: 407, reason: "Wrong user or password for realm \"p\"")])
  }

  @Test("the next server asks for the password of the same realm with nonces of its own")
  func nextServer() throws {
    let pair = Self.alone().0
    let account = pair.a.addAccount(
      SIPAccountSettings(credentials: credentials("alice", "secret"), followsRedirects: true))
    Self.message(pair, account)
    try Self.answer(pair, 407, [Self.demand("n1")])
    try Self.answer(pair, 302, [("Contact", "<sip:bob@192.0.2.30>")])
    try Self.answer(pair, 407, [Self.demand("n2")])
    let redirected = try Self.authorization(try #require(pair.sent.last), "Proxy-Authorization")
    #expect(redirected["nonce"] == "n2" && redirected["nc"] == "00000001")
    try Self.answer(pair, 407, [Self.demand("n3")])
    #expect(Self.results(pair) == ["407 Wrong user or password for realm \"p\""])

    pair.locate = { _ in [SIPTarget(address: Pair.addressB), SIPTarget(address: FlowTests.dead)] }
    Self.message(pair, account)
    try Self.answer(pair, 407, [Self.demand("n4")])
    try Self.answer(pair, 503)
    try Self.answer(pair, 407, [Self.demand("n5")])
    #expect(try Self.authorization(try #require(pair.sent.last), "Proxy-Authorization")["nonce"] == "n5")
    try Self.answer(pair, 200)
    #expect(Self.results(pair).last == "200 Proxy")
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("another server's nonce in the same realm is no wrong password, nor is none, but one of this server's own is")
  func foreignNonce() throws {
    let (pair, account) = Self.alone()
    _ = Self.call(pair, account)
    try Self.answer(pair, 407, [Self.demand("n1")])
    Self.message(pair, account)
    try Self.answer(pair, 407, [Self.demand("m1")])
    // The INVITE goes again for a reason of its own, with the nonce that the realm gave last.
    try Self.answer(pair, 422, [("Min-SE", "500")], to: "INVITE")
    #expect(try Self.authorization(try #require(pair.sent.last), "Proxy-Authorization")["nonce"] == "m1")
    try Self.answer(pair, 407, [Self.demand("n2")], to: "INVITE")
    #expect(try Self.authorization(try #require(pair.sent.last), "Proxy-Authorization")["nonce"] == "n2")
    try Self.answer(pair, 407, [Self.demand("m2")], to: "MESSAGE")
    #expect(Self.results(pair) == ["407 Wrong user or password for realm \"p\""])
    // That the MESSAGE was refused leaves the INVITE without any.
    try Self.answer(pair, 422, [("Min-SE", "1000")], to: "INVITE")
    #expect(pair.sent.last?.message.headers["Proxy-Authorization"] == nil)
    try Self.answer(pair, 407, [Self.demand("n3")], to: "INVITE")
    #expect(try Self.authorization(try #require(pair.sent.last), "Proxy-Authorization")["nonce"] == "n3")
    try Self.answer(pair, 407, [Self.demand("n4")], to: "INVITE")
    #expect(pair.ends(.a) == [.rejected(status: 407, reason: "Wrong user or password for realm \"p\"")])
  }

  @Test("the strongest algorithm that is known is answered, each realm for itself, and never a weaker one later")
  func strongest() throws {
    let (pair, account) = Self.alone()
    _ = Self.call(pair, account)
    try Self.answer(
      pair, 407,
      [
        Self.demand("m"), Self.demand("x", "SHA-1024"), Self.demand("s", "SHA-512-256"), Self.demand("t", "SHA-256"),
        Self.demand("q", "MD5", realm: "other"), ("Proxy-Authenticate", "Basic realm=\"p\""),
      ])
    let values = try #require(pair.sent.last).message.headers.all("Proxy-Authorization")
    let answers = values.compactMap { AuthenticationParameters($0) }
    #expect(answers.map { $0["realm"] } == ["other", "p"] && answers.map { $0["nonce"] } == ["q", "s"])
    try Self.answer(pair, 486)
    _ = Self.call(pair, account)
    try Self.answer(pair, 407, [Self.demand("weak", "MD5", more: ", qop=\"auth\", stale=true")])
    #expect(
      pair.ends(.a).last == .rejected(status: 407, reason: "Realm \"p\" asks for a weaker digest than before"))
    #expect(pair.sent.allSatisfy { !($0.message.headers["Proxy-Authorization"] ?? "").contains("weak") })
  }

  @Test("an algorithm that nobody knows is told as the reason")
  func unknownAlgorithm() throws {
    let (pair, account) = Self.alone()
    _ = Self.call(pair, account)
    try Self.answer(pair, 407, [Self.demand("n", "SHA-1024")])
    #expect(pair.ends(.a) == [.rejected(status: 407, reason: "No digest that is known was asked for")])
  }

  @Test("hang-up while a challenge is answered ends the call")
  func hangUpDuringChallenge() throws {
    let (pair, account) = Self.alone()
    let id = Self.call(pair, account)
    pair.act { pair.a.hangUp(id, now: $0) }
    try Self.answer(pair, 407, [Self.demand("n")])
    #expect(pair.ends(.a) == [.cancelled] && pair.count("INVITE", from: .a) == 1)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("the server's next nonce is used, its count begun anew (RFC 7616 §3.5)")
  func nextNonce() throws {
    let (pair, account) = Self.alone()
    for expected in ["n1", "n2"] {
      Self.message(pair, account)
      if expected == "n1" {
        try Self.answer(pair, 401, [("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\"")])
      }
      let used = try Self.authorization(try #require(pair.sent.last))
      #expect(used["nonce"] == expected && used["nc"] == "00000001")
      try Self.answer(pair, 200, [("Authentication-Info", "nextnonce=\"n2\", qop=auth")])
    }
  }

  @Test(
    "challenges are read as they are written in the wild, or not at all",
    arguments: [
      ("Digest realm=\"a\",nonce=\"b\"", "a b MD5 none"),
      ("digest nonce = \"b\" , realm = \"a \\\"quoted\\\"\"", "a \"quoted\" b MD5 none"),
      ("Digest realm=\"a\", nonce=\"b\", algorithm=sha-256-SESS, qop=\"auth-int,auth\"", "a b SHA-256-sess auth"),
      ("Digest realm=\"a\", nonce=\"b\", algorithm=\"SHA-512-256\", qop=auth-int", "a b SHA-512-256 auth-int"),
      ("Digest realm=\"a\", nonce=\"b\", qop=\"other\"", nil),
      ("Digest realm=\"a\", nonce=\"b\", algorithm=AKAv1-MD5", nil),
      ("Digest realm=\"a\"", nil), ("Digest nonce=\"b\"", nil), ("Basic realm=\"a\"", nil), ("", nil),
      ("Digest realm=\"a, nonce=\"b\"", nil), ("Digest realm=\"a\" nonce=\"b\"", nil),
    ] as [(String, String?)])
  func parsing(text: String, expected: String?) {
    let challenge = DigestChallenge(text)
    #expect(
      challenge.map { "\($0.realm) \($0.nonce) \($0.algorithmName) \($0.qop?.rawValue ?? "none")" } == expected)
  }
}
