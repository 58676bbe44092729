internal import NetBase

extension SIPEndpoint {
  /// Whether a new request may use anything of ours; if not, it was dropped or answered, and counted.
  func isWithinLimits(
    _ request: SIPMessage, _ essentials: SIPEssentials, _ path: SIPPath, back: SIPPath, _ now: Instant
  ) -> Bool {
    let limits = self.configuration.limits
    guard self.servers.count < limits.serverTransactions else {
      self.counters.overloaded += 1
      return false
    }
    // What a dialog has let in was let in before; a CANCEL frees more than it takes.
    guard essentials.to.tag == nil, essentials.cseq.method != .cancel else { return true }
    if self.badDigests.isExhausted(path.peer, now) {
      self.counters.blockedSources += 1
      return false
    }
    let isInvite = essentials.cseq.method == .invite
    if isInvite, self.sessions.count >= limits.sessions {
      self.counters.refusedSessions += 1
      self.refuseForNow(essentials, back)
      return false
    }
    guard request.headers["Authorization"] == nil else { return true }
    let isAllowed =
      isInvite ? self.inviteRate.allows(path.peer, now) : self.requestRate.allows(path.peer, now)
    guard !isAllowed else { return true }
    self.counters.rateLimited += 1
    self.refuseForNow(essentials, back)
    return false
  }

  /// 503 without a transaction: a copy of the request gets the same again, and nothing is kept for it.
  private func refuseForNow(_ essentials: SIPEssentials, _ path: SIPPath) {
    var headers = SIPHeaders()
    for via in essentials.vias { headers.append("Via", via) }
    headers.append("From", essentials.from.description)
    var to = essentials.to
    to.tag = self.newTag()
    headers.append("To", to.description)
    headers.append("Call-ID", essentials.callID)
    headers.append("CSeq", essentials.cseq.description)
    headers.append("Retry-After", "\(self.configuration.limits.retryAfter)")
    headers.append("Server", self.configuration.userAgent)
    self.counters.refusedRequests += 1
    self.counters.responsesSent += 1
    let response = SIPMessage(.response(status: 503, reason: ReasonPhrase.of(503)), headers: headers)
    self.send(response.serialized(), path)
  }
}
