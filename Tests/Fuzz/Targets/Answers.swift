import ICEAgent
import NetBase
import SIPStack
import UACore

/// What others answer to an endpoint that asks for something: a registrar, a notifier, whoever is called.
enum Answers {
  /// The first byte says what is asked for; then come commands, each with what its datagram is made of. Each datagram
  /// is counted once, what is sent can be read, and a call or a subscription ends once.
  static func endpoint(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let asker = Asker(reader.byte())
    var given = 0
    while !reader.isAtEnd, given < 16 {
      let command = reader.byte()
      let datagram: [UInt8]?
      switch command & 3 {
      case 0: datagram = reader.piece()
      case 1:
        datagram = asker.response(
          reader.byte(), toLastBut: Int(command >> 4), headers: reader.piece(), body: reader.piece())
      case 2: datagram = asker.request(reader.byte(), headers: reader.piece(), body: reader.piece())
      default: datagram = asker.signOfLife(isRefusal: command & 16 != 0, reader.piece())
      }
      if let datagram {
        given += 1
        asker.receive(datagram)
      }
      asker.wait(command >> 2 & 3)
    }
    asker.conclude(given)
  }
}

/// An endpoint that has asked for something, and whoever it asks.
private final class Asker {
  private static let own = SocketAddress(ipv4: 0x0A00_0001, port: 5060)
  private static let peer = SocketAddress(ipv4: 0x0A00_0002, port: 5060)
  private static let description = SIPBody(bytes: Array("v=0\r\n".utf8))
  private static let statuses = [
    100, 180, 183, 200, 202, 204, 300, 302, 305, 401, 403, 404, 407, 408, 412, 415, 420, 421, 422, 423, 429, 481, 486,
    487, 488, 489, 491, 500, 503, 504, 603, 606,
  ]
  private static let methods: [SIPMethod] = [
    .notify, .bye, .info, .update, .invite, .ack, .options, .message, .refer, .prack, .cancel, .subscribe,
  ]

  private let endpoint: SIPEndpoint
  /// Whether callers need a password, which no input has.
  private let isGuarded: Bool
  private var now = Instant(nanoseconds: 0)
  /// Our last requests, the newest at the end.
  private var asked: [SIPMessage] = []
  /// Our last question by STUN.
  private var question: STUNTransactionID?
  private var requestCount = 0
  private var endedCalls: Set<SessionID> = []
  private var endedSubscriptions: Set<SubscriptionID> = []

  init(_ choice: UInt8) {
    let isEager = choice & 4 != 0
    let policy = CallPolicy(
      reliableProvisional: isEager ? .yes : .no,
      sessionTimers: SessionTimerPolicy(use: isEager ? .requested : .accepted))
    self.endpoint = SIPEndpoint(
      configuration: SIPConfiguration(policy: policy, digest: DigestAlgorithm.openSSL),
      generator: SeededGenerator(seed: 1))
    self.isGuarded = choice & 8 != 0
    if self.isGuarded {
      let account = self.endpoint.addAccount(SIPAccountSettings(required: Self.credentials()))
      self.endpoint.accountOfRequest = { _, _, _, _ in account }
    }
    self.ask(
      choice & 3, self.endpoint.addAccount(SIPAccountSettings(credentials: Self.credentials(), followsRedirects: true)))
    self.drain()
  }

  private static func credentials() -> SIPCredentials {
    SIPCredentials(user: "alice", password: Array("a password".utf8).withRawSpan { SecretBytes($0) })
  }

  private func ask(_ choice: UInt8, _ account: SIPAccountID) {
    let (alice, bob) = (SIPURI(user: "alice", host: "10.0.0.1"), SIPURI(user: "bob", host: "10.0.0.2"))
    let (from, to, target) = (NameAddress(uri: alice), NameAddress(uri: bob), SIPTarget(address: Self.peer))
    switch choice {
    case 0:
      _ = self.endpoint.register(
        RegistrationSettings(
          addressOfRecord: from, registrar: SIPURI(user: nil, host: "10.0.0.2"), local: Self.own,
          instance: "urn:uuid:00000000-0000-1000-8000-000a95a0e128", flowNumber: 1, account: account), now: self.now)
    case 1:
      _ = self.endpoint.invite(
        OutgoingInvite(
          from: from, to: to, contact: alice, targets: [target], local: Self.own, body: Self.description,
          account: account), now: self.now)
    case 2:
      _ = self.endpoint.subscribe(
        OutgoingSubscription(
          from: from, to: to, contact: alice, targets: [target], local: Self.own, event: "message-summary",
          account: account), now: self.now)
    default:
      _ = self.endpoint.request(
        OutgoingRequest(
          .message, to: to, from: from, targets: [target], local: Self.own,
          body: SIPBody(contentType: "text/plain", bytes: Array("hello".utf8)), account: account), now: self.now)
    }
  }

  // MARK: What comes

  /// A response to one of our requests; nil where there was none.
  func response(_ status: UInt8, toLastBut count: Int, headers: [UInt8], body: [UInt8]) -> [UInt8]? {
    guard !self.asked.isEmpty else { return nil }
    let request = self.asked[self.asked.count - 1 - count % self.asked.count]
    var lines = ["SIP/2.0 \(Self.statuses[Int(status) % Self.statuses.count]) Reason"]
    for name in ["Via", "From", "Call-ID", "CSeq"] { lines += request.headers.all(name).map { "\(name): \($0)" } }
    lines.append("To: \(Self.tagged(request.headers["To"] ?? ""))")
    // A registrar tells what is bound.
    if case .request(let method, _) = request.startLine, method == .register {
      lines += request.headers.all("Contact").map { "Contact: \($0)" }
    }
    return Self.message(lines, headers, body)
  }

  /// A request in the dialog of our last one; nil where there was none.
  func request(_ method: UInt8, headers: [UInt8], body: [UInt8]) -> [UInt8]? {
    guard let ours = self.asked.last else { return nil }
    self.requestCount += 1
    let method = Self.methods[Int(method) % Self.methods.count]
    let lines = [
      "\(method) sip:alice@10.0.0.1 SIP/2.0",
      "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK\(self.requestCount)",
      "From: \(Self.tagged(ours.headers["To"] ?? ""))", "To: \(ours.headers["From"] ?? "")",
      "Call-ID: \(ours.headers["Call-ID"] ?? "")", "CSeq: \(self.requestCount) \(method)",
      "Contact: <sip:bob@10.0.0.2>", "Max-Forwards: 70",
    ]
    return Self.message(lines, headers, body)
  }

  /// The answer to our last question by STUN, which sees us where we are or says something else; nil where there was
  /// none.
  func signOfLife(isRefusal: Bool, _ value: [UInt8]) -> [UInt8]? {
    guard let question = self.question else { return nil }
    var answer = STUNWriter(isRefusal ? .failure : .success, id: question)
    if value.isEmpty { answer.addMapped(Self.own) } else { answer.add(STUNType.xorMappedAddress, value) }
    return answer.bytes
  }

  private static func tagged(_ address: String) -> String {
    address.contains(";tag=") ? address : "\(address);tag=peer"
  }

  private static func message(_ lines: [String], _ headers: [UInt8], _ body: [UInt8]) -> [UInt8] {
    let end = Array("\r\n".utf8)
    let first = Array(lines.joined(separator: "\r\n").utf8) + end
    return first + (headers.isEmpty ? end : headers + end + end) + body
  }

  func receive(_ datagram: [UInt8]) {
    datagram.withRawSpan {
      self.endpoint.receive($0, from: Self.peer, on: Self.own, transport: .udp, now: self.now)
    }
    self.drain()
  }

  func wait(_ choice: UInt8) {
    self.now = self.now.advanced(byMilliseconds: [0, 100, 4_000, 40_000][Int(choice)])
    self.endpoint.timeout(now: self.now)
    self.drain()
  }

  func conclude(_ given: Int) {
    let counters = self.endpoint.counters
    let counted =
      counters.requestsReceived + counters.responsesReceived + counters.malformed + counters.keepAlives
      + counters.strayKeepAlives
    require(counted == given, "a datagram is not counted")
  }

  // MARK: What the endpoint wants

  private func drain() {
    while let action = self.endpoint.nextAction() {
      switch action {
      case .send(let bytes, _): self.note(bytes)
      case .close: break
      case .event(let event): self.answer(event)
      }
    }
  }

  private func note(_ bytes: [UInt8]) {
    guard !bytes.allSatisfy({ $0 == 13 || $0 == 10 }) else { return }
    if let question = bytes.withRawSpan({ STUNMessage($0) }) {
      self.question = question.id
      return
    }
    guard let message = bytes.withRawSpan({ try? SIPMessage(datagram: $0) }) else {
      // A peer may name a route that is longer than what we read.
      return require(bytes.count { $0 == 10 } > SIPMessage.maximumHeaders, "what was sent can't be read")
    }
    guard case .request(let method, _) = message.startLine else { return }
    require((try? SIPEssentials(message)) != nil, "the header fields of a request that was sent can't be read")
    // An ACK has no response.
    guard method != .ack else { return }
    self.asked = Array(self.asked.suffix(15)) + [message]
  }

  private func answer(_ event: SIPEvent) {
    let (endpoint, now) = (self.endpoint, self.now)
    switch event {
    case .locate(let id, _): endpoint.located(id, [SIPTarget(address: Self.peer)], now: now)
    case .answered(let id, _): endpoint.acknowledge(id, body: Self.description, now: now)
    case .earlyOffer(let id, let progress):
      if let dialog = progress.dialog {
        endpoint.acknowledgeProgress(id, dialog: dialog, body: Self.description, now: now)
      }
    case .reoffer(let id, _, _): endpoint.acceptReinvite(id, body: Self.description, now: now)
    case .incomingCall(let id, _):
      require(!self.isGuarded, "a call comes without the password")
      endpoint.reject(id, status: 486, now: now)
    case .incomingRequest(let id, _):
      require(!self.isGuarded, "a request comes without the password")
      endpoint.respond(id, status: 200, now: now)
    case .referRequested(let id, _):
      endpoint.acceptRefer(id, now: now)
      endpoint.notifyRefer(id, status: 200, now: now)
    case .ended(let id, _): require(self.endedCalls.insert(id).inserted, "a call ends twice")
    case .subscriptionEnded(let id, _):
      require(self.endedSubscriptions.insert(id).inserted, "a subscription ends twice")
    default: break
    }
  }
}
