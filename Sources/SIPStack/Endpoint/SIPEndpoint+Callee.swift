package import NetBase

/// Calls that peers make (RFC 3261 §13.3), their CANCEL and their ACK.
extension SIPEndpoint {
  /// Sends a provisional response.
  ///
  /// - Parameter status: 101 to 199; 180 rings, 183 with a body gives early media.
  package func ring(_ id: SessionID, status: Int = 180, reason: String? = nil, body: SIPBody? = nil, now: Instant) {
    precondition((101..<200).contains(status), "ring with a status that is not provisional")
    guard let session = self.sessions[id], case .incoming(let transaction) = session.state else { return }
    self.respond(
      transaction, status, reason: reason, headers: self.dialogHeaders(session), body: body, now)
    session.provisionalRefresh = now.advanced(by: InviteSession.provisionalInterval)
    self.settle(session)
  }

  /// Answers the call with 200; `established` follows with the ACK.
  ///
  /// - Parameter body: the answer, or the offer when the INVITE had none.
  package func accept(_ id: SessionID, body: SIPBody?, now: Instant) {
    guard let session = self.sessions[id], case .incoming(let transaction) = session.state else { return }
    session.state = .answered
    session.provisionalRefresh = nil
    self.answer(session, transaction, body: body, isReoffer: false, now)
  }

  /// Refuses the call; it ends with `rejected`.
  ///
  /// - Parameter status: 300 to 699.
  package func reject(
    _ id: SessionID, status: Int, reason: String? = nil, headers: [(String, String)] = [], now: Instant
  ) {
    precondition((300..<700).contains(status), "reject with a status that does not refuse")
    guard let session = self.sessions[id], case .incoming(let transaction) = session.state else { return }
    self.respond(transaction, status, reason: reason, headers: headers, now)
    self.end(session, .rejected(status: status, reason: reason ?? ReasonPhrase.of(status)))
    self.forget(session)
  }

  /// Contact, Allow and Supported.
  func dialogHeaders(_ session: InviteSession) -> [(String, String)] {
    [("Contact", session.contact.description)] + self.capabilities
  }

  /// Sends the 2xx to an INVITE and repeats it until its ACK comes (RFC 3261 §13.3.1.4).
  func answer(
    _ session: InviteSession, _ transaction: ServerTransaction, body: SIPBody?, isReoffer: Bool, _ now: Instant
  ) {
    let headers = self.dialogHeaders(session)
    guard let bytes = self.respond(transaction, 200, headers: headers, body: body, now) else { return }
    let timers = self.configuration.timers(transaction.path.transport)
    session.answer = InviteSession.UnacknowledgedAnswer(
      sequence: transaction.essentials.cseq.number, bytes: bytes, path: transaction.path,
      backoff: Backoff(timers.t1, cap: timers.t2, now: now), limit: now.advanced(by: timers.limit),
      isOffer: transaction.request.bytes.isEmpty && body != nil, isReoffer: isReoffer)
    self.settle(session)
  }

  func receive(invite transaction: ServerTransaction, source: SIPPath, _ now: Instant) {
    let (request, essentials) = (transaction.request, transaction.essentials)
    let tag = self.newTag()
    transaction.localTag = tag
    let dialog = Dialog(invite: request, received: essentials, localTag: tag)
    var local = source.local
    local.scope = 0
    var contact = SIPURI(user: transaction.uri.user, host: local.uriHost, port: local.port)
    contact.parameters["transport"] = source.transport.uriParameter
    let id = SessionID(value: self.newIdentifier())
    let session = InviteSession(
      id: id, timer: self.timers.reserve(), isCaller: false, contact: NameAddress(uri: contact), path: source,
      state: .incoming(transaction), dialog: dialog)
    session.account = transaction.account
    self.timers.assign(.session(session), to: session.timer)
    transaction.session = id
    self.sessions[id] = session
    self.dialogs[dialog.id] = session
    self.respond(transaction, 100, now)
    self.emit(
      .incomingCall(
        id,
        IncomingInvite(
          from: essentials.from, to: essentials.to, requestURI: transaction.uri, callID: essentials.callID,
          headers: request.headers, body: request.body, source: source.peer, local: source.local,
          transport: source.transport, flow: source.flow, account: transaction.account)))
  }

  /// CANCEL: 200 when there is something to cancel, and 487 to that (RFC 3261 §9.2).
  func receive(cancel transaction: ServerTransaction, _ now: Instant) {
    let key = ServerTransactionKey(transaction.essentials, uri: transaction.uri, method: .invite)
    guard let invite = self.servers[key] else { return self.refuse(transaction, 481, now) }
    transaction.localTag = invite.localTag
    self.respond(transaction, 200, now)
    guard invite.isPending, let session = invite.session.flatMap({ self.sessions[$0] }) else { return }
    self.respond(invite, 487, now)
    if session.incomingReoffer === invite {
      session.incomingReoffer = nil
      self.emit(.reofferCancelled(session.id))
    } else {
      self.end(session, .cancelled)
      self.forget(session)
    }
  }

  /// ACK of a failure ends in its transaction; ACK of a 2xx belongs to the session (RFC 3261 §17.2.1, §13.3.1.4).
  func receive(acknowledgement request: SIPMessage, _ essentials: SIPEssentials, _ uri: SIPURI, _ now: Instant) {
    let key = ServerTransactionKey(essentials, uri: uri, method: .invite)
    if let transaction = self.servers[key] {
      let action = transaction.receiveAcknowledgement(now: now)
      self.settle(transaction)
      // A peer that gives the ACK of a 2xx the branch of its INVITE still means the session.
      guard case .deliver = action else { return }
    }
    let id = DialogID(
      callID: essentials.callID, localTag: essentials.to.tag ?? "", remoteTag: essentials.from.tag ?? "")
    guard let session = self.dialogs[id] else {
      self.counters.unmatchedAcknowledgements += 1
      return
    }
    guard let answer = session.answer, answer.sequence == essentials.cseq.number else { return }
    self.acknowledged(session, answer, body: request.body, now)
  }

  func acknowledged(
    _ session: InviteSession, _ answer: InviteSession.UnacknowledgedAnswer, body: SIPBody?, _ now: Instant
  ) {
    session.answer = nil
    switch session.state {
    case .answered:
      session.state = .confirmed
      self.emit(.established(session.id, answer.isOffer ? body : nil))
    case .leaving: self.sendBye(session, now)
    case .confirmed:
      if answer.isReoffer { self.emit(.reofferAcknowledged(session.id, answer.isOffer ? body : nil)) }
    case .calling, .owingAcknowledgement, .incoming: break
    }
    self.settle(session)
  }
}
