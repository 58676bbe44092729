package import NetBase

/// What is common to both ends of a call: requests inside the dialog, its timers, its end (RFC 3261 §12.2, §15).
extension SIPEndpoint {
  /// Ends the session by whatever its state needs: CANCEL, BYE or a refusal.
  ///
  /// `ended` comes at once for a call that stood and for an incoming one. An unanswered outgoing call ends when the
  /// peer's final response is there, 64 × T1 after the CANCEL at the latest.
  ///
  /// - Parameters:
  ///   - status: what an unanswered incoming call gets, 300 to 699.
  ///   - reason: its phrase; nil for the usual one.
  ///   - headers: for the BYE, the CANCEL or the refusal: Reason for example (RFC 3326).
  package func hangUp(
    _ id: SessionID, status: Int = 486, reason: String? = nil, headers: [(String, String)] = [], now: Instant
  ) {
    precondition((300..<700).contains(status), "hangUp with a status that does not refuse")
    guard let session = self.sessions[id] else { return }
    self.hangUp(session, .localHangup, status: status, reason: reason, headers: headers, now)
  }

  /// Another call takes the place of this one, whatever state it is in (RFC 3891 §3).
  func replace(_ id: SessionID, by other: SessionID, _ now: Instant) {
    guard let session = self.sessions[id] else { return }
    self.hangUp(session, .replaced(by: other), status: 486, reason: nil, headers: [], now)
  }

  private func hangUp(
    _ session: InviteSession, _ end: EndReason, status: Int, reason: String?, headers: [(String, String)],
    _ now: Instant
  ) {
    switch session.state {
    case .calling(let transaction, .no):
      session.byeHeaders = headers
      if transaction.isProceedingInvite {
        self.cancel(session, transaction, now)
      } else {
        session.state = .calling(transaction, .deferred)
      }
    case .owingAcknowledgement(let transaction):
      self.acknowledge(session, transaction, body: nil)
      self.end(session, end)
      self.sendBye(session, headers: headers, now)
    case .incoming(let transaction):
      self.respond(transaction, status, reason: reason, headers: headers, now)
      self.abandonReoffers(session, now)
      self.end(session, end)
      self.forget(session, now)
    case .answered:
      // The callee's BYE waits for the ACK, or for the end of its time (RFC 3261 §15).
      session.state = .leaving
      session.byeHeaders = headers
      self.abandonReoffers(session, now)
      self.end(session, end)
    case .confirmed:
      self.end(session, end)
      self.sendBye(session, headers: headers, now)
    case .calling(_, .deferred), .calling(_, .cancelSent), .leaving: break
    }
  }

  /// Tells the user, once, that the session is over, and lets go of what it had open.
  func end(_ session: InviteSession, _ reason: EndReason) {
    guard !session.hasEnded else { return }
    session.hasEnded = true
    session.provisionalRefresh = nil
    session.sessionTimer = nil
    session.reliable?.stop()
    self.emit(.ended(session.id, reason))
    self.settle(session)
  }

  /// Sends BYE; the session stays until its transaction is over, so that a BYE that crosses it is answered with 200.
  func sendBye(_ session: InviteSession, headers: [(String, String)] = [], _ now: Instant) {
    guard let record = session.dialog else { return self.forget(session, now) }
    self.abandonReoffers(session, now)
    session.state = .leaving
    session.answer = nil
    session.byeHeaders = headers
    self.send(.bye, in: record, user: .bye(session.id), headers: headers, now)
    self.settle(session)
  }

  /// The session has ended for the user: BYE to a call that stands, a refusal to one that was not answered.
  func abandonInvite(_ session: InviteSession, _ now: Instant) {
    guard case .incoming(let transaction) = session.state else { return self.sendBye(session, now) }
    self.respond(transaction, 480, now)
    self.forget(session, now)
  }

  /// Takes the session and its dialogs out of the tables.
  func forget(_ session: InviteSession, _ now: Instant) {
    guard self.sessions[session.id] === session else { return }
    self.abandonReoffers(session, now)
    self.sessions[session.id] = nil
    if let record = session.dialog { self.leave(record) }
    for early in session.earlyDialogs { self.leave(early: early, of: session) }
    self.timers.release(session.timer)
  }

  // MARK: Timers

  func timeout(_ session: InviteSession, _ now: Instant) {
    if var answer = session.answer {
      if answer.limit <= now {
        session.answer = nil
        self.end(session, .timeout)
        self.sendBye(session, headers: session.byeHeaders, now)
      } else if let taken = answer.isTakenAt, taken <= now {
        self.acknowledged(session, answer, body: nil, now)
      } else if answer.backoff.fires(at: now) {
        session.answer = answer
        self.counters.retransmissionsSent += 1
        self.send(answer.bytes, answer.path)
      }
    }
    if let refresh = session.provisionalRefresh, refresh <= now {
      session.provisionalRefresh = now.advanced(by: InviteSession.provisionalInterval)
      if case .incoming(let transaction) = session.state { self.sendAgain(transaction) }
    }
    if case .backingOff(let until, let reoffer)? = session.outgoingReoffer, until <= now {
      self.retry(session, reoffer, now)
    }
    self.timeout(reliable: session, now)
    if let timer = session.sessionTimer { self.timeout(sessionTimer: timer, session, now) }
    self.settle(session)
  }

  // MARK: Requests inside a dialog

  func receive(inDialog transaction: ServerTransaction, _ record: DialogRecord, _ now: Instant) {
    guard record.dialog.accepts(sequence: transaction.essentials.cseq.number) else {
      return self.refuse(transaction, 500, headers: [("Retry-After", "1")], now)
    }
    let session = record.session.flatMap { self.sessions[$0] }
    if let unsupported = self.unsupported(transaction.request, session?.policy ?? self.configuration.policy) {
      return self.refuse(transaction, 420, headers: [("Unsupported", unsupported)], now)
    }
    switch transaction.essentials.cseq.method {
    case .options: self.answer(options: transaction, now)
    case .message: self.receive(message: transaction, record, now)
    case .subscribe: self.receive(subscribe: transaction, record, now)
    case .notify: self.receive(notify: transaction, record, now)
    case .refer: self.receive(refer: transaction, record, session, now)
    case .invite, .update, .bye, .prack, .info:
      // A dialog that only subscriptions keep has no session (RFC 5057 §4).
      guard let session else { return self.refuse(transaction, 481, now) }
      self.receive(inSession: transaction, record, session, now)
    default: self.refuse(transaction, 405, headers: [("Allow", self.allowed)], now)
    }
  }

  private func receive(
    inSession transaction: ServerTransaction, _ record: DialogRecord, _ session: InviteSession, _ now: Instant
  ) {
    switch transaction.essentials.cseq.method {
    case .bye: self.receive(bye: transaction, record, session, now)
    case .prack: self.receive(prack: transaction, record, session, now)
    case .info: self.receive(info: transaction, session, now)
    default: self.receive(reoffer: transaction, record, session, now)
    }
  }

  private func receive(
    bye transaction: ServerTransaction, _ record: DialogRecord, _ session: InviteSession, _ now: Instant
  ) {
    self.respond(transaction, 200, now)
    switch session.state {
    case .calling(let invite, let hangUp):
      // The peer gave up on its 2xx, which we never saw. Another fork may still answer.
      if session.incomingReoffer?.record === record || session.outgoingRecord === record {
        self.abandonReoffers(session, now)
      }
      session.earlyDialogs.removeAll { $0 === record }
      self.leave(early: record, of: session)
      guard session.earlyDialogs.isEmpty else { return }
      switch hangUp {
      case .no, .deferred: self.cancel(invite, now)
      case .cancelSent: break
      }
      self.end(session, .remoteHangup, transaction)
    case .incoming(let invite):
      self.respond(invite, 487, now)
      self.end(session, .remoteHangup, transaction)
    case .leaving where session.answer == nil:
      // Our own BYE is in flight and finds its end in its transaction.
      return
    case .owingAcknowledgement, .answered, .confirmed, .leaving:
      self.abandonReoffers(session, now)
      self.end(session, .remoteHangup, transaction)
    }
    self.forget(session, now)
  }

  private func end(_ session: InviteSession, _ reason: EndReason, _ transaction: ServerTransaction) {
    if !session.hasEnded {
      self.emit(.headers(session.id, transaction.essentials.cseq.method, status: nil, transaction.request.headers))
    }
    self.end(session, reason)
  }
}
