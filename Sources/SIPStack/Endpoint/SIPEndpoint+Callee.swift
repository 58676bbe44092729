package import NetBase

/// Calls that peers make (RFC 3261 §13.3), their CANCEL and their ACK.
extension SIPEndpoint {
  /// Sends a provisional response, reliably where that was agreed (RFC 3262): then several wait for each other.
  ///
  /// - Parameters:
  ///   - status: 101 to 199; 180 rings, 183 with a body gives early media.
  ///   - body: the answer, or the offer when the INVITE had none and the response is reliable.
  package func ring(
    _ id: SessionID, status: Int = 180, reason: String? = nil, headers: [(String, String)] = [], body: SIPBody? = nil,
    now: Instant
  ) {
    precondition((101..<200).contains(status), "ring with a status that is not provisional")
    guard let session = self.sessions[id], case .incoming(let transaction) = session.state else { return }
    if session.reliable != nil {
      self.ring(
        reliably: session, transaction, .init(status: status, reason: reason, headers: headers, body: body), now)
    } else {
      self.respond(
        transaction, status, reason: reason, headers: self.dialogHeaders(session) + headers, body: body, now)
    }
    session.provisionalRefresh = now.advanced(by: InviteSession.provisionalInterval)
    self.settle(session)
  }

  /// Answers the call with 200; `established` follows with the ACK.
  ///
  /// - Parameter body: the answer, or the offer when the INVITE had none. Left out where it went in a reliable provisional
  ///   response: that exchange is complete, and an UPDATE may have changed it since.
  package func accept(_ id: SessionID, headers: [(String, String)] = [], body: SIPBody?, now: Instant) {
    guard let session = self.sessions[id], case .incoming(let transaction) = session.state else { return }
    if var reliable = session.reliable, reliable.outstanding?.hasBody == true {
      // The 2xx waits until the description is confirmed (RFC 3262 §3).
      if reliable.answer == nil { reliable.answer = .init(headers: headers, body: body) }
      session.reliable = reliable
      return
    }
    self.accept(session, transaction, headers: headers, body: body, now)
  }

  func accept(
    _ session: InviteSession, _ transaction: ServerTransaction, headers: [(String, String)], body: SIPBody?,
    _ now: Instant
  ) {
    session.reliable?.stop()
    session.state = .answered
    session.provisionalRefresh = nil
    let isOfferDone = session.dialog?.exchange == .complete
    if body != nil, !isOfferDone { session.localDescription = body }
    session.dialog?.exchange = .complete
    self.answer(session, transaction, body: isOfferDone ? nil : body, isReoffer: false, headers: headers, now)
    if let other = session.replaces { self.replace(other, by: session.id, now) }
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
    self.abandonReoffers(session, now)
    self.end(session, .rejected(status: status, reason: reason ?? ReasonPhrase.of(status)))
    self.forget(session, now)
  }

  /// Contact, Allow and Supported.
  func dialogHeaders(_ session: InviteSession) -> [(String, String)] {
    [("Contact", session.contact.description)] + self.capabilities(session.policy)
  }

  /// Sends the 2xx to an INVITE and repeats it until its ACK comes (RFC 3261 §13.3.1.4).
  func answer(
    _ session: InviteSession, _ transaction: ServerTransaction, body: SIPBody?, isReoffer: Bool,
    headers more: [(String, String)], _ now: Instant
  ) {
    let headers = self.dialogHeaders(session) + self.timerHeaders(session, transaction, now) + more
    guard let bytes = self.respond(transaction, 200, headers: headers, body: body, now) else { return }
    let timers = self.configuration.timers(transaction.path.transport)
    session.answer = InviteSession.UnacknowledgedAnswer(
      sequence: transaction.essentials.cseq.number, bytes: bytes, path: transaction.path,
      viaPort: transaction.viaPort,
      backoff: Backoff(timers.t1, cap: timers.t2, now: now), limit: now.advanced(by: timers.limit),
      isOffer: transaction.request.bytes.isEmpty && body != nil, isReoffer: isReoffer)
    self.settle(session)
  }

  func receive(invite transaction: ServerTransaction, source: SIPPath, _ now: Instant) {
    let (request, essentials) = (transaction.request, transaction.essentials)
    let replaced: SessionID?
    switch self.replaced(by: request) {
    case .none: replaced = nil
    case .session(let id): replaced = id
    case .refused(let status): return self.refuse(transaction, status, now)
    }
    let invite = IncomingInvite(
      from: essentials.from, to: essentials.to, requestURI: transaction.uri, callID: essentials.callID,
      headers: request.headers, body: request.body, source: source.peer, local: source.local,
      transport: source.transport, flow: source.flow, account: transaction.account, replaces: replaced)
    let policy = self.policyForCall?(invite) ?? self.configuration.policy
    let peer = PeerCapabilities(request.headers)
    if let (status, headers) = self.refusal(of: request, peer, policy) {
      return self.refuse(transaction, status, headers: headers, now)
    }
    let tag = self.newTag()
    transaction.localTag = tag
    let id = SessionID(value: self.newIdentifier())
    let contact = NameAddress(uri: self.contact(for: transaction, source))
    let record = DialogRecord(
      Dialog(invite: request, received: essentials, localTag: tag), start: source, contact: contact, session: id)
    record.exchange = request.bytes.isEmpty ? .none : .received
    let session = InviteSession(
      id: id, timer: self.timers.reserve(), isCaller: false, contact: contact, policy: policy,
      state: .incoming(transaction), dialog: record)
    session.peer = peer
    session.account = transaction.account
    session.replaces = replaced
    session.inviteSequence = essentials.cseq
    if policy.reliableProvisional != .no, peer.supportsReliable {
      session.reliable = ReliableProvisionals(first: UInt32.random(in: 1...0x3FFF_FFFF, using: &self.generator))
    }
    self.timers.assign(.session(session), to: session.timer)
    transaction.session = id
    self.sessions[id] = session
    self.dialogs[record.id] = record
    self.respond(transaction, 100, now)
    self.emit(.incomingCall(id, invite))
  }

  /// Where the peer reaches us: the user that it asked for, at the address at which it found us.
  func contact(for transaction: ServerTransaction, _ source: SIPPath) -> SIPURI {
    var contact = SIPURI(user: transaction.uri.user, host: source.local.uriHost, port: source.local.port)
    contact.parameters["transport"] = source.transport.uriParameter
    guard source.transport.isSecure else { return contact }
    let route = transaction.request.headers.list("Record-Route").first ?? transaction.request.headers["Contact"]
    let isSecured =
      transaction.uri.scheme == .sips || route.flatMap({ try? NameAddress($0) })?.uri.scheme == .sips
    return isSecured ? contact.secured : contact
  }

  /// What the policy refuses of an INVITE: extensions that are off, required ones that the peer lacks.
  private func refusal(
    of request: SIPMessage, _ peer: PeerCapabilities, _ policy: CallPolicy
  ) -> (status: Int, headers: [(String, String)])? {
    if let unsupported = self.unsupported(request, policy) { return (420, [("Unsupported", unsupported)]) }
    if policy.reliableProvisional == .required, !peer.supportsReliable { return (421, [("Require", "100rel")]) }
    if policy.sessionTimers.use == .required, !peer.supportsTimers { return (421, [("Require", "timer")]) }
    return self.intervalRefusal(policy.sessionTimers, request).map { (422, $0) }
  }

  /// CANCEL: 200 when there is something to cancel, and 487 to that (RFC 3261 §9.2).
  func receive(cancel transaction: ServerTransaction, _ now: Instant) {
    let key = ServerTransactionKey(transaction.essentials, uri: transaction.uri, method: .invite)
    guard let invite = self.servers[key] else { return self.refuse(transaction, 481, now) }
    // Both get the tag of the INVITE's other responses.
    transaction.localTag = invite.localTag
    self.respond(transaction, 200, now)
    guard invite.isPending, let session = invite.session.flatMap({ self.sessions[$0] }) else { return }
    self.emit(.headers(session.id, .cancel, status: nil, transaction.request.headers))
    self.respond(invite, 487, now)
    if session.incomingReoffer?.transaction === invite {
      session.incomingReoffer = nil
      self.emit(.reofferCancelled(session.id))
    } else {
      self.abandonReoffers(session, now)
      self.end(session, .cancelled)
      self.forget(session, now)
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
    guard let record = self.dialogs[id], let session = record.session.flatMap({ self.sessions[$0] }) else {
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
    case .leaving: self.sendBye(session, headers: session.byeHeaders, now)
    case .confirmed:
      if answer.isReoffer { self.emit(.reofferAcknowledged(session.id, answer.isOffer ? body : nil)) }
    case .calling, .owingAcknowledgement, .incoming: break
    }
    self.settle(session)
  }
}
