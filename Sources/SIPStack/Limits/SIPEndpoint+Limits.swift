internal import NetBase

extension SIPEndpoint {
  /// Whether a new request may use anything of ours; if not, it was dropped or answered, and counted.
  func isWithinLimits(
    _ request: SIPMessage, _ essentials: SIPEssentials, _ uri: SIPURI, _ path: SIPPath, back: SIPPath, _ now: Instant
  ) -> Bool {
    let limits = self.configuration.limits
    guard self.servers.count < limits.serverTransactions else {
      self.counters.overloaded += 1
      return false
    }
    guard !self.isExpected(essentials, uri) else { return true }
    if self.badDigests.isExhausted(path.peer, now) {
      self.counters.blockedSources += 1
      return false
    }
    // One with a tag makes no call.
    let isInvite = essentials.cseq.method == .invite && essentials.to.tag == nil
    if isInvite, self.sessions.count >= limits.sessions {
      self.counters.refusedSessions += 1
      self.refuseForNow(essentials, back)
      return false
    }
    guard !self.hasRightDigest(request, essentials, uri, path, now) else { return true }
    let isAllowed =
      isInvite ? self.inviteRate.allows(path.peer, now) : self.requestRate.allows(path.peer, now)
    guard !isAllowed else { return true }
    self.counters.rateLimited += 1
    self.refuseForNow(essentials, back)
    return false
  }

  /// Whether a request belongs to what was let in before: to a dialog, or to a subscription of ours that waits for one.
  /// A CANCEL of an INVITE that is here frees more than it takes (RFC 3261 §9.2).
  private func isExpected(_ essentials: SIPEssentials, _ uri: SIPURI) -> Bool {
    if essentials.cseq.method == .cancel {
      return self.servers[ServerTransactionKey(essentials, uri: uri, method: .invite)] != nil
    }
    guard let tag = essentials.to.tag else { return false }
    let id = DialogID(callID: essentials.callID, localTag: tag, remoteTag: essentials.from.tag ?? "")
    let half = DialogID(callID: essentials.callID, localTag: tag, remoteTag: "")
    return self.dialogs[id] != nil || essentials.cseq.method == .notify && self.halfDialogs[half] != nil
  }

  /// Whether a request that is for an account with a password proves to know it. Credentials alone are anybody's to
  /// write.
  private func hasRightDigest(
    _ request: SIPMessage, _ essentials: SIPEssentials, _ uri: SIPURI, _ path: SIPPath, _ now: Instant
  ) -> Bool {
    guard essentials.to.tag == nil, request.headers["Authorization"] != nil,
      let account = self.accountOfRequest(essentials.cseq.method, uri, essentials.to.uri, path),
      let server = self.accounts[account]?.server
    else { return false }
    return server.verdict(on: request, isUse: false, now: now) == .granted
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
