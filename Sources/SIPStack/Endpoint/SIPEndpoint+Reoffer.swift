package import NetBase

/// Changing a session: re-INVITE and UPDATE, both ways (RFC 3261 §14, RFC 3311).
extension SIPEndpoint {
  /// Sends a re-INVITE. A glare (491) is tried again by itself; `reofferAnswered` or `reofferFailed` follows.
  ///
  /// - Parameter byUpdate: whether an UPDATE takes its place, where the session stands and the peer allows it.
  package func reinvite(
    _ id: SessionID, body: SIPBody, byUpdate: Bool = false, headers: [(String, String)] = [], now: Instant
  ) {
    guard let session = self.sessions[id], !session.hasEnded else { return }
    guard let record = session.dialog else { return self.refuseReoffer(id) }
    let method: SIPMethod = byUpdate && session.peer.allowsUpdate && !session.isEarly ? .update : .invite
    self.reoffer(
      session, .init(method: method, body: body, purpose: .user, record: record, headers: headers), now)
  }

  /// Whether a change of the session is under way, ours or the peer's, so that another must wait (RFC 3261 §14.1);
  /// `reofferAnswered`, `reofferFailed`, `reofferAcknowledged`, `reofferCancelled`, `sessionRefreshed` or
  /// `sessionRefreshFailed` tells its end, and for the peer's UPDATE `acceptReinvite` or `rejectReinvite` is the end.
  package func isChanging(_ id: SessionID) -> Bool {
    guard let session = self.sessions[id] else { return false }
    return session.outgoingReoffer != nil || session.incomingReoffer != nil || session.answer != nil
  }

  /// Sends an UPDATE, which needs no ACK and may go out before the call is answered, once an offer was answered
  /// reliably (RFC 3311 §5.1). Results as for `reinvite`.
  ///
  /// - Parameters:
  ///   - dialog: one of several early dialogs; nil for the only one.
  ///   - body: an offer; nil only refreshes Contact and the session timer.
  package func update(
    _ id: SessionID, dialog: DialogID? = nil, body: SIPBody?, headers: [(String, String)] = [], now: Instant
  ) {
    guard let session = self.sessions[id], !session.hasEnded else { return }
    guard let record = dialog.map({ session.record($0) }) ?? session.dialog ?? session.earlyDialogs.first else {
      return self.refuseReoffer(id)
    }
    self.reoffer(
      session, .init(method: .update, body: body, purpose: .user, record: record, headers: headers), now)
  }

  /// Accepts the peer's re-INVITE, UPDATE or PRACK with an answer, or with an offer when it brought none.
  package func acceptReinvite(
    _ id: SessionID, body: SIPBody?, headers: [(String, String)] = [], now: Instant
  ) {
    guard let session = self.sessions[id], let incoming = session.incomingReoffer else { return }
    session.incomingReoffer = nil
    let transaction = incoming.transaction
    incoming.record.dialog.refreshTarget(from: transaction.request)
    if body != nil { (incoming.record.localDescription, session.localDescription) = (body, body) }
    switch transaction.essentials.cseq.method {
    case .invite: self.answer(session, transaction, body: body, isReoffer: true, headers: headers, now)
    case .update:
      // A session timer runs in a session that stands, as what ends it is BYE (RFC 4028 §10).
      let timer = session.isEarly || incoming.wasEarly ? [] : self.timerHeaders(session, transaction, now)
      self.respond(
        transaction, 200, headers: self.dialogHeaders(session) + timer + headers, body: body, now)
      self.settle(session)
    default: self.respond(transaction, 200, headers: headers, body: body, now)
    }
  }

  /// Refuses the peer's re-INVITE, UPDATE or PRACK; the session stays as it was.
  ///
  /// - Parameter status: 300 to 699; 488 is the usual one.
  package func rejectReinvite(
    _ id: SessionID, status: Int = 488, reason: String? = nil, headers: [(String, String)] = [], now: Instant
  ) {
    precondition((300..<700).contains(status), "rejectReinvite with a status that does not refuse")
    guard let session = self.sessions[id], let incoming = session.incomingReoffer else { return }
    session.incomingReoffer = nil
    self.respond(incoming.transaction, status, reason: reason, headers: headers, now)
  }

  /// Gives up an offer of ours that was met by one of the peer's and waits to be sent again; nothing more is told of it.
  ///
  /// - Returns: whether there was one.
  package func withdrawReoffer(_ id: SessionID) -> Bool {
    guard let session = self.sessions[id], case .backingOff(_, let reoffer)? = session.outgoingReoffer,
      reoffer.purpose == .user
    else { return false }
    session.outgoingReoffer = nil
    self.settle(session)
    return true
  }

  // MARK: Ours

  private func refuseReoffer(_ id: SessionID) {
    self.emit(.reofferFailed(id, status: 491, reason: ReasonPhrase.of(491)))
  }

  private func reoffer(_ session: InviteSession, _ reoffer: InviteSession.Reoffer, _ now: Instant) {
    guard self.canSend(reoffer, session) else { return self.refuseReoffer(session.id) }
    self.sendReoffer(session, reoffer, now)
  }

  /// Whether no other offer is on its way (RFC 3261 §14.1, RFC 3311 §5.1).
  func canSend(_ reoffer: InviteSession.Reoffer, _ session: InviteSession) -> Bool {
    guard session.outgoingReoffer == nil, session.incomingReoffer == nil, session.answer == nil else { return false }
    switch session.state {
    case .confirmed: return session.dialog === reoffer.record
    case .calling(_, .no), .incoming:
      return reoffer.method == .update && (reoffer.record.exchange == .complete || !reoffer.hasOffer)
        && session.reliable?.outstanding == nil && reoffer.record.openPracks == 0
        && session.record(reoffer.record.id) != nil
    case .calling(_, .deferred), .calling(_, .cancelSent), .owingAcknowledgement, .answered, .leaving: return false
    }
  }

  func sendReoffer(_ session: InviteSession, _ reoffer: InviteSession.Reoffer, _ now: Instant) {
    var reoffer = reoffer
    reoffer.wasEarly = session.isEarly
    let headers =
      self.dialogHeaders(session) + self.refreshHeaders(session) + reoffer.headers
    let transaction = self.send(
      reoffer.method, in: reoffer.record, user: .reoffer(session.id), headers: headers, body: reoffer.body, now)
    session.outgoingReoffer = .sent(transaction, reoffer)
    self.settle(session)
  }

  /// The random wait after a 491 is over.
  func retry(_ session: InviteSession, _ reoffer: InviteSession.Reoffer, _ now: Instant) {
    session.outgoingReoffer = nil
    var reoffer = reoffer
    if self.canSend(reoffer, session) {
      reoffer.attempt += 1
      self.sendReoffer(session, reoffer, now)
    } else {
      // The peer's own change is not done yet.
      self.backOff(session, reoffer, now)
    }
  }

  func backOff(_ session: InviteSession, _ reoffer: InviteSession.Reoffer, _ now: Instant) {
    session.outgoingReoffer = .backingOff(until: now.advanced(byMilliseconds: self.glareWait(session)), reoffer)
    self.settle(session)
  }

  /// Milliseconds: whoever made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms (RFC 3261 §14.1).
  private func glareWait(_ session: InviteSession) -> Int64 {
    10 * Int64.random(in: session.isCaller ? 210...400 : 1...200, using: &self.generator)
  }

  func receive(
    reofferResponse response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession?,
    _ now: Instant
  ) {
    if (200..<300).contains(response.status) {
      self.accepted(reoffer: response, transaction, session, now)
      return
    }
    guard response.status >= 300, let session, let reoffer = self.pending(transaction, session) else { return }
    self.emit(
      .headers(session.id, transaction.key.method, status: response.status, response.message.headers))
    session.outgoingReoffer = nil
    switch response.status {
    case 491 where reoffer.purpose == .refresh:
      // The peer's own change refreshes as well, and may change what stands: a later refresh is made anew.
      session.sessionTimer?.refreshAt = now.advanced(byMilliseconds: self.glareWait(session))
      self.emit(.sessionRefreshFailed(session.id))
      self.settle(session)
    case 491 where reoffer.attempt < InviteSession.maximumReofferAttempts:
      self.backOff(session, reoffer, now)
    case 422 where self.raiseInterval(session, reoffer, response, now): break
    case 405, 501:
      if !self.reinvite(session, instead: reoffer, now) { self.failed(session, reoffer, response, now) }
    case 408, 481:
      // The dialog is gone at the other end (RFC 3261 §12.2.1.2).
      guard session.dialog === reoffer.record else { return self.failed(session, reoffer, response, now) }
      self.end(
        session, response.status == 408 ? .timeout : .rejected(status: response.status, reason: response.reason))
      self.abandonInvite(session, now)
    default: self.failed(session, reoffer, response, now)
    }
  }

  /// The peer does not know UPDATE, whatever it said: the user's offer goes by re-INVITE; false where that can't be.
  private func reinvite(_ session: InviteSession, instead reoffer: InviteSession.Reoffer, _ now: Instant) -> Bool {
    guard reoffer.method == .update else { return false }
    session.peer.allowsUpdate = false
    var reoffer = reoffer
    reoffer.method = .invite
    guard reoffer.purpose == .user, reoffer.body != nil, self.canSend(reoffer, session) else { return false }
    self.sendReoffer(session, reoffer, now)
    return true
  }

  private func failed(
    _ session: InviteSession, _ reoffer: InviteSession.Reoffer, _ response: ReceivedResponse, _ now: Instant
  ) {
    switch reoffer.purpose {
    case .user: self.emit(.reofferFailed(session.id, status: response.status, reason: response.reason))
    case .refresh: self.refreshFailed(session, reoffer, status: response.status, now)
    }
  }

  private func accepted(
    reoffer response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession?, _ now: Instant
  ) {
    let tag = response.essentials.to.tag ?? ""
    if case .sent(let bytes, let path)? = transaction.acknowledgements[tag] {
      if let record = session?.dialog, tag == record.id.remoteTag, self.hasMoved(response.message, record),
        !transaction.request.bytes.isEmpty
      {
        // The peer says it again from another address: that is where the ACK must go. One that has our answer to a late
        // offer in it can't be made anew here.
        record.dialog.refreshTarget(from: response.message)
        return self.acknowledge(record, transaction, body: nil)
      }
      self.counters.retransmissionsSent += 1
      return self.send(bytes, path)
    }
    guard let session else { return }
    guard transaction.key.method == .invite else {
      return self.apply(reoffer: response, transaction, session, now)
    }
    guard let record = session.dialog, tag == record.id.remoteTag else { return }
    record.dialog.refreshTarget(from: response.message)
    self.apply(reoffer: response, transaction, session, now)
    // To the peer the ACK means that its answer is in force here, with its new keys: so it leaves last.
    self.acknowledge(record, transaction, body: nil)
  }

  private func apply(
    reoffer response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession, _ now: Instant
  ) {
    guard let reoffer = self.pending(transaction, session) else { return }
    session.outgoingReoffer = nil
    reoffer.record.dialog.refreshTarget(from: response.message)
    session.peer.note(response.message.headers)
    if reoffer.body != nil {
      (reoffer.record.localDescription, session.localDescription) = (reoffer.body, reoffer.body)
    }
    // What asked for no timer leaves the one alone that the INVITE's 2xx may have started meanwhile.
    let isAboutTimer = !reoffer.wasEarly || response.message.headers["Session-Expires"] != nil
    if session.dialog === reoffer.record, !session.isEarly, isAboutTimer {
      self.startTimer(session, from: response.message, now)
    }
    self.emit(
      .headers(session.id, transaction.key.method, status: response.status, response.message.headers))
    switch reoffer.purpose {
    case .user: self.emit(.reofferAnswered(session.id, response.message.body))
    case .refresh: self.emit(.sessionRefreshed(session.id, response.message.body))
    }
    self.settle(session)
  }

  /// What `transaction` offers, if it is the session's own re-INVITE or UPDATE still.
  private func pending(_ transaction: ClientTransaction, _ session: InviteSession) -> InviteSession.Reoffer? {
    guard case .sent(let current, let reoffer)? = session.outgoingReoffer, current === transaction else { return nil }
    return reoffer
  }

  func failed(reoffer session: InviteSession, _ transaction: ClientTransaction, _ reason: EndReason, _ now: Instant) {
    guard !session.hasEnded, let reoffer = self.pending(transaction, session) else { return }
    session.outgoingReoffer = nil
    guard session.dialog === reoffer.record else {
      // An early dialog that is silent may be a fork that lost; the INVITE has its own timer.
      return self.emit(.reofferFailed(session.id, status: 408, reason: ReasonPhrase.of(408)))
    }
    self.end(session, reason)
    if case .unreachable = reason, !session.isEarly { return self.forget(session, now) }
    self.abandonInvite(session, now)
  }

  // MARK: The peer's

  func receive(reoffer transaction: ServerTransaction, _ record: DialogRecord, _ session: InviteSession, _ now: Instant)
  {
    let method = transaction.essentials.cseq.method
    let isInvite = method == .invite
    let body = transaction.request.body
    if case .leaving = session.state { return self.refuse(transaction, 481, now) }
    if let refusal = self.intervalRefusal(session.policy.sessionTimers, transaction.request) {
      return self.refuse(transaction, 422, headers: refusal, now)
    }
    session.peer.note(transaction.request.headers)
    if !isInvite, body == nil {
      // An UPDATE without an offer only refreshes the target and the timer (RFC 3311 §5.2).
      record.dialog.refreshTarget(from: transaction.request)
      let timer = session.isEarly ? [] : self.timerHeaders(session, transaction, now)
      self.respond(transaction, 200, headers: self.dialogHeaders(session) + timer, now)
      self.settle(session)
      return
    }
    if let (status, headers) = self.offerRefusal(transaction, record, session, now) {
      return self.refuse(transaction, status, headers: headers, now)
    }
    transaction.session = session.id
    session.incomingReoffer = .init(transaction: transaction, record: record, wasEarly: session.isEarly)
    if isInvite { self.respond(transaction, 100, now) }
    self.emit(.headers(session.id, method, status: nil, transaction.request.headers))
    self.emit(.reoffer(session.id, body, method: method))
  }

  /// Why an offer is not taken now; nil when it is (RFC 3261 §14.2, RFC 3311 §5.2).
  private func offerRefusal(
    _ transaction: ServerTransaction, _ record: DialogRecord, _ session: InviteSession, _ now: Instant
  ) -> (status: Int, headers: [(String, String)])? {
    let isInvite = transaction.essentials.cseq.method == .invite
    var later: [(String, String)] { [("Retry-After", "\(Int.random(in: 0...10, using: &self.generator))")] }
    switch session.state {
    case .answered where isInvite:
      // The peer has our 2xx, or it would not go on: its ACK was lost on the way.
      guard let answer = session.answer, !answer.isOffer else { return (491, []) }
      self.acknowledged(session, answer, body: nil, now)
    case .confirmed: break
    case .calling where !isInvite, .incoming where !isInvite:
      switch record.exchange {
      case .complete where session.reliable?.outstanding == nil: break
      case .complete, .offered: return (491, [])
      case .none, .received: return (500, later)
      }
    case .incoming: return (500, later)
    case .calling, .owingAcknowledgement, .answered: return (491, [])
    case .leaving: return (481, [])
    }
    if session.incomingReoffer != nil { return (500, later) }
    if case .sent(let own, let reoffer)? = session.outgoingReoffer, reoffer.hasOffer {
      // Ours went where the peer is no more: it waits as after a 491, and then goes where the peer is now.
      guard own.isUnheard, self.hasMoved(transaction.request, record) else { return (491, []) }
      own.abandon()
      self.settle(own)
      self.backOff(session, reoffer, now)
    }
    if let answer = session.answer {
      guard !answer.isOffer else { return (491, []) }
      self.acknowledged(session, answer, body: nil, now)
    }
    return nil
  }

  /// The session ends, or its early dialog is lost: the peer's open offer is refused (RFC 3261 §15.1.2), and ours waits
  /// no longer than a CANCEL would let it.
  func abandonReoffers(_ session: InviteSession, _ now: Instant) {
    switch session.outgoingReoffer {
    case .sent(let transaction, let reoffer)?:
      transaction.cancelled(now: now)
      self.settle(transaction)
      self.tellAbandoned(reoffer, session)
    case .backingOff(_, let reoffer)?: self.tellAbandoned(reoffer, session)
    case nil: break
    }
    session.outgoingReoffer = nil
    guard let incoming = session.incomingReoffer else { return }
    session.incomingReoffer = nil
    self.respond(incoming.transaction, 487, now)
    if !session.hasEnded { self.emit(.reofferCancelled(session.id)) }
  }

  private func tellAbandoned(_ reoffer: InviteSession.Reoffer, _ session: InviteSession) {
    guard !session.hasEnded, reoffer.purpose == .user else { return }
    self.emit(.reofferFailed(session.id, status: 487, reason: ReasonPhrase.of(487)))
  }
}
