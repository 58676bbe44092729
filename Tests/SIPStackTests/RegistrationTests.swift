internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Registration (RFC 3261 §10.2, RFC 5626)")
struct RegistrationTests {
  /// A registers; B is a registrar that does what the test says.
  final class Lab {
    let pair: Pair
    var id: RegistrationID?
    /// The status and header fields that B answers with; nil leaves a REGISTER without an answer.
    var answer: (IncomingRequest) -> (Int, [(String, String)])? = { request in
      (200, [("Contact", request.headers["Contact"] ?? "")])
    }

    init(_ settings: RegistrationSettings? = Lab.settings(), seed: UInt64 = 1) {
      self.pair = Pair(
        seed: seed, configuration: SIPConfiguration(allow: [.invite, .ack, .cancel, .bye, .options, .register]))
      self.pair.onEvent = { [unowned self] side, event in
        guard side == .b, case .incomingRequest(let id, let request) = event else { return }
        guard let (status, headers) = self.answer(request) else { return }
        self.pair.b.respond(id, status: status, headers: headers, now: self.pair.now)
      }
      guard let settings else { return }
      self.pair.act { self.id = self.pair.a.register(settings, now: $0) }
    }

    static func settings(
      servers: [String] = [], transport: SIPTransportKind = .udp, outbound: Bool = false, interval: Int = 3_600
    ) -> RegistrationSettings {
      let suffix = transport.uriParameter.map { ";transport=\($0)" } ?? ""
      return RegistrationSettings(
        addressOfRecord: NameAddress(uri: Pair.uri("sip:alice@example.com")),
        registrar: Pair.uri("sip:192.0.2.2\(suffix)"),
        servers: servers.map(Pair.uri), local: Pair.addressA, interval: interval,
        instance: outbound ? "urn:uuid:00000000-0000-1000-8000-000a95a0e128" : nil, flowNumber: outbound ? 1 : nil)
    }

    /// Makes B of `pair` a registrar that asks for alice's password; what A registers with, who knows it.
    static func guarded(_ pair: Pair) -> RegistrationSettings {
      let theirs = pair.b.addAccount(SIPAccountSettings(required: credentials("alice", "secret"), realm: "lab"))
      pair.b.accountOfRequest = { _, _, _, _ in theirs }
      pair.onEvent = { [unowned pair] side, event in
        if side == .b, case .incomingRequest(let id, _) = event { pair.b.respond(id, status: 200, now: pair.now) }
      }
      var settings = Self.settings()
      settings.account = pair.a.addAccount(SIPAccountSettings(credentials: credentials("alice", "secret")))
      return settings
    }

    /// What A's user was told, in short.
    var story: [String] {
      self.pair.events.compactMap { entry in
        guard case .registration(_, let event) = entry.event else { return nil }
        switch event {
        case .registering: return "registering"
        case .registered(let result): return "registered \(result.expires)"
        case .failed(let status, let reason, let retry):
          return "failed \(status.map(String.init) ?? "-") \(reason)\(retry == nil ? ", for good" : "")"
        case .unregistered: return "unregistered"
        }
      }
    }

    var results: [RegistrationResult] {
      self.pair.events.compactMap { entry in
        if case .registration(_, .registered(let result)) = entry.event { result } else { nil }
      }
    }

    var requests: [Pair.Sent] { self.pair.all("REGISTER", from: .a) }

    func leave() {
      self.pair.act { if let id { self.pair.a.unregister(id, now: $0) } }
      self.pair.run(40_000)
    }

    func expectEmpty(sourceLocation: SourceLocation = #_sourceLocation) {
      self.pair.run(40_000)
      #expect(self.pair.a.census == SIPCensus(), sourceLocation: sourceLocation)
      #expect(self.pair.a.nextDeadline == nil, sourceLocation: sourceLocation)
    }
  }

  @Test("a binding is made, kept by refreshes before it ends, and taken back")
  func life() throws {
    let lab = Lab()
    lab.pair.run(1_000)
    #expect(lab.story == ["registering", "registered 3600"])
    lab.pair.run(3_600_000)
    #expect(lab.story == ["registering", "registered 3600", "registering", "registered 3600"])
    let times = lab.pair.times("REGISTER", from: .a)
    #expect(times == [0, 3_240_020], "at 90 percent of what was granted, counted from the 200")
    lab.leave()
    #expect(lab.story.last == "unregistered" && lab.requests.count == 3)
    let numbers = lab.requests.map { $0.message.headers["CSeq"] }
    #expect(numbers == ["1 REGISTER", "2 REGISTER", "3 REGISTER"])
    #expect(Set(lab.requests.map { $0.message.headers["Call-ID"] }).count == 1)
    #expect(lab.requests[0].message.headers["Contact"] == "<sip:alice@192.0.2.1:5060>;expires=3600")
    #expect(lab.requests[2].message.headers["Contact"] == "<sip:alice@192.0.2.1:5060>;expires=0")
    guard case .request(_, let uri) = lab.requests[0].message.startLine else { return }
    #expect("\(uri)" == "sip:192.0.2.2" && lab.requests[0].message.headers["Route"] == nil)
    lab.expectEmpty()
  }

  @Test(
    "what the registrar grants counts: in the contact, whatever address it sees us at, in Expires, or what was asked",
    arguments: [
      ("<sip:alice@192.0.2.1:5060>;expires=120", "", 120), ("<sip:alice@192.0.2.1:5060>", "60", 60),
      ("<sip:other@192.0.2.9>;expires=9, <sip:alice@192.0.2.1:5060>;expires=300", "", 300), ("", "", 3_600),
      ("<sip:alice@192.0.2.1:5060>;expires=junk", "77", 77), ("<sip:alice@192.0.2.1:5060>;expires=0", "", 1),
      ("<sip:alice@203.0.113.9:41000>;expires=300", "", 300),
      // Ours can't be told from the other: it is the newest, and none lasts longer.
      ("<sip:alice@203.0.113.9:40001>;expires=120, <sip:alice@198.51.100.7:5060>;expires=75", "", 120),
    ])
  func granted(contact: String, expires: String, seconds: Int) {
    let lab = Lab(nil)
    lab.answer = { _ in (200, [("Contact", contact), ("Expires", expires)].filter { !$0.1.isEmpty }) }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    lab.pair.run(400)
    #expect(lab.story == ["registering", "registered \(seconds)"])
  }

  @Test(
    "a sips address is bound by a sips contact where that leads here, over TLS, and nowhere else",
    arguments: [
      (SIPTransportKind.tls, "<sips:alice@192.0.2.1:5060>"), (.tcp, "<sip:alice@192.0.2.1:5060;transport=tcp>"),
      (.udp, "<sip:alice@192.0.2.1:5060>"),
    ])
  func secured(kind: SIPTransportKind, contact: String) {
    let lab = Lab(nil)
    lab.pair.locate = { _ in [SIPTarget(address: Pair.addressB, transport: kind)] }
    var settings = Lab.settings()
    settings.addressOfRecord.uri.scheme = .sips
    lab.pair.act { lab.id = lab.pair.a.register(settings, now: $0) }
    #expect(lab.requests.first?.message.headers["Contact"] == "\(contact);expires=3600")
  }

  @Test("the refresh comes at the percentage that the account names")
  func percentage() {
    var settings = Lab.settings()
    settings.refreshPercent = 50
    let lab = Lab(settings)
    lab.pair.run(1_900_000)
    #expect(lab.pair.times("REGISTER", from: .a) == [0, 1_800_020])
  }

  @Test("423 raises the interval at once (RFC 3261 §10.2.8), and one that always wants more is a failure")
  func tooBrief() {
    let lab = Lab(nil)
    lab.answer = { request in
      request.headers["Expires"] == "600" ? (200, [("Expires", "600")]) : (423, [("Min-Expires", "600")])
    }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(interval: 30), now: $0) }
    lab.pair.run(500)
    #expect(lab.story == ["registering", "registered 600"])
    let greedy = Lab(nil)
    greedy.answer = { request in
      (423, [("Min-Expires", "\((Int(request.headers["Expires"] ?? "") ?? 0) + 1)")])
    }
    greedy.pair.act { greedy.id = greedy.pair.a.register(Lab.settings(interval: 30), now: $0) }
    greedy.pair.run(5_000)
    #expect(greedy.story == ["registering", "failed 423 Interval Too Brief"] && greedy.requests.count == 4)
  }

  @Test("failures wait longer and longer, between half and all of RFC 5626's bound, and success ends that")
  func backOff() throws {
    let lab = Lab(nil)
    lab.answer = { _ in (500, []) }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    lab.pair.run(20_000_000)
    let times = lab.pair.times("REGISTER", from: .a)
    let waits = zip(times, times.dropFirst()).map { $1 - $0 }
    try #require(waits.count > 8)
    for (index, wait) in waits.enumerated() {
      let bound = min(1_800, 30 << min(index, 6)) * 1_000
      #expect((Int64(bound) / 2...Int64(bound) + 100).contains(wait), "wait \(index): \(wait)")
    }
    lab.answer = { _ in (200, [("Expires", "3600")]) }
    lab.pair.run(2_000_000)
    #expect(lab.story.last?.hasPrefix("registered") == true)
    lab.leave()
    lab.expectEmpty()
  }

  @Test("Retry-After is waited for")
  func retryAfter() {
    let lab = Lab(nil)
    lab.answer = { _ in (503, [("Retry-After", "100 (maintenance)")]) }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    lab.pair.run(99_000)
    #expect(lab.requests.count == 1)
    lab.pair.run(2_000)
    #expect(lab.requests.count == 2)
  }

  @Test("a registrar that is away and comes back has the binding again by itself")
  func restart() {
    let lab = Lab()
    lab.pair.run(1_000)
    lab.pair.link = { _ in [] }
    lab.pair.run(3_400_000)
    #expect(lab.story.contains("failed - no answer"))
    lab.pair.link = { _ in [10] }
    lab.pair.run(1_000_000)
    #expect(lab.story.last == "registered 3600")
  }

  @Test("the next outbound proxy is tried at once when one fails, with its own Route")
  func servers() throws {
    let lab = Lab(Lab.settings(servers: ["sip:192.0.2.3;lr", "sip:192.0.2.2:5060;lr"]))
    lab.pair.act { lab.pair.a.transportFailed(to: FlowTests.dead, error: "refused", now: $0) }
    lab.pair.run(100)
    #expect(lab.story == ["registering", "registered 3600"])
    #expect(lab.requests.map(\.to) == [FlowTests.dead, Pair.addressB])
    #expect(lab.requests.map { $0.message.headers["Route"] } == ["<sip:192.0.2.3;lr>", "<sip:192.0.2.2:5060;lr>"])
    lab.pair.run(3_300_000)
    #expect(lab.requests.last?.to == Pair.addressB, "the one that worked is refreshed")
  }

  @Test("all targets of a name are tried before the server counts as failed")
  func targets() {
    let lab = Lab(nil)
    lab.pair.locate = { _ in [SIPTarget(address: FlowTests.dead), SIPTarget(address: Pair.addressB)] }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    lab.pair.run(40_000)
    #expect(lab.story == ["registering", "registered 3600"])
    #expect(lab.results.first?.route.peer == Pair.addressB)
  }

  @Test("a registrar that is left while its name has no address any more is forgotten, and not looked for without end")
  func leftUnfound() {
    let lab = Lab()
    lab.pair.run(1_000)
    lab.pair.locate = { _ in [] }
    lab.pair.act { now in
      guard let id = lab.id else { return }
      lab.pair.a.reregister(id, local: Pair.addressA.with(port: 5070), now: now)
      lab.pair.a.unregister(id, now: now)
    }
    #expect(lab.story.last == "unregistered", "\(lab.story)")
  }

  @Test("a target that another address of ours reaches is told that one, to be called there")
  func otherLocalAddress() {
    let lab = Lab(nil)
    let other = SocketAddress(ipv4: 0xC000_0205, port: 5066)
    lab.pair.locate = { _ in [SIPTarget(address: FlowTests.dead), SIPTarget(address: Pair.addressB, local: other)] }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    lab.pair.act { lab.pair.a.transportFailed(to: FlowTests.dead, error: "refused", now: $0) }
    let contacts = lab.requests.map { $0.message.headers["Contact"] ?? "" }
    #expect(contacts.count == 2 && contacts[0].contains("@192.0.2.1:5060"), "\(contacts)")
    #expect(contacts.last?.contains("@192.0.2.5:5066") == true, "\(contacts)")
  }

  @Test("a name that can't be found is a failure with its reason, tried again later")
  func noAddress() {
    let lab = Lab(nil)
    lab.pair.locate = { _ in [] }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    #expect(lab.story == ["registering", "failed - no address"])
    lab.pair.locate = { _ in [SIPTarget(address: Pair.addressB)] }
    lab.pair.run(31_000)
    #expect(lab.story.last == "registered 3600")
  }

  @Test("Service-Route, Path, GRUU and associated identities reach the user (RFC 3608, 3327, 5627, 3455)")
  func extensions() throws {
    let lab = Lab(nil)
    lab.answer = { request in
      let contact = (request.headers["Contact"] ?? "")
      return (
        200,
        [
          ("Contact", contact + ";pub-gruu=\"sip:alice@example.com;gr=urn:x\";temp-gruu=\"sip:t7@example.com;gr\""),
          ("Service-Route", "<sip:p2.example.com;lr>, <sip:p1.example.com;lr>"),
          ("Path", "<sip:edge.example.com;lr;ob>"),
          ("P-Associated-URI", "<sip:alice@example.com>"), ("P-Associated-URI", "<tel:+15550100>"),
        ]
      )
    }
    var settings = Lab.settings(outbound: true)
    settings.contactParameters = [("q", "0.5"), ("+sip.ice", nil)]
    settings.moreContacts = [NameAddress(uri: Pair.uri("sip:mail@192.0.2.50"))]
    lab.pair.act { lab.id = lab.pair.a.register(settings, now: $0) }
    lab.pair.run(100)
    let result = try #require(lab.results.first)
    #expect(result.serviceRoute.map { "\($0.uri)" } == ["sip:p2.example.com;lr", "sip:p1.example.com;lr"])
    #expect(result.path.count == 1 && result.associatedURIs.count == 2)
    #expect(result.publicGRUU?.description == "sip:alice@example.com;gr=urn:x")
    #expect(result.temporaryGRUU?.description == "sip:t7@example.com;gr")
    #expect(!result.isOutbound, "the registrar did not agree to it")
    let request = lab.requests[0].message
    #expect(
      request.headers.all("Contact") == [
        "<sip:alice@192.0.2.1:5060;ob>;q=0.5;+sip.ice;"
          + "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\";reg-id=1;expires=3600",
        "<sip:mail@192.0.2.50>;expires=3600",
      ])
    #expect(request.headers.list("Supported").contains("outbound"))
  }

  /// A registrar that agrees to outbound over TCP.
  static func outbound(flowTimer: String? = "60") -> Lab {
    let lab = Lab(nil)
    lab.answer = { request in
      (
        200,
        [("Contact", request.headers["Contact"] ?? ""), ("Require", "outbound")]
          + (flowTimer.map { [("Flow-Timer", $0)] } ?? [])
      )
    }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(transport: .tcp, outbound: true), now: $0) }
    lab.pair.run(100)
    return lab
  }

  @Test("a registrar without outbound is not pinged, unless the account wants it")
  func noKeepAlive() {
    let plain = Lab()
    plain.pair.run(600_000)
    #expect(plain.pair.count("PING", from: .a) == 0)
    var settings = Lab.settings()
    settings.keepAlive = .seconds(20)
    let wanted = Lab(settings)
    wanted.pair.run(100_000)
    #expect((5...6).contains(wanted.pair.count("PING", from: .a)))
    #expect(wanted.pair.count("PONG", from: .b) == 0 && wanted.pair.a.counters.missedPongs == 0, "UDP has no pong")
  }

  @Test("a new address registers at once with the new contact")
  func networkChange() throws {
    let lab = Lab()
    lab.pair.run(1_000)
    let other = SocketAddress(ipv4: 0xC000_0201, port: 5090)
    let id = try #require(lab.id)
    lab.pair.act { lab.pair.a.reregister(id, local: other, now: $0) }
    #expect(lab.requests.last?.message.headers["Contact"] == "<sip:alice@192.0.2.1:5090>;expires=3600")
    #expect(lab.requests.last?.path.local == other)
  }

  @Test("an old contact is taken back by each REGISTER until one succeeds")
  func formerContactAfterFailure() throws {
    let lab = Lab()
    lab.pair.run(1_000)
    let id = try #require(lab.id)
    lab.answer = { _ in (503, []) }
    lab.pair.connectedPort = 5090
    lab.pair.act { lab.pair.a.reregister(id, local: Pair.addressA.with(port: 5090), now: $0) }
    lab.pair.run(1_000)
    lab.answer = { request in (200, [("Contact", request.headers["Contact"] ?? "")]) }
    lab.pair.run(40_000)
    #expect(lab.story.last == "registered 3600")
    let both = ["<sip:alice@192.0.2.1:5090>;expires=3600", "<sip:alice@192.0.2.1:5060>;expires=0"]
    #expect(lab.requests.dropFirst().map { $0.message.headers.list("Contact") } == [both, both])
    lab.pair.run(3_600_000)
    #expect(lab.requests.last?.message.headers.list("Contact") == [both[0]])
  }

  @Test("the end of a REGISTER that another has overtaken says nothing of the binding")
  func overtaken() throws {
    let lab = Lab(nil)
    lab.pair.link = { sent in sent.message.headers["CSeq"] == "1 REGISTER" ? [] : [10] }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(), now: $0) }
    lab.pair.run(1_000)
    let id = try #require(lab.id)
    lab.pair.act { lab.pair.a.reregister(id, now: $0) }
    lab.pair.run(40_000)
    #expect(lab.story == ["registering", "registering", "registered 3600"])
    lab.leave()
    #expect(lab.story.last == "unregistered")
    lab.expectEmpty()
  }

  @Test("a wrong password stops, until the user asks again")
  func wrongPassword() throws {
    let configuration = SIPConfiguration(allow: [.register], digest: toyDigest)
    let pair = Pair(configuration: configuration)
    let theirs = pair.b.addAccount(SIPAccountSettings(required: credentials("alice", "secret"), realm: "lab"))
    pair.b.accountOfRequest = { _, _, _, _ in theirs }
    let ours = pair.a.addAccount(SIPAccountSettings(credentials: credentials("alice", "guess")))
    var settings = Lab.settings()
    settings.account = ours
    pair.act { _ = pair.a.register(settings, now: $0) }
    pair.run(4_000_000)
    #expect(pair.count("REGISTER", from: .a) == 2)
    guard case .registration(let id, .failed(401, let reason, nil))? = pair.events.last?.event else {
      Issue.record("\(String(describing: pair.events.last))")
      return
    }
    #expect(reason == "Wrong user or password for realm \"lab\"")
    pair.act { pair.a.unregister(id, now: $0) }
    pair.run(40_000)
    pair.expectEmpty()
  }

  @Test("a challenge takes its number, and the refresh goes on from there with the credentials at once")
  func digest() {
    let pair = Pair(
      configuration: SIPConfiguration(allow: [.register], digest: toyDigest, nonceLifetime: .seconds(9_999)))
    let settings = Lab.guarded(pair)
    pair.act { _ = pair.a.register(settings, now: $0) }
    pair.run(3_300_000)
    let requests = pair.all("REGISTER", from: .a)
    #expect(requests.map { $0.message.headers["CSeq"] } == ["1 REGISTER", "2 REGISTER", "3 REGISTER"])
    #expect(requests.map { $0.message.headers["Authorization"] != nil } == [false, true, true])
  }

  @Test("registering again while a challenge is on its way gives each REGISTER a number of its own")
  func twoAtOnce() {
    let pair = Pair(configuration: SIPConfiguration(allow: [.register], digest: toyDigest))
    let settings = Lab.guarded(pair)
    let id = pair.a.register(settings, now: pair.now)
    pair.act { _ in }
    pair.act { pair.a.reregister(id, now: $0) }
    pair.run(10_000)
    let numbers = pair.all("REGISTER", from: .a).compactMap { $0.message.headers["CSeq"] }
    #expect(numbers.count == Set(numbers).count && pair.count("482 REGISTER", from: .b) == 0, "\(numbers)")
  }

  @Test(
    "unregistering while REGISTER is on its way takes the binding back after it, or ends with its failure",
    arguments: [true, false])
  func leaveEarly(isServed: Bool) {
    let lab = Lab(nil)
    if !isServed { lab.answer = { _ in (403, []) } }
    lab.pair.act {
      let id = lab.pair.a.register(Lab.settings(), now: $0)
      lab.pair.a.unregister(id, now: $0)
    }
    lab.pair.run(1_000)
    #expect(lab.story == ["registering", "unregistered"])
    #expect(lab.requests.map { $0.message.headers["Expires"] } == (isServed ? ["3600", "0"] : ["3600"]))
    lab.expectEmpty()
  }

  @Test("whatever is lost, delayed or refused, a registration that is taken back leaves nothing", arguments: 0..<60)
  func random(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let lab = Lab(nil, seed: seed)
    lab.pair.link = { _ in
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<3: []
      case 3: [10, 400]
      default: [Int64.random(in: 1...900, using: &generator)]
      }
    }
    lab.answer = { request in
      switch Int.random(in: 0..<8, using: &generator) {
      case 0: (503, [])
      case 1: (423, [("Min-Expires", "100")])
      case 2: (404, [])
      default: (200, [("Contact", request.headers["Contact"] ?? "")])
      }
    }
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(interval: 60), now: $0) }
    lab.pair.run(Int64.random(in: 0...400_000, using: &generator))
    lab.pair.act { if let id = lab.id { lab.pair.a.unregister(id, now: $0) } }
    lab.pair.run(200_000)
    #expect(lab.story.count { $0 == "unregistered" } == 1 && lab.story.last == "unregistered")
    lab.expectEmpty()
  }
}
