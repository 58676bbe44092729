internal import NetBase

extension SIPEndpoint {
  /// Makes an account: its credentials answer challenges for each request that names it, and its demands meet each
  /// incoming request that `accountOfRequest` says is for it.
  package func addAccount(_ settings: consuming SIPAccountSettings) -> SIPAccountID {
    let id = SIPAccountID(value: self.newIdentifier())
    let (realm, followsRedirects) = (settings.realm, settings.followsRedirects)
    var client: DigestClient?
    var server: DigestServer?
    if let digest = self.configuration.digest {
      if let credentials = settings.credentials.take() {
        client = DigestClient(user: credentials.user, password: credentials.password.duplicate(), digest: digest)
      }
      if let required = settings.required.take() {
        server = DigestServer(
          user: required.user, realm: realm, password: required.password.duplicate(),
          key: self.generator.hexadecimal(words: 4), lifetime: self.configuration.nonceLifetime, digest: digest)
      }
    }
    self.accounts[id] = SIPAccount(id: id, client: client, server: server, followsRedirects: followsRedirects)
    return id
  }

  /// Forgets an account and wipes its passwords; requests that are on their way are not answered for it any more.
  package func removeAccount(_ id: SIPAccountID) { self.accounts[id] = nil }

  /// Gives a session to an account, as when an incoming call is accepted for it.
  package func assign(_ id: SessionID, to account: SIPAccountID?) { self.sessions[id]?.account = account }

  /// Whether a request may pass as far as its account's demands go; if not, it has been answered.
  func admits(_ transaction: ServerTransaction, source: SIPPath, _ now: Instant) -> Bool {
    guard let server = transaction.account.flatMap({ self.accounts[$0] })?.server else { return true }
    let verdict = server.verdict(on: transaction.request, now: now)
    switch verdict {
    case .granted: return true
    case .absent, .stale:
      self.refuse(transaction, 401, headers: server.challenges(isStale: verdict == .stale, now: now), now)
    case .wrong:
      self.counters.badDigests += 1
      self.badDigests.note(source.peer, now)
      self.refuse(transaction, 401, headers: server.challenges(isStale: false, now: now), now)
    }
    return false
  }
}
