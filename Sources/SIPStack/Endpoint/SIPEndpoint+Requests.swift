package import NetBase

/// A request outside a dialog: MESSAGE, OPTIONS, PUBLISH, or any other (RFC 3261 §8.1, RFC 3428, RFC 3903).
package struct OutgoingRequest: Sendable {
  package var method: SIPMethod
  package var requestURI: SIPURI
  package var from: NameAddress
  package var to: NameAddress
  /// Where it goes, in order; when empty the endpoint asks by a `locate` event.
  package var targets: [SIPTarget]
  /// Our own address, which stands in Via unless the target names another.
  package var local: SocketAddress
  package var routeSet: [NameAddress]
  package var headers: [(String, String)]
  package var body: SIPBody?
  package var account: SIPAccountID?

  /// - Parameter requestURI: the URI of `to` when nil.
  package init(
    _ method: SIPMethod, to: NameAddress, from: NameAddress, requestURI: SIPURI? = nil, targets: [SIPTarget] = [],
    local: SocketAddress, routeSet: [NameAddress] = [], headers: [(String, String)] = [], body: SIPBody? = nil,
    account: SIPAccountID? = nil
  ) {
    (self.method, self.to, self.from, self.requestURI) = (method, to, from, requestURI ?? to.uri)
    (self.targets, self.local, self.routeSet, self.headers) = (targets, local, routeSet, headers)
    (self.body, self.account) = (body, account)
  }
}

/// One request of a peer's outside a dialog, until it is answered.
package struct IncomingRequestID: Hashable, Sendable {
  package let value: UInt64
}

/// A request outside a dialog that came from a peer.
package struct IncomingRequest: Sendable {
  package let method: SIPMethod
  package let requestURI: SIPURI
  package let from: NameAddress
  package let to: NameAddress
  package let callID: String
  package let headers: SIPHeaders
  package let body: SIPBody?
  package let path: SIPPath
  package let account: SIPAccountID?
}

extension SIPEndpoint {
  /// Sends a request outside a dialog; `requestResult` or `requestFailed` brings the result, exactly once.
  package func request(_ outgoing: OutgoingRequest, now: Instant) -> RequestID {
    let id = RequestID(value: self.newIdentifier())
    var from = outgoing.from
    from.tag = self.newTag()
    var request = self.request(
      outgoing.method, uri: outgoing.requestURI, from: from, to: outgoing.to, routes: outgoing.routeSet)
    request.headers.append("User-Agent", self.configuration.userAgent)
    for (name, value) in outgoing.headers { request.headers.append(name, value) }
    request.set(body: outgoing.body)
    let submission = Submission(account: outgoing.account)
    if outgoing.targets.isEmpty {
      let first = outgoing.routeSet.first?.uri ?? outgoing.requestURI
      self.locate(first, .request(id, request, submission, local: outgoing.local))
    } else {
      self.located(id, request, submission, outgoing.targets, local: outgoing.local, reason: "", now)
    }
    return id
  }

  func located(
    _ id: RequestID, _ request: SIPMessage, _ submission: Submission, _ targets: [SIPTarget], local: SocketAddress,
    reason: String, _ now: Instant
  ) {
    guard let first = targets.first else { return self.emit(.requestFailed(id, .unreachable(reason))) }
    var submission = submission
    submission.alternatives = targets.dropFirst().map { $0.path(local: local) }
    self.start(request, first.path(local: local), user: .request(id), submission: submission, now)
  }

  /// Answers an `incomingRequest`.
  ///
  /// - Parameter status: 200 to 699.
  package func respond(
    _ id: IncomingRequestID, status: Int, reason: String? = nil, headers: [(String, String)] = [],
    body: SIPBody? = nil, now: Instant
  ) {
    precondition((200..<700).contains(status), "respond with a status that is not final")
    guard let transaction = self.incomingRequests.removeValue(forKey: id) else { return }
    self.respond(transaction, status, reason: reason, headers: headers, body: body, now)
  }

  func receive(outside transaction: ServerTransaction, source: SIPPath) {
    let id = IncomingRequestID(value: self.newIdentifier())
    self.incomingRequests[id] = transaction
    let essentials = transaction.essentials
    self.emit(
      .incomingRequest(
        id,
        IncomingRequest(
          method: essentials.cseq.method, requestURI: transaction.uri, from: essentials.from, to: essentials.to,
          callID: essentials.callID, headers: transaction.request.headers, body: transaction.request.body,
          path: source, account: transaction.account)))
  }
}
