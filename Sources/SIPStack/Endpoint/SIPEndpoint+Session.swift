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
  package func hangUp(_ id: SessionID, status: Int = 486, reason: String? = nil, now: Instant) {
    precondition((300..<700).contains(status), "hangUp with a status that does not refuse")
    guard let session = self.sessions[id] else { return }
    switch session.state {
    case .calling(let transaction, .no):
      if transaction.isProceedingInvite {
        self.cancel(session, transaction, now)
      } else {
        session.state = .calling(transaction, .deferred)
      }
    case .owingAcknowledgement(let transaction):
      self.acknowledge(session, transaction, body: nil)
      self.end(session, .localHangup)
      self.sendBye(session, now)
    case .incoming(let transaction):
      self.respond(transaction, status, reason: reason, now)
      self.end(session, .localHangup)
      self.forget(session)
    case .answered:
      // The callee's BYE waits for the ACK, or for the end of its time (RFC 3261 §15).
      session.state = .leaving
      self.end(session, .localHangup)
    case .confirmed:
      self.end(session, .localHangup)
      self.sendBye(session, now)
    case .calling(_, .deferred), .calling(_, .cancelSent), .leaving: break
    }
  }

  /// Tells the user, once, that the session is over, and lets go of what it had open.
  func end(_ session: InviteSession, _ reason: EndReason) {
    guard !session.hasEnded else { return }
    session.hasEnded = true
    session.provisionalRefresh = nil
    self.emit(.ended(session.id, reason))
  }

  /// Sends BYE; the session stays until its transaction is over, so that a BYE that crosses it is answered with 200.
  func sendBye(_ session: InviteSession, _ now: Instant) {
    guard var dialog = session.dialog else { return self.forget(session) }
    self.abandonReoffers(session, now)
    session.state = .leaving
    session.answer = nil
    var bye = dialog.request(.bye)
    bye.headers.append("User-Agent", self.configuration.userAgent)
    session.dialog = dialog
    self.start(bye, dialog.path(from: session.path), user: .bye(session.id), now)
    self.settle(session)
  }

  /// Takes the session and its dialogs out of the tables.
  func forget(_ session: InviteSession) {
    guard self.sessions[session.id] === session else { return }
    self.sessions[session.id] = nil
    if let id = session.dialog?.id { self.dialogs[id] = nil }
    for early in session.earlyDialogs { self.dialogs[early.id] = nil }
    self.timers.release(session.timer)
  }

  // MARK: Timers

  func timeout(_ session: InviteSession, _ now: Instant) {
    if var answer = session.answer {
      if answer.limit <= now {
        session.answer = nil
        self.end(session, .timeout)
        self.sendBye(session, now)
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
    if case .backingOff(let until, let body, let attempt)? = session.outgoingReoffer, until <= now {
      self.retry(session, body, attempt: attempt, now)
    }
    self.settle(session)
  }

  // MARK: Requests inside a dialog

  func receive(inDialog transaction: ServerTransaction, _ id: DialogID, _ session: InviteSession, _ now: Instant) {
    let sequence = transaction.essentials.cseq.number
    guard self.accepts(sequence, id, session) else { return self.refuse(transaction, 500, now) }
    if let unsupported = self.unsupported(transaction.request) {
      return self.refuse(transaction, 420, headers: [("Unsupported", unsupported)], now)
    }
    switch transaction.essentials.cseq.method {
    case .bye: self.receive(bye: transaction, id, session, now)
    case .options: self.answer(options: transaction, now)
    case .invite, .update: self.receive(reoffer: transaction, session, now)
    default: self.refuse(transaction, 405, headers: [("Allow", self.allowed)], now)
    }
  }

  private func accepts(_ sequence: UInt32, _ id: DialogID, _ session: InviteSession) -> Bool {
    if session.dialog?.id == id { return session.dialog?.accepts(sequence: sequence) ?? false }
    guard let index = session.earlyDialogs.firstIndex(where: { $0.id == id }) else { return false }
    return session.earlyDialogs[index].accepts(sequence: sequence)
  }

  private func receive(bye transaction: ServerTransaction, _ id: DialogID, _ session: InviteSession, _ now: Instant) {
    self.respond(transaction, 200, now)
    switch session.state {
    case .calling(let invite, let hangUp):
      // The peer gave up on its 2xx, which we never saw. Another fork may still answer.
      session.earlyDialogs.removeAll { $0.id == id }
      self.dialogs[id] = nil
      guard session.earlyDialogs.isEmpty else { return }
      switch hangUp {
      case .no, .deferred: self.cancel(invite, now)
      case .cancelSent: break
      }
      self.end(session, .remoteHangup)
      self.forget(session)
    case .incoming(let invite):
      self.respond(invite, 487, now)
      self.end(session, .remoteHangup)
      self.forget(session)
    case .leaving where session.answer == nil:
      // Our own BYE is in flight and finds its end in its transaction.
      break
    case .owingAcknowledgement, .answered, .confirmed, .leaving:
      self.abandonReoffers(session, now)
      self.end(session, .remoteHangup)
      self.forget(session)
    }
  }
}
