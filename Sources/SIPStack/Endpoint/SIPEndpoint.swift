internal import ICEAgent
package import NetBase

/// The SIP side of a user agent without sockets and clocks: datagrams and commands in, datagrams and events out.
///
/// Contract: after each call, drain `nextAction()` until it returns nil, and call `timeout(now:)` at `nextDeadline`.
/// `now` never goes back. One owner: the endpoint is neither Sendable nor locked.
///
/// RFC 3261 with 6026 (accepted states), 3581 (rport), 3311 (UPDATE), 3262 (100rel), 4028 (session timers), 3515, 4488,
/// 3891 and 3892 (REFER and Replaces), 6665 (subscriptions).
package final class SIPEndpoint {
  package internal(set) var configuration: SIPConfiguration
  var generator: SeededGenerator
  /// What was seen, sent and dropped.
  package internal(set) var counters = SIPCounters()

  var clients: [ClientTransactionKey: ClientTransaction] = [:]
  var servers: [ServerTransactionKey: ServerTransaction] = [:]
  /// The transactions of requests without a To tag, to tell merged requests (RFC 3261 §8.2.2.2).
  var merges: [MergeKey: ServerTransactionKey] = [:]
  var sessions: [SessionID: InviteSession] = [:]
  var accounts: [SIPAccountID: SIPAccount] = [:]
  var registrations: [RegistrationID: Registration] = [:]
  var incomingRequests: [IncomingRequestID: ServerTransaction] = [:]
  var locations: [LocationID: LocationUse] = [:]
  /// Where each peer sees us.
  var publicAddresses: [PublicAddressKey: SocketAddress] = [:]
  /// When something came over each connection last.
  var heard: [SIPFlow: (path: SIPPath, at: Instant)] = [:]
  var inviteRate: SourceLimiter
  var requestRate: SourceLimiter
  var badDigests: SourceLimiter
  /// Which account a request outside a dialog is for, by its method, request URI, To and the way that it came; asked
  /// before anything else is done with it. It must not call back into the endpoint.
  package var accountOfRequest: (SIPMethod, SIPURI, SIPURI, SIPPath) -> SIPAccountID? = { _, _, _, _ in nil }
  var dialogs: [DialogID: DialogRecord] = [:]
  var subscriptions: [SubscriptionID: Subscription] = [:]
  /// Subscriptions of ours whose dialog is not known yet, by a name without remote tag.
  var halfDialogs: [DialogID: SubscriptionID] = [:]
  /// What holds for an incoming call, asked before anything is sent; nil for the configuration's policy.
  package var policyForCall: ((IncomingInvite) -> CallPolicy)?
  var timers = DeadlineHeap()
  private var lastIdentifier: UInt64 = 0
  private var actions: [SIPAction] = []
  private var taken = 0

  /// Where redirects may not lead, from now on.
  package func adopt(_ tollNumbers: TollNumbers) { self.configuration.tollNumbers = tollNumbers }

  /// - Parameter generator: gives branches, tags and Call-IDs; a product seeds it from the system.
  package init(configuration: SIPConfiguration, generator: SeededGenerator) {
    self.configuration = configuration
    self.generator = generator
    let limits = configuration.limits
    self.inviteRate = SourceLimiter(limit: limits.invitesPerSecond, window: .seconds(1))
    self.requestRate = SourceLimiter(limit: limits.requestsPerSecond, window: .seconds(1))
    self.badDigests = SourceLimiter(limit: limits.badDigestsPerMinute, window: .seconds(60))
  }

  // MARK: Events in

  /// One message came from `source` on our address `local`: a datagram, a WebSocket message, or what Content-Length
  /// cut out of a stream.
  ///
  /// - Parameter flow: the connection that it came on; nil for UDP.
  package func receive(
    _ bytes: RawSpan, from source: SocketAddress, on local: SocketAddress, transport: SIPTransportKind,
    flow: SIPFlow? = nil, now: Instant
  ) {
    let path = SIPPath(peer: source, local: local, transport: transport, flow: flow)
    if let flow { self.heard[flow] = (path, now) }
    if transport == .udp, let message = STUNMessage(bytes) {
      if !self.receive(stun: message, path, now) { self.counters.strayKeepAlives += 1 }
      return
    }
    let message: SIPMessage
    let essentials: SIPEssentials
    do {
      message = try SIPMessage(datagram: bytes, limits: self.configuration.limits)
      essentials = try SIPEssentials(message)
    } catch .empty {
      return self.receive(keepAlive: bytes, path)
    } catch {
      self.counters.malformed += 1
      return self.refuse(malformed: bytes, error, path)
    }
    switch message.startLine {
    case .request(_, let uri):
      self.counters.requestsReceived += 1
      self.receive(request: message, essentials, uri, path, now)
    case .response(let status, let reason):
      self.counters.responsesReceived += 1
      self.receive(response: message, essentials, status: status, reason: reason, path, now)
    }
  }

  /// Lets every timer fire that is due at `now`.
  package func timeout(now: Instant) {
    while let (deadline, owner) = self.timers.first, deadline <= now {
      switch owner {
      case .client(let transaction): self.timeout(transaction, now)
      case .server(let transaction):
        if case .retransmit = transaction.timeout(now: now) { self.sendAgain(transaction) }
        self.settle(transaction)
      case .session(let session): self.timeout(session, now)
      case .registration(let registration): self.timeout(registration, now)
      case .subscription(let subscription): self.timeout(subscription, now)
      }
    }
  }

  /// When `timeout(now:)` is due; nil when nothing is pending.
  package var nextDeadline: Instant? { self.timers.first?.deadline }

  /// The next thing to do, nil when there is none.
  package func nextAction() -> SIPAction? {
    guard self.taken < self.actions.count else {
      self.actions.removeAll(keepingCapacity: self.actions.count < 64)
      self.taken = 0
      return nil
    }
    defer { self.taken += 1 }
    return self.actions[self.taken]
  }

  /// How much is held at this moment.
  package var census: SIPCensus {
    SIPCensus(
      clientTransactions: self.clients.count, serverTransactions: self.servers.count, sessions: self.sessions.count,
      subscriptions: self.subscriptions.count, dialogs: self.dialogs.count, timers: self.timers.count,
      mergeKeys: self.merges.count, registrations: self.registrations.count,
      incomingRequests: self.incomingRequests.count, locations: self.locations.count)
  }

  /// Requests of ours that wait for a final response. Linear in the number of transactions.
  package var pendingRequests: Int { self.clients.values.count { $0.isPending } }

  // MARK: What the other files build on

  func emit(_ event: SIPEvent) { self.actions.append(.event(event)) }

  func send(_ bytes: [UInt8], _ path: SIPPath) {
    self.actions.append(.send(bytes: bytes, path))
  }

  func close(_ path: SIPPath) { self.actions.append(.close(path)) }

  func sendAgain(_ transaction: ServerTransaction) {
    guard let response = transaction.response else { return }
    self.counters.retransmissionsSent += 1
    self.send(response, transaction.path)
  }

  func newIdentifier() -> UInt64 {
    self.lastIdentifier += 1
    return self.lastIdentifier
  }

  func newTag() -> String { self.generator.hexadecimal(words: 1) }

  /// Sets the transaction's timer, or forgets the transaction when it has ended.
  func settle(_ transaction: ClientTransaction) {
    guard transaction.isTerminated else { return self.timers.set(transaction.timer, to: transaction.nextDeadline) }
    guard self.clients[transaction.key] === transaction else { return }
    self.clients[transaction.key] = nil
    self.timers.release(transaction.timer)
  }

  /// Sets the transaction's timer, or forgets the transaction when it has ended.
  func settle(_ transaction: ServerTransaction) {
    guard transaction.isTerminated else { return self.timers.set(transaction.timer, to: transaction.nextDeadline) }
    guard self.servers[transaction.key] === transaction else { return }
    self.servers[transaction.key] = nil
    if self.merges[transaction.mergeKey] == transaction.key { self.merges[transaction.mergeKey] = nil }
    self.timers.release(transaction.timer)
  }

  /// Sets the session's timer; nothing when it is forgotten.
  func settle(_ session: InviteSession) {
    guard self.sessions[session.id] != nil else { return }
    self.timers.set(session.timer, to: session.nextDeadline)
  }
}
