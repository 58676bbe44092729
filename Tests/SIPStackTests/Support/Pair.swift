internal import ICEAgent
internal import NetBase
internal import SIPStack
internal import Testing

/// Two endpoints on one virtual clock, with a link between them that a test may cut, delay or double.
final class Pair {
  enum Side: Hashable { case a, b }

  /// A datagram that one side sent.
  struct Sent {
    let at: Instant
    let from: Side
    let to: SocketAddress
    let bytes: [UInt8]
    let message: SIPMessage
    let path: SIPPath
    /// `INVITE`, `ACK`, … for a request; `200 INVITE` for a response.
    let name: String
  }

  private struct Flight {
    let arrival: Instant
    let order: Int
    let bytes: [UInt8]
    let path: SIPPath
  }

  private struct Task {
    let at: Instant
    let order: Int
    let body: () -> Void
  }

  static let addressA = SocketAddress(ipv4: 0xC000_0201, port: 5060)
  static let addressB = SocketAddress(ipv4: 0xC000_0202, port: 5060)
  static let offer = SIPBody(bytes: Array("offer".utf8))
  static let answer = SIPBody(bytes: Array("answer".utf8))

  static let allowed =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE, REFER, SUBSCRIBE, NOTIFY"

  let a: SIPEndpoint
  let b: SIPEndpoint
  private(set) var now = Instant(nanoseconds: 1_000_000_000)
  private(set) var sent: [Sent] = []
  /// Connections that an endpoint gave up.
  private(set) var closed: [SIPPath] = []
  private(set) var events: [(at: Instant, side: Side, event: SIPEvent)] = []
  private var flights: [Flight] = []
  private var tasks: [Task] = []
  private var order = 0

  /// How each datagram travels: one delay in milliseconds for each copy that arrives.
  var link: (Sent) -> [Int64] = { _ in [10] }
  /// What a user does about an event.
  var onEvent: (Side, SIPEvent) -> Void = { _, _ in }

  /// The connection that stream transports use, in both directions.
  var flow = SIPFlow(number: 1)
  /// The port that A's connections turn out to have, where A accepts none.
  var connectedPort: UInt16?
  /// What SIPLocator would find; literal addresses by default.
  var locate: (SIPURI) -> [SIPTarget] = { uri in
    let transport = uri.parameters["transport"].flatMap { SIPTransportKind(name: $0) } ?? .udp
    return SocketAddress(host: uri.host, port: uri.port ?? transport.defaultPort)
      .map { [SIPTarget(address: $0, transport: transport)] } ?? []
  }

  /// - Parameter b: the configuration of B where it differs.
  init(
    seed: UInt64 = 1, configuration: SIPConfiguration = SIPConfiguration(), b: SIPConfiguration? = nil
  ) {
    self.a = SIPEndpoint(configuration: configuration, generator: SeededGenerator(seed: seed &* 2))
    self.b = SIPEndpoint(configuration: b ?? configuration, generator: SeededGenerator(seed: seed &* 2 &+ 1))
  }

  func endpoint(_ side: Side) -> SIPEndpoint { side == .a ? self.a : self.b }

  static func address(_ side: Side) -> SocketAddress { side == .a ? Self.addressA : Self.addressB }

  static func uri(_ text: String) -> SIPURI {
    guard let uri = try? SIPURI(text) else { preconditionFailure("a test's URI is malformed: \(text)") }
    return uri
  }

  /// A calls B.
  func call(
    body: SIPBody? = Pair.offer, headers: [(String, String)] = [], routeSet: [NameAddress] = []
  ) -> SessionID {
    defer { self.drain() }
    return self.a.invite(
      OutgoingInvite(
        from: NameAddress(displayName: "Alice", uri: Self.uri("sip:alice@192.0.2.1")),
        to: NameAddress(uri: Self.uri("sip:bob@192.0.2.2")), contact: Self.uri("sip:alice@192.0.2.1:5060"),
        destination: Self.addressB, local: Self.addressA, headers: headers, body: body, routeSet: routeSet),
      now: self.now)
  }

  /// Does something `milliseconds` from now.
  func after(_ milliseconds: Int64, _ body: @escaping () -> Void) {
    self.order += 1
    self.tasks.append(
      Task(at: self.now.advanced(byMilliseconds: milliseconds), order: self.order, body: body))
  }

  /// Does something to the endpoints and takes their actions.
  func act(_ body: (Instant) -> Void) {
    body(self.now)
    self.drain()
  }

  /// Gives `side` a datagram of a third party, or of nobody.
  func inject(_ bytes: [UInt8], to side: Side, from source: SocketAddress) {
    bytes.withRawSpan { span in
      self.endpoint(side).receive(span, from: source, on: Self.address(side), transport: .udp, now: self.now)
    }
    self.drain()
  }

  func inject(_ text: String, to side: Side, from source: SocketAddress) {
    self.inject(Array(text.utf8), to: side, from: source)
  }

  /// Jumps to the next moment at which something happens; false when nothing is left before `limit`.
  func step(until limit: Instant? = nil) -> Bool {
    let deadlines =
      self.flights.map(\.arrival) + self.tasks.map(\.at) + [self.a, self.b].compactMap(\.nextDeadline)
    guard let next = deadlines.min(), limit.map({ next <= $0 }) ?? true else { return false }
    self.now = max(self.now, next)
    if let index = self.flights.indices.filter({ self.flights[$0].arrival <= self.now })
      .min(by: {
        (self.flights[$0].arrival, self.flights[$0].order) < (self.flights[$1].arrival, self.flights[$1].order)
      })
    {
      let flight = self.flights.remove(at: index)
      let path = flight.path
      for side in [Side.a, .b] where Self.address(side) == path.peer || self.isConnected(side, path.peer) {
        flight.bytes.withRawSpan { span in
          let port = side == .a && path.transport.isReliable ? self.connectedPort : nil
          self.endpoint(side).receive(
            span, from: path.local, on: port.map(path.peer.with(port:)) ?? path.peer, transport: path.transport,
            flow: path.transport.isReliable ? self.flow : nil, now: self.now)
        }
      }
    } else if let index = self.tasks.indices.filter({ self.tasks[$0].at <= self.now })
      .min(by: { (self.tasks[$0].at, self.tasks[$0].order) < (self.tasks[$1].at, self.tasks[$1].order) })
    {
      self.tasks.remove(at: index).body()
    } else {
      self.a.timeout(now: self.now)
      self.b.timeout(now: self.now)
    }
    self.drain()
    return true
  }

  /// Runs for `milliseconds` of virtual time.
  func run(_ milliseconds: Int64) {
    let limit = self.now.advanced(byMilliseconds: milliseconds)
    while self.step(until: limit) {}
    self.now = limit
  }

  /// Runs until nothing is left to do; a flow that never ends fails the test.
  func runToEnd(maximumSteps: Int = 200_000) {
    var steps = 0
    while self.step() {
      steps += 1
      guard steps < maximumSteps else {
        Issue.record("the flow does not end")
        return
      }
    }
  }

  private func isConnected(_ side: Side, _ address: SocketAddress) -> Bool {
    side == .a && self.connectedPort == address.port && address.isSameHost(as: Self.addressA)
  }

  private func drain() {
    var isIdle = false
    while !isIdle {
      isIdle = true
      for side in [Side.a, .b] {
        while let action = self.endpoint(side).nextAction() {
          isIdle = false
          self.perform(action, side)
        }
      }
    }
  }

  private func perform(_ action: SIPAction, _ side: Side) {
    switch action {
    case .event(.locate(let id, let uri)):
      let targets = self.locate(uri)
      self.endpoint(side).located(id, targets, now: self.now)
    case .close(let path): self.closed.append(path)
    case .event(let event):
      self.events.append((self.now, side, event))
      self.onEvent(side, event)
    case .send(let bytes, let path):
      let to = path.peer
      guard let message = Self.keepAlive(bytes) ?? bytes.withRawSpan({ span in try? SIPMessage(datagram: span) })
      else {
        Issue.record("an endpoint sent what it cannot parse: \(String(decoding: bytes, as: UTF8.self))")
        return
      }
      let record = Sent(
        at: self.now, from: side, to: to, bytes: bytes, message: message, path: path, name: Self.name(of: message))
      self.sent.append(record)
      for delay in self.link(record) {
        self.order += 1
        self.flights.append(
          Flight(
            arrival: self.now.advanced(byMilliseconds: delay), order: self.order, bytes: bytes, path: path))
      }
    }
  }

  /// A stand-in for line ends, named PING or PONG, and for a STUN request.
  private static func keepAlive(_ bytes: [UInt8]) -> SIPMessage? {
    if bytes.withRawSpan({ STUNMessage($0) }) != nil {
      return SIPMessage(.request(SIPMethod("STUN"), Self.uri("sip:none@none.invalid")))
    }
    guard bytes.allSatisfy({ $0 == 13 || $0 == 10 }) else { return nil }
    return SIPMessage(.request(SIPMethod(bytes.count == 4 ? "PING" : "PONG"), Self.uri("sip:none@none.invalid")))
  }

  static func name(of message: SIPMessage) -> String {
    switch message.startLine {
    case .request(let method, _): return method.name
    case .response(let status, _):
      let method = message.headers["CSeq"].flatMap { try? CSeq($0) }?.method.name ?? "?"
      return "\(status) \(method)"
    }
  }
}

// MARK: What tests ask

extension Pair {
  /// The messages in the order in which they were sent, as `a:INVITE`.
  var ladder: [String] { self.sent.map { "\($0.from):\($0.name)" } }

  func count(_ name: String, from side: Side) -> Int { self.sent.count { $0.from == side && $0.name == name } }

  func all(_ name: String, from side: Side) -> [Sent] { self.sent.filter { $0.from == side && $0.name == name } }

  /// Milliseconds between the first sending of `name` and each of its sendings.
  func times(_ name: String, from side: Side) -> [Int64] {
    let times = self.all(name, from: side).map(\.at)
    return times.map { $0.milliseconds(since: times[0]) }
  }

  func ends(_ side: Side) -> [EndReason] {
    self.events.compactMap { entry in
      if entry.side == side, case .ended(_, let reason) = entry.event { reason } else { nil }
    }
  }

  func established(_ side: Side) -> [SIPBody?] {
    self.events.compactMap { entry in
      if entry.side == side, case .established(_, let body) = entry.event { .some(body) } else { nil }
    }
  }

  /// The session of B's first incoming call.
  var incoming: SessionID? {
    for entry in self.events {
      if entry.side == .b, case .incomingCall(let id, _) = entry.event { return id }
    }
    return nil
  }

  /// Nothing is held and nothing is due at either end.
  func expectEmpty(_ note: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
    for endpoint in [self.a, self.b] {
      #expect(endpoint.census == SIPCensus(), note, sourceLocation: sourceLocation)
      #expect(endpoint.nextDeadline == nil, note, sourceLocation: sourceLocation)
    }
  }

  /// B rings at once and accepts after a second.
  func answerByItself(ring: Bool = true, after delay: Int64 = 1_000, body: SIPBody = Pair.answer) {
    self.onEvent = { [unowned self] side, event in
      guard side == .b, case .incomingCall(let id, _) = event else { return }
      if ring { self.b.ring(id, now: self.now) }
      self.after(delay) { self.b.accept(id, body: body, now: self.now) }
    }
  }

  /// A call that stands, both timers of its set-up still running.
  static func standing(
    seed: UInt64 = 1, configuration: SIPConfiguration = SIPConfiguration(), b: SIPConfiguration? = nil
  ) throws -> (Pair, SessionID, SessionID) {
    let pair = Pair(seed: seed, configuration: configuration, b: b)
    pair.answerByItself()
    let caller = pair.call()
    pair.run(2_000)
    let callee = try #require(pair.incoming)
    #expect(pair.established(.a).count == 1 && pair.established(.b).count == 1)
    pair.onEvent = { _, _ in }
    return (pair, caller, callee)
  }
}
