package import NetBase

/// Calls that this end makes (RFC 3261 §13.2), and requests outside a dialog.
extension SIPEndpoint {
  /// Sends an INVITE. Without a body it asks the peer for an offer; `answered` brings it then.
  package func invite(_ call: OutgoingInvite, now: Instant) -> SessionID {
    let id = SessionID(value: self.newIdentifier())
    let paths = call.targets.map { $0.path(local: call.local) }
    let path = paths[0]
    var from = call.from
    from.tag = self.newTag()
    var request = self.request(.invite, uri: call.requestURI, from: from, to: call.to, routes: call.routeSet)
    let contact = NameAddress(uri: call.contact)
    let policy = call.policy ?? self.configuration.policy
    self.complete(&request, contact: contact, policy)
    for (name, value) in call.headers { request.headers.append(name, value) }
    request.set(body: call.body)
    let transaction = self.start(
      request, path, user: .invite(id),
      submission: Submission(account: call.account, alternatives: Array(paths.dropFirst())), now)
    let session = InviteSession(
      id: id, timer: self.timers.reserve(), isCaller: true, contact: contact, policy: policy,
      state: .calling(transaction, .no))
    session.account = call.account
    session.localDescription = call.body
    self.timers.assign(.session(session), to: session.timer)
    self.sessions[id] = session
    return id
  }

  /// Sends the answer to the offer of a 2xx (event `answered`) in its ACK.
  package func acknowledge(_ id: SessionID, body: SIPBody?, now: Instant) {
    guard let session = self.sessions[id], case .owingAcknowledgement(let transaction) = session.state else { return }
    self.acknowledge(session, transaction, body: body)
    if body != nil { session.localDescription = body }
    session.state = .confirmed
    self.emit(.established(id, nil))
    self.settle(session)
  }

  /// Sends OPTIONS outside a dialog; `requestResult` or `requestFailed` brings the result.
  package func options(
    to: NameAddress, from: NameAddress, destination: SocketAddress, local: SocketAddress,
    transport: SIPTransportKind = .udp, now: Instant
  ) -> RequestID {
    let id = RequestID(value: self.newIdentifier())
    var from = from
    from.tag = self.newTag()
    var request = self.request(.options, uri: to.uri, from: from, to: to, routes: [])
    request.headers.append("Accept", self.configuration.accept.joined(separator: ", "))
    request.headers.append("User-Agent", self.configuration.userAgent)
    let path = SIPPath(peer: destination, local: local, transport: transport)
    self.start(request, path, user: .request(id), now)
    return id
  }

  /// A request outside a dialog without its Via (RFC 3261 §8.1.1, §12.2.1.1 for the strict router).
  func request(
    _ method: SIPMethod, uri: SIPURI, from: NameAddress, to: NameAddress, routes: [NameAddress]
  ) -> SIPMessage {
    var uri = uri
    // What follows the question mark in a URI, and a method in it, is not for the request line (§19.1.1).
    uri.headers = nil
    uri.parameters["method"] = nil
    var routes = routes
    if let first = routes.first, !first.uri.parameters.contains("lr") {
      routes = routes.dropFirst() + [NameAddress(uri: uri)]
      uri = first.uri
    }
    var headers = SIPHeaders()
    headers.append("Max-Forwards", "70")
    headers.append("From", from.description)
    headers.append("To", to.description)
    headers.append("Call-ID", self.generator.hexadecimal(words: 2))
    headers.append("CSeq", CSeq(number: 1, method: method).description)
    for route in routes { headers.append("Route", route.description) }
    return SIPMessage(.request(method, uri), headers: headers)
  }

  /// The header fields that every INVITE of ours has besides.
  private func complete(_ request: inout SIPMessage, contact: NameAddress, _ policy: CallPolicy) {
    request.headers.append("Contact", contact.description)
    var required: [String] = []
    if policy.reliableProvisional == .required { required.append("100rel") }
    if policy.sessionTimers.use == .required { required.append("timer") }
    if !required.isEmpty { request.headers.append("Require", required.joined(separator: ", ")) }
    for (name, value) in self.capabilities(policy) + policy.sessionTimers.inviteHeaders() {
      request.headers.append(name, value)
    }
    request.headers.append("User-Agent", self.configuration.userAgent)
  }

  // MARK: Responses to the INVITE

  func receive(
    inviteResponse response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession?,
    _ now: Instant
  ) {
    switch response.status {
    case ..<200:
      guard let session, case .calling(_, let hangUp) = session.state else { return }
      self.progress(session, transaction, response, hangUp, now)
    case 200..<300: self.accepted(response, transaction, session, now)
    default:
      guard let session, case .calling(_, let hangUp) = session.state else { return }
      if case .no = hangUp, response.status == 422, self.raiseInterval(session, transaction, response, now) { return }
      self.emit(.headers(session.id, .invite, status: response.status, response.message.headers))
      self.abandonReoffers(session, now)
      switch (hangUp, response.status) {
      case (.deferred, _), (.cancelSent, _): self.end(session, .cancelled)
      case (.no, ..<400):
        self.end(session, .redirected(response.message.headers.list("Contact").compactMap { try? NameAddress($0) }))
      case (.no, _): self.end(session, .rejected(status: response.status, reason: response.reason))
      }
      self.forget(session, now)
    }
  }

  private func progress(
    _ session: InviteSession, _ transaction: ClientTransaction, _ response: ReceivedResponse,
    _ hangUp: InviteSession.HangUp, _ now: Instant
  ) {
    let record = self.earlyDialog(session, transaction, response)
    switch hangUp {
    case .deferred: self.cancel(session, transaction, now)
    case .cancelSent: break
    case .no:
      guard response.status > 100 else { return }
      if let record, let number = self.reliableNumber(of: response, session) {
        self.receive(reliable: response, number, transaction, record, session, now)
      } else {
        self.emit(.progress(session.id, CallProgress(response, record?.id, isReliable: false)))
      }
    }
  }

  /// The early dialog of a provisional response, made when it is the first of its fork.
  private func earlyDialog(
    _ session: InviteSession, _ transaction: ClientTransaction, _ response: ReceivedResponse
  ) -> DialogRecord? {
    guard response.status > 100, let tag = response.essentials.to.tag else { return nil }
    if let record = session.earlyDialogs.first(where: { $0.id.remoteTag == tag }) { return record }
    guard session.earlyDialogs.count < InviteSession.maximumForks,
      let record = self.record(transaction, response, session)
    else { return nil }
    record.exchange = transaction.request.bytes.isEmpty ? .none : .offered
    session.earlyDialogs.append(record)
    self.dialogs[record.id] = record
    return record
  }

  /// Sends CANCEL: the session ends with the final response, or 64 × T1 from now (RFC 3261 §9.1).
  func cancel(_ session: InviteSession, _ transaction: ClientTransaction, _ now: Instant) {
    session.state = .calling(transaction, .cancelSent)
    self.abandonReoffers(session, now)
    self.cancel(transaction, headers: session.byeHeaders, now)
  }

  func cancel(_ transaction: ClientTransaction, headers: [(String, String)] = [], _ now: Instant) {
    var request = Self.companion(.cancel, of: transaction.request)
    // The INVITE's, whatever port the connection has turned out to have since: it is found by it (RFC 3261 §9.1, §9.2).
    let via = request.headers["Via"].flatMap { try? Via($0) }
    request.headers.remove("Via")
    for (name, value) in headers { request.headers.append(name, value) }
    request.headers.append("User-Agent", self.configuration.userAgent)
    self.start(request, transaction.path, user: .nobody, via: via, now)
    transaction.cancelled(now: now)
    self.settle(transaction)
  }

  private func accepted(
    _ response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession?, _ now: Instant
  ) {
    let tag = response.essentials.to.tag ?? ""
    switch transaction.acknowledgements[tag] {
    case .sent(let bytes, let path):
      self.counters.retransmissionsSent += 1
      return self.send(bytes, path)
    case .awaited: return
    case nil: break
    }
    guard let session, case .calling(_, let hangUp) = session.state else {
      return self.declineFork(response, transaction, now)
    }
    guard
      let record = session.earlyDialogs.first(where: { $0.id.remoteTag == tag })
        ?? self.record(transaction, response, session)
    else { return }
    self.settle(session, on: record, now)
    // Not what an UPDATE said to a fork that lost.
    session.localDescription = record.localDescription ?? transaction.request.body
    record.dialog.confirm(response: response.message)
    session.peer.note(response.message.headers)
    self.startTimer(session, from: response.message, now)
    self.emit(.headers(session.id, .invite, status: response.status, response.message.headers))
    switch hangUp {
    case .deferred, .cancelSent:
      // The 2xx crossed the CANCEL: the call stands, so it is hung up (RFC 3261 §15).
      self.acknowledge(session, transaction, body: nil)
      self.end(session, .cancelled)
      self.sendBye(session, headers: session.byeHeaders, now)
    case .no where transaction.request.bytes.isEmpty && response.message.body != nil && record.exchange == .none:
      transaction.acknowledgements[tag] = .awaited
      session.state = .owingAcknowledgement(transaction)
      self.emit(.answered(session.id, offer: response.message.body))
    case .no:
      self.acknowledge(session, transaction, body: nil)
      session.state = .confirmed
      // What a reliable response has answered stands, whatever the 2xx says (RFC 3261 §13.2.1), until an UPDATE.
      let early = record.localDescription == nil ? record.answer : nil
      self.emit(.established(session.id, record.exchange == .complete ? early : response.message.body))
    }
    self.settle(session)
  }

  /// One fork has won: its dialog is the session's, the others are let go.
  private func settle(_ session: InviteSession, on record: DialogRecord, _ now: Instant) {
    let losers = session.earlyDialogs.filter { $0 !== record }
    if losers.contains(where: { $0 === session.incomingReoffer?.record || $0 === session.outgoingRecord }) {
      self.abandonReoffers(session, now)
    }
    if !losers.isEmpty { session.peer = PeerCapabilities() }
    for loser in losers { self.leave(early: loser, of: session) }
    session.earlyDialogs = []
    session.dialog = record
    self.dialogs[record.id] = record
  }

  /// The session leaves an early dialog, whose fork may answer all the same.
  func leave(early record: DialogRecord, of session: InviteSession) {
    if case .calling(let transaction, _) = session.state {
      transaction.earlySequences[record.id.remoteTag] = record.dialog.localSequence
    }
    self.leave(record)
  }

  /// A 2xx of another fork, or one that came after the session was gone: ACK, then BYE (RFC 3261 §13.2.2.4).
  private func declineFork(_ response: ReceivedResponse, _ transaction: ClientTransaction, _ now: Instant) {
    guard transaction.acknowledgements.count < InviteSession.maximumForks,
      let record = self.record(transaction, response, nil)
    else { return }
    self.counters.forkedAnswers += 1
    if let last = transaction.earlySequences[record.id.remoteTag] { record.dialog.resume(after: last) }
    self.acknowledge(record, transaction, body: nil)
    self.send(.bye, in: record, user: .farewell, submission: Submission(account: transaction.submission.account), now)
  }

  func failed(invite session: InviteSession, _ reason: EndReason, _ now: Instant) {
    guard case .calling(_, let hangUp) = session.state else { return }
    self.abandonReoffers(session, now)
    switch hangUp {
    case .no: self.end(session, reason)
    case .deferred, .cancelSent: self.end(session, .cancelled)
    }
    self.forget(session, now)
  }

  private func record(
    _ transaction: ClientTransaction, _ response: ReceivedResponse, _ session: InviteSession?
  ) -> DialogRecord? {
    guard let sent = try? SIPEssentials(transaction.request) else { return nil }
    let dialog = Dialog(
      invite: transaction.request, sent: sent, response: response.message, received: response.essentials)
    let contact = session?.contact ?? NameAddress(uri: sent.from.uri)
    return DialogRecord(dialog, start: transaction.path, contact: contact, session: session?.id)
  }

  // MARK: ACK of a 2xx

  /// Sends the ACK of the 2xx that `transaction` has brought, in the session's dialog.
  func acknowledge(_ session: InviteSession, _ transaction: ClientTransaction, body: SIPBody?) {
    guard let record = session.dialog else { return }
    self.acknowledge(record, transaction, body: body)
  }

  func acknowledge(_ record: DialogRecord, _ transaction: ClientTransaction, body: SIPBody?) {
    guard let cseq = transaction.request.headers["CSeq"].flatMap({ try? CSeq($0) }) else { return }
    let path = record.path
    var request = record.dialog.request(.ack, sequence: cseq.number)
    request.headers.prepend(
      "Via", Via(transport: path.transport, sentBy: path.local, branch: self.newBranch()).description)
    // An ACK can't be challenged: it carries what the INVITE carried (RFC 3261 §22.1).
    for name in ["Authorization", "Proxy-Authorization"] {
      for value in transaction.request.headers.all(name) { request.headers.append(name, value) }
    }
    request.headers.append("User-Agent", self.configuration.userAgent)
    request.set(body: body)
    let bytes = request.serialized()
    transaction.acknowledgements[record.id.remoteTag] = .sent(bytes, path)
    self.counters.requestsSent += 1
    self.send(bytes, path)
  }
}
