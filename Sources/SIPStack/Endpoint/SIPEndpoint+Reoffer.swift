package import NetBase

/// Changing a session that stands: re-INVITE both ways, UPDATE from the peer (RFC 3261 §14, RFC 3311).
extension SIPEndpoint {
  /// Sends a re-INVITE. A glare (491) is tried again by itself; `reofferAnswered` or `reofferFailed` follows.
  package func reinvite(_ id: SessionID, body: SIPBody, now: Instant) {
    guard let session = self.sessions[id] else { return }
    guard self.canReoffer(session) else {
      guard !session.hasEnded else { return }
      return self.emit(.reofferFailed(id, status: 491, reason: ReasonPhrase.of(491)))
    }
    self.sendReinvite(session, body, attempt: 1, now)
  }

  /// Accepts the peer's re-INVITE or UPDATE with an answer, or with an offer when it brought none.
  package func acceptReinvite(_ id: SessionID, body: SIPBody?, now: Instant) {
    guard let session = self.sessions[id], let transaction = session.incomingReoffer else { return }
    session.incomingReoffer = nil
    session.dialog?.refreshTarget(from: transaction.request)
    if transaction.essentials.cseq.method == .invite {
      self.answer(session, transaction, body: body, isReoffer: true, now)
    } else {
      self.respond(transaction, 200, headers: self.dialogHeaders(session), body: body, now)
    }
  }

  /// Refuses the peer's re-INVITE or UPDATE; the session stays as it was.
  ///
  /// - Parameter status: 300 to 699; 488 is the usual one.
  package func rejectReinvite(_ id: SessionID, status: Int = 488, reason: String? = nil, now: Instant) {
    precondition((300..<700).contains(status), "rejectReinvite with a status that does not refuse")
    guard let session = self.sessions[id], let transaction = session.incomingReoffer else { return }
    session.incomingReoffer = nil
    self.respond(transaction, status, reason: reason, now)
  }

  /// Whether no other INVITE is on its way in this dialog (RFC 3261 §14.1).
  private func canReoffer(_ session: InviteSession) -> Bool {
    guard case .confirmed = session.state else { return false }
    return session.outgoingReoffer == nil && session.incomingReoffer == nil && session.answer == nil
  }

  private func sendReinvite(_ session: InviteSession, _ body: SIPBody, attempt: Int, _ now: Instant) {
    guard var dialog = session.dialog else { return }
    var request = dialog.request(.invite)
    session.dialog = dialog
    self.complete(&request, contact: session.contact)
    request.set(body: body)
    let transaction = self.start(request, dialog.path(from: session.path), user: .reinvite(session.id), now)
    session.outgoingReoffer = .sent(transaction, body, attempt: attempt)
  }

  /// The random wait after a 491 is over.
  func retry(_ session: InviteSession, _ body: SIPBody, attempt: Int, _ now: Instant) {
    session.outgoingReoffer = nil
    if self.canReoffer(session) {
      self.sendReinvite(session, body, attempt: attempt + 1, now)
    } else {
      // The peer's own change is not done yet.
      self.backOff(session, body, attempt: attempt, now)
    }
  }

  /// Whoever made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms (RFC 3261 §14.1).
  private func backOff(_ session: InviteSession, _ body: SIPBody, attempt: Int, _ now: Instant) {
    let steps = session.isCaller ? 210...400 : 1...200
    let wait = Int64.random(in: Int64(steps.lowerBound)...Int64(steps.upperBound), using: &self.generator)
    session.outgoingReoffer = .backingOff(
      until: now.advanced(byMilliseconds: wait * 10), body, attempt: attempt)
    self.settle(session)
  }

  // MARK: The peer's answer to ours

  func receive(
    reinviteResponse response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession?,
    _ now: Instant
  ) {
    if (200..<300).contains(response.status) {
      self.accepted(reinvite: response, transaction, session, now)
      return
    }
    guard response.status >= 300, let session, let (body, attempt) = self.pending(transaction, session) else { return }
    session.outgoingReoffer = nil
    switch response.status {
    case 491 where attempt < InviteSession.maximumReofferAttempts:
      self.backOff(session, body, attempt: attempt, now)
    case 408, 481:
      // The dialog is gone at the other end (RFC 3261 §12.2.1.2).
      self.end(
        session, response.status == 408 ? .timeout : .rejected(status: response.status, reason: response.reason))
      self.sendBye(session, now)
    default:
      self.emit(.reofferFailed(session.id, status: response.status, reason: response.reason))
    }
  }

  private func accepted(
    reinvite response: ReceivedResponse, _ transaction: ClientTransaction, _ session: InviteSession?, _ now: Instant
  ) {
    let tag = response.essentials.to.tag ?? ""
    if case .sent(let bytes, let path)? = transaction.acknowledgements[tag] {
      self.counters.retransmissionsSent += 1
      return self.send(bytes, path)
    }
    guard let session, tag == session.dialog?.id.remoteTag else { return }
    session.dialog?.refreshTarget(from: response.message)
    self.acknowledge(session, transaction, body: nil)
    guard self.pending(transaction, session) != nil else { return }
    session.outgoingReoffer = nil
    self.emit(.reofferAnswered(session.id, response.message.body))
  }

  /// What `transaction` offers, if it is the session's own re-INVITE still.
  private func pending(_ transaction: ClientTransaction, _ session: InviteSession) -> (SIPBody, attempt: Int)? {
    guard case .sent(let current, let body, let attempt)? = session.outgoingReoffer, current === transaction else {
      return nil
    }
    return (body, attempt)
  }

  func failed(reinvite session: InviteSession, _ reason: EndReason, _ now: Instant) {
    guard !session.hasEnded else { return }
    self.end(session, reason)
    if case .unreachable = reason { return self.forget(session) }
    self.sendBye(session, now)
  }

  // MARK: The peer's offer

  func receive(reoffer transaction: ServerTransaction, _ session: InviteSession, _ now: Instant) {
    let isInvite = transaction.essentials.cseq.method == .invite
    let body = transaction.request.body
    if !isInvite, body == nil {
      // An UPDATE without an offer only refreshes the target (RFC 3311 §5.2).
      session.dialog?.refreshTarget(from: transaction.request)
      self.respond(transaction, 200, headers: self.dialogHeaders(session), now)
      return
    }
    switch session.state {
    case .answered where isInvite:
      // The peer has our 2xx, or it would not go on: its ACK was lost on the way.
      guard let answer = session.answer, !answer.isOffer else { return self.refuse(transaction, 491, now) }
      self.acknowledged(session, answer, body: nil, now)
    case .confirmed: break
    // No offer of the peer is answered before the call is (RFC 3311 §5.2).
    case .incoming: return self.refuse(transaction, 500, headers: [("Retry-After", "1")], now)
    case .calling, .owingAcknowledgement, .answered: return self.refuse(transaction, 491, now)
    case .leaving: return self.refuse(transaction, 481, now)
    }
    if session.incomingReoffer != nil {
      return self.refuse(transaction, 500, headers: [("Retry-After", "1")], now)
    }
    if case .sent? = session.outgoingReoffer { return self.refuse(transaction, 491, now) }
    if let answer = session.answer {
      guard !answer.isOffer else { return self.refuse(transaction, 491, now) }
      self.acknowledged(session, answer, body: nil, now)
    }
    transaction.session = session.id
    session.incomingReoffer = transaction
    if isInvite { self.respond(transaction, 100, now) }
    self.emit(.reoffer(session.id, body, method: transaction.essentials.cseq.method))
  }

  /// The session ends: the peer's open offer is refused (RFC 3261 §15.1.2), and ours waits no longer than a CANCEL
  /// would let it.
  func abandonReoffers(_ session: InviteSession, _ now: Instant) {
    if case .sent(let transaction, _, _)? = session.outgoingReoffer {
      transaction.cancelled(now: now)
      self.settle(transaction)
    }
    session.outgoingReoffer = nil
    guard let transaction = session.incomingReoffer else { return }
    session.incomingReoffer = nil
    self.respond(transaction, 487, now)
    if !session.hasEnded { self.emit(.reofferCancelled(session.id)) }
  }
}
