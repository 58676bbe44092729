internal import NetBase

/// The client side of every request: start it, match its responses, time it out.
extension SIPEndpoint {
  /// Sends `request`, which has no Via yet, in a transaction of its own.
  ///
  /// - Parameters:
  ///   - given: the Via of the INVITE, for its CANCEL.
  ///   - submission: what it has been through; its account is that of the session when it names none.
  @discardableResult
  func start(
    _ request: SIPMessage, _ path: SIPPath, user: ClientTransaction.User, via given: Via? = nil,
    submission: Submission = Submission(), _ now: Instant
  ) -> ClientTransaction {
    guard case .request(let method, _) = request.startLine else { preconditionFailure("a response is not started") }
    let branch = given?.branch ?? self.newBranch()
    var request = request
    let (path, submission) = self.prepare(&request, method, path, user, submission)
    var via = given ?? Via(transport: path.transport, sentBy: path.local, branch: branch)
    if given == nil, path.transport.isWebSocket, let host = self.configuration.webSocketHost {
      (via.host, via.port) = (host, nil)
    }
    request.headers.prepend("Via", via.description)
    let transaction = ClientTransaction(
      key: ClientTransactionKey(branch: branch, method: method), serial: self.newIdentifier(),
      timer: self.timers.reserve(), request: request, path: path, user: user,
      submission: submission, timers: self.configuration.timers(path.transport), now: now)
    self.timers.assign(.client(transaction), to: transaction.timer)
    self.clients[transaction.key] = transaction
    self.counters.requestsSent += 1
    self.send(transaction.bytes, path)
    self.settle(transaction)
    return transaction
  }

  func newBranch() -> String { "z9hG4bK" + self.generator.hexadecimal(words: 1) }

  func receive(
    response: SIPMessage, _ essentials: SIPEssentials, status: Int, reason: String, _ path: SIPPath, _ now: Instant
  ) {
    let key = ClientTransactionKey(branch: essentials.via.branch, method: essentials.cseq.method)
    // More than one Via means that the response is another element's (RFC 3261 §8.1.3.3).
    guard essentials.vias.count == 1, let transaction = self.clients[key] else {
      self.counters.unmatchedResponses += 1
      return
    }
    self.learnPublicAddress(essentials.via, path)
    // What belongs to the request later, an ACK or a CANCEL, goes over the connection that it found.
    if transaction.path.flow == nil {
      transaction.path.flow = path.flow
      // Where no port is open for connections, ours is this one's, known only now that there is one.
      if path.flow != nil { transaction.path.local = path.local }
    }
    switch transaction.receive(status: status, now: now) {
    case .deliver: self.deliver(response, essentials, status, reason, to: transaction, now)
    case .acknowledgeAndDeliver:
      let acknowledgement = self.failureAcknowledgement(transaction, to: response)
      transaction.failureAcknowledgement = acknowledgement
      self.send(acknowledgement, transaction.path)
      self.deliver(response, essentials, status, reason, to: transaction, now)
    case .acknowledge:
      guard let acknowledgement = transaction.failureAcknowledgement else { break }
      self.counters.retransmissionsSent += 1
      self.send(acknowledgement, transaction.path)
    case .none, .retransmit, .timedOut: break
    }
    self.settle(transaction)
  }

  private func deliver(
    _ response: SIPMessage, _ essentials: SIPEssentials, _ status: Int, _ reason: String,
    to transaction: ClientTransaction, _ now: Instant
  ) {
    // Nobody waits any more: then the transaction waits no longer than after a CANCEL.
    if status < 200, self.isAbandoned(transaction) { return transaction.cancelled(now: now) }
    var reason = reason
    switch self.retry(transaction, response, status, now) {
    case .again: return
    case .deliver(let better): if let better { reason = better }
    }
    let received = ReceivedResponse(message: response, essentials: essentials, status: status, reason: reason)
    switch transaction.user {
    case .invite(let id): self.receive(inviteResponse: received, transaction, self.sessions[id], now)
    case .reoffer(let id): self.receive(reofferResponse: received, transaction, self.sessions[id], now)
    case .prack: if status >= 200 { self.dialog(of: transaction.request)?.openPracks -= 1 }
    case .subscription(let id):
      guard status >= 200, let subscription = self.subscriptions[id] else { return }
      self.receive(subscriptionResponse: received, transaction, subscription, now)
    case .bye(let id):
      guard status >= 200, let session = self.sessions[id] else { return }
      if status == 500, session.lateByes < InviteSession.maximumLateByes {
        // A request of ours with a higher number has overtaken it (RFC 3261 §12.2.2): the call still stands there.
        session.lateByes += 1
        self.sendBye(session, headers: session.byeHeaders, now)
      } else {
        self.forget(session, now)
      }
    case .request(let id):
      guard status >= 200 else { return }
      self.emit(
        .requestResult(id, status: status, reason: reason, headers: response.headers, body: response.body))
    case .registration(let id): self.receive(registration: received, id, transaction, now)
    case .farewell, .nobody: break
    }
  }

  func isAbandoned(_ transaction: ClientTransaction) -> Bool {
    switch transaction.user {
    case .invite(let id), .reoffer(let id):
      transaction.key.method == .invite && self.sessions[id]?.hasEnded ?? true
    case .bye, .prack, .subscription, .request, .registration, .farewell, .nobody: false
    }
  }

  func timeout(_ transaction: ClientTransaction, _ now: Instant) {
    switch transaction.timeout(now: now) {
    case .retransmit:
      self.counters.retransmissionsSent += 1
      self.send(transaction.bytes, transaction.path)
      self.settle(transaction)
    case .timedOut:
      self.settle(transaction)
      self.closeIfSilent(transaction, now)
      if !self.goOn(transaction, isTransportFailure: false, now) { self.fail(transaction, .timeout, now) }
    case .none, .deliver, .acknowledge, .acknowledgeAndDeliver: self.settle(transaction)
    }
  }

  /// The transaction ended without a final response; it is out of the table already.
  func fail(_ transaction: ClientTransaction, _ reason: EndReason, _ now: Instant) {
    switch transaction.user {
    case .invite(let id):
      if let session = self.sessions[id] { self.failed(invite: session, reason, now) }
    case .reoffer(let id):
      if let session = self.sessions[id] { self.failed(reoffer: session, transaction, reason, now) }
    case .prack: self.dialog(of: transaction.request)?.openPracks -= 1
    case .subscription(let id):
      if let subscription = self.subscriptions[id] { self.failed(subscription, transaction, reason, now) }
    case .bye(let id):
      if let session = self.sessions[id] { self.forget(session, now) }
    case .request(let id): self.emit(.requestFailed(id, reason))
    case .registration(let id): self.failed(registration: id, transaction, reason, now)
    case .farewell, .nobody: break
    }
  }

  /// The ACK for a failure belongs to the INVITE's transaction: same branch, same hop (RFC 3261 §17.1.1.3).
  private func failureAcknowledgement(_ transaction: ClientTransaction, to response: SIPMessage) -> [UInt8] {
    var acknowledgement = Self.companion(.ack, of: transaction.request)
    if let to = response.headers["To"] { acknowledgement.headers.set("To", to) }
    return acknowledgement.serialized()
  }

  /// An ACK or a CANCEL that goes the way of `invite`, with its Via (RFC 3261 §9.1, §17.1.1.3).
  static func companion(_ method: SIPMethod, of invite: SIPMessage) -> SIPMessage {
    guard case .request(_, let uri) = invite.startLine else { preconditionFailure("a response has no companion") }
    var headers = SIPHeaders()
    for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
      if let value = invite.headers[name] { headers.append(name, value) }
    }
    let sequence = invite.headers["CSeq"]?.prefix { $0 != " " } ?? "0"
    headers.append("CSeq", "\(sequence) \(method)")
    for route in invite.headers.all("Route") { headers.append("Route", route) }
    return SIPMessage(.request(method, uri), headers: headers)
  }
}

/// A response with what was taken apart of it.
struct ReceivedResponse {
  let message: SIPMessage
  let essentials: SIPEssentials
  let status: Int
  let reason: String
}
