internal import NetBase
internal import SIPStack

/// One agent: an endpoint, and a user who does what the dice say.
final class FlowAgent {
  /// What an agent is like.
  struct Traits {
    var policy = CallPolicy()
    /// Whether its calls and requests go over a connection.
    var usesTCP = false
    /// What it asks of who calls, and what it knows.
    var demandsPassword = false
    var knowsPassword = true
    var followsRedirects = true
    var allowsUpdate = true
    var messagesAwaitAnswer = false
    var registers = false
    /// Whether a connection that it opens bears the port where it listens, or one of its own.
    var listens = true
  }

  let index: Int
  let address: SocketAddress
  let traits: Traits
  unowned let network: FlowNetwork
  private let configuration: SIPConfiguration
  private let seed: UInt64
  private(set) var endpoint: SIPEndpoint
  private(set) var account: SIPAccountID?
  /// Gone for good.
  private(set) var isDead = false
  /// When it last died or was restarted.
  private(set) var diedAt: Instant?
  private(set) var generation: UInt64 = 0
  /// Nothing new is begun any more.
  var isQuiet = false

  /// Calls that are not over, and those that are.
  var calls: [SessionID: FlowCall] = [:]
  var pastCalls: [FlowCall] = []
  var refers: Set<ReferID> = []
  var referred: Set<ReferID> = []
  var subscriptions: Set<SubscriptionID> = []
  var requests: Set<RequestID> = []
  var registrations: Set<RegistrationID> = []
  /// What was told already: a request is told once.
  var told: [String: Instant] = [:]
  /// Subscriptions that it made itself.
  var subscribed: Set<SubscriptionID> = []
  /// What a REFER asks to replace.
  var replaced: [ReferID: SessionID] = [:]
  /// Calls whose description went out in a reliable response that is not confirmed yet, by their names.
  var unconfirmed: Set<String> = []
  /// The Call-IDs of its subscriptions, those that it made as far as it has had a NOTIFY.
  var subscriptionNames: [SubscriptionID: String] = [:]
  /// When a registration that failed must be tried again.
  var retries: [RegistrationID: Instant] = [:]
  /// As registrar: until when each user's binding holds.
  var bindings: [String: Instant] = [:]
  private var descriptions = 0

  init(_ network: FlowNetwork, index: Int, traits: Traits, seed: UInt64) {
    (self.network, self.index, self.traits) = (network, index, traits)
    self.address = Self.address(index)
    self.seed = seed
    var configuration = SIPConfiguration(
      policy: traits.policy, eventPackages: ["presence"], digest: toyDigest, nonceLifetime: .seconds(30),
      messagesAwaitAnswer: traits.messagesAwaitAnswer)
    if !traits.allowsUpdate { configuration.allow.removeAll { $0 == .update } }
    configuration.allow.append(.register)
    self.configuration = configuration
    self.endpoint = SIPEndpoint(
      configuration: configuration, generator: SeededGenerator(seed: seed &* 16 &+ UInt64(index)))
    self.addAccount()
  }

  static func address(_ index: Int) -> SocketAddress { SocketAddress(ipv4: 0xC000_0201 + UInt32(index), port: 5060) }

  static func uri(_ index: Int) -> SIPURI { SIPURI(user: "agent\(index)", host: "192.0.2.\(1 + index)", port: nil) }

  static func index(of uri: SIPURI) -> Int? { uri.user.flatMap { Int($0.dropFirst(5)) } }

  var now: Instant { self.network.now }
  func chance(_ percent: Int) -> Bool { self.network.dice.chance(percent) }
  func roll(_ range: ClosedRange<Int>) -> Int { self.network.dice.roll(range) }
  /// Whether the user forgets what it owes.
  var forgets: Bool { self.network.faults.isCareless && self.network.dice.chance(8) }

  /// Does something within so many milliseconds, if the agent still lives.
  func after(_ longest: Int, _ body: @escaping () -> Void) {
    let generation = self.generation
    self.network.after(self.roll(0...longest)) { [unowned self] in
      if !self.isDead, self.generation == generation { body() }
    }
  }

  func violate(_ what: String) { self.network.violate("agent \(self.index): \(what)") }

  /// A request reaches its user once, however often it comes; but a copy that was on its way for longer than its transaction
  /// is remembered (64 × T1 from the response, RFC 3261 §17.2.2) is another one.
  func tell(_ what: String, _ callID: String, _ headers: SIPHeaders) {
    let request = "\(what) \(callID) \(headers["CSeq"] ?? "")"
    if let before = self.told[request], self.now < before.advanced(by: .seconds(32)) {
      self.violate("is told twice of one \(what)")
    }
    self.told[request] = self.now
  }

  private func addAccount() {
    let password = self.traits.knowsPassword ? "secret" : "wrong"
    self.account =
      self.traits.demandsPassword
      ? self.endpoint.addAccount(
        SIPAccountSettings(
          credentials: credentials("user", password), required: credentials("user", "secret"),
          followsRedirects: self.traits.followsRedirects))
      : self.endpoint.addAccount(
        SIPAccountSettings(
          credentials: credentials("user", password), followsRedirects: self.traits.followsRedirects))
    let account = self.account
    self.endpoint.accountOfRequest = { _, _, _, _ in account }
  }

  // MARK: What its requests look like

  var contact: SIPURI {
    var uri = Self.uri(self.index)
    if self.traits.usesTCP { uri.parameters.set("transport", "tcp") }
    return uri
  }

  var from: NameAddress { NameAddress(uri: Self.uri(self.index)) }

  /// Where a peer is reached; now and then after a place where nobody is.
  func targets(_ peer: Int) -> [SIPTarget] {
    let transport: SIPTransportKind = self.traits.usesTCP ? .tcp : .udp
    let nobody = SocketAddress(ipv4: 0xC000_02C8, port: 5060)
    let good = SIPTarget(address: Self.address(peer), transport: transport)
    return self.chance(4) ? [SIPTarget(address: nobody, transport: transport), good] : [good]
  }

  /// A description that nobody has used before.
  func description(answering offer: String? = nil) -> String {
    self.descriptions += 1
    let name = "d\(self.index).\(self.generation).\(self.descriptions)"
    return offer.map { "\(name):\(FlowMedia.head($0))" } ?? name
  }

  // MARK: In and out

  func receive(_ bytes: [UInt8], _ path: SIPPath) {
    bytes.withRawSpan {
      self.endpoint.receive(
        $0, from: path.peer, on: path.local, transport: path.transport, flow: path.flow, now: self.now)
    }
  }

  func drain() {
    guard !self.isDead else { return }
    var hasActed = false
    while let action = self.endpoint.nextAction() {
      hasActed = true
      switch action {
      case .send(let bytes, let path):
        self.network.note(
          "\(self.index) > \(path.peer) \(path.flow.map { "\($0)" } ?? ""): "
            + String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").filter { line in
              ["SIP", "CSeq", "Call-ID", "RSeq", "RAck", "Session-E"].contains { line.hasPrefix($0) }
                || line.contains("SIP/2.0")
                  && !line.hasPrefix("Via")
            }.joined(separator: " | "))
        self.network.watch(bytes, path, from: self)
        if path.transport.isReliable {
          self.network.stream(bytes, path, from: self)
        } else {
          self.network.send(bytes, to: path.peer, from: path.local)
        }
      case .close(let path): self.network.close(path, of: self)
      case .event(let event):
        self.network.note("\(self.index) is told \(event)".prefix(160).description)
        self.handle(event)
      }
    }
    if hasActed { self.checkTimers() }
  }

  /// Every timer belongs to something that lives.
  private func checkTimers() {
    let census = self.endpoint.census
    let owners =
      census.clientTransactions + census.serverTransactions + census.sessions + census.subscriptions
      + census.registrations
    if census.timers != owners { self.violate("timers without an owner: \(census)") }
  }

  // MARK: Life and death

  /// The process is gone; with `isReborn` a new one takes its address and knows nothing.
  func die(isReborn: Bool) {
    self.network.note("\(self.index) dies\(isReborn ? " and is born again" : "")")
    self.diedAt = self.now
    let tells = isReborn || self.chance(50)
    for connection in self.network.connections where !connection.isBroken {
      if connection.ends.contains(where: { $0.agent == self.index && $0.generation == self.generation }) {
        self.network.sever(connection, tells: tells)
      }
    }
    self.generation += 1
    (self.calls, self.pastCalls, self.refers, self.referred) = ([:], [], [], [])
    (self.subscriptions, self.requests, self.registrations, self.bindings) = ([], [], [], [:])
    (self.told, self.subscribed, self.replaced, self.retries) = ([:], [], [:], [:])
    (self.unconfirmed, self.subscriptionNames) = ([], [:])
    guard isReborn else {
      self.isDead = true
      return
    }
    self.endpoint = SIPEndpoint(
      configuration: self.configuration,
      generator: SeededGenerator(seed: self.seed &* 16 &+ 8 &+ UInt64(self.index) &+ self.generation << 40))
    self.addAccount()
  }

  /// Hangs up what it called; with `all` what called it as well, and ends everything else.
  func finish(all: Bool) {
    self.isQuiet = true
    let calls = self.calls.values.filter { all || $0.isOutgoing }
    for call in calls.sorted(by: { $0.id.value < $1.id.value }) { self.hangUp(call.id) }
    guard all else { return self.drain() }
    for id in self.subscriptions.sorted(by: { $0.value < $1.value }) {
      self.endpoint.unsubscribe(id, now: self.now)
      self.endpoint.rejectSubscription(id, now: self.now)
      self.endpoint.terminateSubscription(id, now: self.now)
    }
    for id in self.registrations.sorted(by: { $0.value < $1.value }) { self.endpoint.unregister(id, now: self.now) }
    self.drain()
  }

  func hangUp(_ id: SessionID) {
    guard let call = self.calls[id] else { return }
    if call.hungUpAt == nil { self.calls[id]?.hungUpAt = self.now }
    self.endpoint.hangUp(id, headers: [("Reason", "SIP;cause=200")], now: self.now)
  }
}
