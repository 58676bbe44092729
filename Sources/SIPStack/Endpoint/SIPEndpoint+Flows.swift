package import NetBase

/// What the transports report, and the next target that a request is given to (RFC 3261 §18.4, RFC 3263 §4.3).
extension SIPEndpoint {
  /// Nothing listens at `address`, there is no route, or no connection could be made: requests to it that wait for a
  /// response go to their next target, or end now.
  ///
  /// - Parameter transport: which one failed; nil for all of them.
  package func transportFailed(
    to address: SocketAddress, transport: SIPTransportKind? = nil, error: String, now: Instant
  ) {
    self.failPending(error, now) { path in
      path.peer == address && (transport.map { $0 == path.transport } ?? true)
    }
  }

  /// A connection was closed, by whichever side, or no longer answers. Requests on it that wait for a response go to
  /// their next target, or, BYEs and offers, once more over a new connection, or end now; responses that are still owed go
  /// over a new one too (RFC 3261 §18.2.2); registrations over it start again.
  package func flowFailed(_ path: SIPPath, error: String, now: Instant) {
    guard let flow = path.flow else {
      return self.transportFailed(to: path.peer, transport: path.transport, error: error, now: now)
    }
    self.heard[flow] = nil
    for transaction in self.servers.values where transaction.path.flow == flow { transaction.leaveFlow() }
    for transaction in self.clients.values { transaction.leaveFlow(flow) }
    for record in self.dialogs.values where record.start.flow == flow { record.start.flow = nil }
    for session in self.sessions.values {
      if let answer = session.answer, answer.path.flow == flow { session.answer?.path.leaveFlow(port: answer.viaPort) }
      if let former = session.reliable?.outstanding?.path, former.flow == flow,
        case .incoming(let transaction) = session.state
      {
        session.reliable?.outstanding?.path = transaction.path
      }
    }
    self.failPending(error, reconnects: true, now) { pending in
      // A request may have gone over it before a response told which flow it was.
      pending.flow == flow
        || pending.flow == nil && pending.peer == path.peer && pending.transport == path.transport
    }
    let broken = self.registrations.values.filter { $0.path?.flow == flow }
    for registration in broken.sorted(by: { $0.id.value < $1.id.value }) {
      self.flowFailed(registration, error: error, now: now)
    }
  }

  /// A connection no longer answers, though it looks open: it is closed, lest the next request go the same way.
  func giveUp(_ path: SIPPath, error: String, now: Instant) {
    self.close(path)
    self.flowFailed(path, error: error, now: now)
  }

  /// The peer gave a sign of life over a connection that is no message.
  package func noteLife(of flow: SIPFlow, now: Instant) { self.heard[flow]?.at = now }

  /// A request outside a dialog had no final response in all its time. When nothing else came over its connection since
  /// it was sent, that is given up: the kernel would hold it open for a quarter of an hour. A connection of a dialog
  /// may be one that only the peer can make again.
  func closeIfSilent(_ transaction: ClientTransaction, _ now: Instant) {
    let path = transaction.path
    guard path.transport.isReliable, (try? NameAddress(transaction.request.headers["To"] ?? ""))?.tag == nil else {
      return
    }
    let since = now.advanced(by: Duration.zero - self.configuration.timers(path.transport).limit)
    let used = self.heard.values.filter { heard in
      guard let flow = path.flow else { return heard.path.peer == path.peer && heard.path.transport == path.transport }
      return heard.path.flow == flow
    }
    guard used.allSatisfy({ $0.at <= since }) else { return }
    let error = "the connection is silent"
    self.giveUp(path, error: error, now: now)
    // A request that asked for any connection does not say which one it went over.
    for other in used.map(\.path).sorted(by: { ($0.flow?.number ?? 0) < ($1.flow?.number ?? 0) })
    where other.flow != path.flow {
      self.flowFailed(other, error: error, now: now)
    }
  }

  private func failPending(
    _ error: String, reconnects: Bool = false, _ now: Instant, where isFailed: (SIPPath) -> Bool
  ) {
    let failed = self.clients.values.filter { $0.isPending && isFailed($0.path) }
    for transaction in failed.sorted(by: { $0.serial < $1.serial }) {
      self.counters.transportFailures += 1
      if reconnects, self.leaveRinging(transaction, error, now) { continue }
      transaction.abandon()
      self.settle(transaction)
      if self.goOn(transaction, isTransportFailure: true, now) || reconnects && self.reconnect(transaction, now) {
        continue
      }
      self.fail(transaction, .unreachable(error), now)
    }
  }

  /// A callee that rings is not called a second time by way of another target: the call is over, and a CANCEL over a new
  /// connection tells the callee. What is answered all the same is hung up.
  ///
  /// - Returns: false when nobody rings.
  private func leaveRinging(_ transaction: ClientTransaction, _ error: String, _ now: Instant) -> Bool {
    guard case .invite(let id) = transaction.user, let session = self.sessions[id], !session.earlyDialogs.isEmpty,
      case .calling(let current, let hangUp) = session.state, current === transaction
    else { return false }
    transaction.path.flow = nil
    if case .no = hangUp { self.cancel(transaction, headers: session.byeHeaders, now) }
    self.failed(invite: session, .unreachable(error), now)
    return true
  }

  /// Sends a BYE or an offer once more, over a new connection: that the one it had was closed, as it is by a NAT that forgot
  /// it, is no word of the peer's. Of other requests nobody knows whether the peer has had them, and twice is too often.
  ///
  /// - Returns: false when it had none, or had this chance already, or when nobody waits for the result any more.
  private func reconnect(_ transaction: ClientTransaction, _ now: Instant) -> Bool {
    switch transaction.user {
    case .bye, .reoffer: break
    case .invite, .prack, .subscription, .request, .registration, .farewell, .nobody: return false
    }
    guard transaction.path.flow != nil, !transaction.submission.hasReconnected, self.isWanted(transaction),
      let path = self.dialog(of: transaction.request)?.path, path.flow == nil
    else { return false }
    var submission = transaction.submission
    submission.hasReconnected = true
    self.resubmit(transaction.request, instead: transaction, path, submission, now)
    return true
  }

  /// Sends the request of a transaction that failed to its next target, with a branch of its own.
  ///
  /// - Returns: false when there is none, or when nobody waits for the result any more.
  func failOver(_ transaction: ClientTransaction, isTransportFailure: Bool, _ now: Instant) -> Bool {
    guard self.isWanted(transaction) else { return false }
    var submission = transaction.submission
    let next: SIPPath
    if let datagram = submission.datagramFallback, isTransportFailure {
      next = datagram
      submission.staysOnUDP = true
    } else if !submission.alternatives.isEmpty {
      next = submission.alternatives.removeFirst()
      // Nonces are a server's own.
      submission.challenges = DigestClient.Attempts()
      submission.staysOnUDP = false
    } else {
      return false
    }
    submission.datagramFallback = nil
    self.counters.failovers += 1
    var request = transaction.request
    self.renewContact(in: &request, of: transaction, next)
    self.resubmit(request, instead: transaction, next, submission, now)
    return true
  }

  /// The address of ours that the next target reaches is another, where it has another family or transport.
  func renewContact(in request: inout SIPMessage, of transaction: ClientTransaction, _ next: SIPPath) {
    let former = transaction.path
    guard next.isElsewhere(than: former) else { return }
    switch transaction.user {
    case .registration(let id): self.renewContact(of: id, in: &request, next)
    case .invite(let id):
      guard let session = self.sessions[id] else { return }
      session.contact = session.contact.moved(from: former, to: next)
      request.headers.set("Contact", session.contact.description)
    case .subscription(let id):
      guard let subscription = self.subscriptions[id] else { return }
      subscription.contact = subscription.contact.moved(from: former, to: next)
      request.headers.set("Contact", subscription.contact.description)
    case .reoffer, .bye, .prack, .request, .farewell, .nobody: break
    }
  }

  /// What is led to a sips URI is reached by one (RFC 3261 §8.1.1.8).
  func secureContact(in request: inout SIPMessage, of transaction: ClientTransaction) {
    guard case .invite(let id) = transaction.user, let session = self.sessions[id] else { return }
    session.contact.uri = session.contact.uri.secured
    request.headers.set("Contact", session.contact.description)
  }

  /// Starts `request` in place of the transaction `old`, whose user gets the result.
  func resubmit(
    _ request: SIPMessage, instead old: ClientTransaction, _ path: SIPPath, _ submission: Submission, _ now: Instant
  ) {
    var request = request
    request.headers.remove("Via")
    let new = self.start(request, path, user: old.user, submission: submission, now)
    self.replace(old, by: new, now)
  }

  /// Whether the user still wants this request served: no CANCEL is on its way, and the session lives.
  func isWanted(_ transaction: ClientTransaction) -> Bool {
    guard !self.isAbandoned(transaction) else { return false }
    switch transaction.user {
    case .invite(let id):
      guard case .calling(let current, .no)? = self.sessions[id]?.state else { return false }
      return current === transaction
    case .reoffer(let id):
      guard case .sent(let current, _)? = self.sessions[id]?.outgoingReoffer else { return false }
      return current === transaction
    case .bye(let id): return self.sessions[id] != nil
    case .prack(let id): return self.sessions[id]?.hasEnded == false
    case .subscription(let id): return self.subscriptions[id]?.request === transaction
    case .registration(let id): return self.registrations[id]?.request === transaction
    case .request, .farewell: return true
    case .nobody: return false
    }
  }

  /// Whoever holds the old transaction holds the new one from now on.
  private func replace(_ old: ClientTransaction, by new: ClientTransaction, _ now: Instant) {
    switch old.user {
    case .invite(let id):
      guard let session = self.sessions[id], case .calling(let current, let hangUp) = session.state, current === old
      else { return }
      session.state = .calling(new, hangUp)
      // The forks of the old INVITE are no dialogs of the new one, and what they can do is not what the next can.
      session.peer = PeerCapabilities()
      if !session.earlyDialogs.isEmpty { self.abandonReoffers(session, now) }
      for early in session.earlyDialogs { self.leave(early) }
      session.earlyDialogs = []
    case .reoffer(let id):
      guard let session = self.sessions[id], case .sent(let current, let reoffer)? = session.outgoingReoffer,
        current === old
      else { return }
      session.outgoingReoffer = .sent(new, reoffer)
    case .subscription(let id):
      guard let subscription = self.subscriptions[id], subscription.request === old else { return }
      subscription.request = new
      subscription.start = new.path
      // NOTIFYs name the REFER that was taken by its number (RFC 3515 §2.4.6).
      if subscription.isRefer, subscription.role == .subscriber, let cseq = try? SIPEssentials(new.request).cseq {
        subscription.eventID = "\(cseq.number)"
      }
    case .registration(let id):
      guard let registration = self.registrations[id], registration.request === old else { return }
      registration.request = new
    case .bye, .prack, .request, .farewell, .nobody: break
    }
  }

  // MARK: The address that peers see

  /// Where a response says that our request came from (RFC 3581 §4), told to the user when it is news.
  func learnPublicAddress(_ via: Via, _ path: SIPPath) {
    guard let seen = via.seenAddress else { return }
    let key = PublicAddressKey(peer: path.peer, local: path.local, transport: path.transport)
    let before = self.publicAddresses[key] ?? path.local
    guard seen != before, !(path.transport.isReliable && seen.isSameHost(as: before)) else { return }
    guard self.publicAddresses[key] != nil || self.publicAddresses.count < 256 else { return }
    self.publicAddresses[key] = seen
    self.emit(.publicAddress(seen, path: path))
  }
}

/// Whose view of which address of ours.
struct PublicAddressKey: Hashable, Sendable {
  var peer: SocketAddress
  var local: SocketAddress
  var transport: SIPTransportKind
}
