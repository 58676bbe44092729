internal import NetBase

/// Session timers (RFC 4028): agreed in each 2xx, refreshed by UPDATE where the peer allows it, else by re-INVITE.
extension SIPEndpoint {
  /// What the 2xx to an INVITE or UPDATE says of the timer; it runs from now on.
  func timerHeaders(
    _ session: InviteSession, _ transaction: ServerTransaction, _ now: Instant
  ) -> [(String, String)] {
    let (headers, timer) = session.policy.sessionTimers.answer(
      to: transaction.request, session.peer, now: now)
    session.sessionTimer = timer
    return headers
  }

  /// What a re-INVITE or UPDATE of ours asks for: the same interval, the same refresher (RFC 4028 §7.4).
  func refreshHeaders(_ session: InviteSession) -> [(String, String)] {
    guard !session.isEarly else { return [] }
    let policy = session.policy.sessionTimers
    guard let timer = session.sessionTimer else { return policy.inviteHeaders(minimum: session.minimumInterval) }
    let least = max(policy.minimum, session.minimumInterval ?? 0)
    let expires = SessionExpires(
      seconds: max(timer.interval, session.minimumInterval ?? 0), refresher: timer.isRefresher ? .uac : .uas)
    return [("Session-Expires", "\(expires)"), ("Min-SE", "\(least)")]
  }

  /// The 2xx to a request of ours sets the timer, or stops it.
  func startTimer(_ session: InviteSession, from response: SIPMessage, _ now: Instant) {
    session.sessionTimer = session.policy.sessionTimers.timer(from: response, now: now)
  }

  /// Min-SE for a 422, when the interval of `request` is too short and its sender understands (RFC 4028 §9).
  func intervalRefusal(_ policy: SessionTimerPolicy, _ request: SIPMessage) -> [(String, String)]? {
    guard policy.isSupported, let asked = request.headers["Session-Expires"].flatMap({ SessionExpires($0) }),
      asked.seconds < policy.minimum, PeerCapabilities(request.headers).supportsTimers
    else { return nil }
    return [("Min-SE", "\(policy.minimum)")]
  }

  /// Sends the INVITE again with the interval that a 422 asks for; false when that is no help (RFC 4028 §7.3).
  func raiseInterval(
    _ session: InviteSession, _ transaction: ClientTransaction, _ response: ReceivedResponse, _ now: Instant
  ) -> Bool {
    guard let minimum = self.raisedMinimum(session, response) else { return false }
    let headers = session.policy.sessionTimers.inviteHeaders(minimum: minimum)
    return self.sendAgain(transaction, now) { request in
      for (name, value) in headers { request.headers.set(name, value) }
    }
  }

  /// The same for a re-INVITE or UPDATE.
  func raiseInterval(
    _ session: InviteSession, _ reoffer: InviteSession.Reoffer, _ response: ReceivedResponse, _ now: Instant
  ) -> Bool {
    guard self.raisedMinimum(session, response) != nil, self.canSend(reoffer, session) else { return false }
    self.sendReoffer(session, reoffer, now)
    return true
  }

  private func raisedMinimum(_ session: InviteSession, _ response: ReceivedResponse) -> Int? {
    guard session.policy.sessionTimers.isSupported,
      let minimum = response.message.headers["Min-SE"]?.prefix(while: { $0 != ";" }).trimmed.decimal(upTo: 86_400),
      minimum > session.minimumInterval ?? 0
    else { return nil }
    session.minimumInterval = minimum
    return minimum
  }

  // MARK: Time

  func timeout(sessionTimer timer: SessionTimer, _ session: InviteSession, _ now: Instant) {
    if timer.expiresAt <= now {
      session.sessionTimer = nil
      // The user never answered the offer of the 2xx.
      if case .owingAcknowledgement(let transaction) = session.state {
        self.acknowledge(session, transaction, body: nil)
      }
      self.end(session, .timeout)
      self.sendBye(session, headers: [("Reason", "SIP;cause=408;text=\"Session expired\"")], now)
    } else if let refresh = timer.refreshAt, refresh <= now {
      self.refresh(session, now)
    }
  }

  private func refresh(_ session: InviteSession, _ now: Instant) {
    guard let record = session.dialog else { return }
    let byInvite = !session.peer.allowsUpdate && session.localDescription != nil
    let reoffer = InviteSession.Reoffer(
      method: byInvite ? .invite : .update, body: byInvite ? session.localDescription : nil, purpose: .refresh,
      record: record)
    guard self.canSend(reoffer, session) else {
      // A change is under way, which refreshes as well; if it fails, this comes again.
      session.sessionTimer?.refreshAt = now.advanced(by: .seconds(2))
      return
    }
    session.sessionTimer?.refreshAt = nil
    self.sendReoffer(session, reoffer, now)
  }

  /// A refresh was refused: by the other method if that was the matter, else again later, until the session expires.
  func refreshFailed(_ session: InviteSession, _ reoffer: InviteSession.Reoffer, status: Int, _ now: Instant) {
    if reoffer.method == .update, status == 405 || status == 501 {
      session.sessionTimer?.refreshAt = session.localDescription == nil ? nil : now
    } else {
      session.sessionTimer?.refreshAt = now.advanced(by: .seconds(10))
    }
    self.emit(.sessionRefreshFailed(session.id))
    self.settle(session)
  }
}
