internal import NetBase

/// Requests that go again by themselves: after a challenge, after a redirect, to another server, over another transport.
extension SIPEndpoint {
  /// What becomes of a response.
  enum RetryVerdict {
    /// The request is on its way again; the user is told nothing.
    case again
    /// The user gets the response, with a clearer reason than the peer's when there is one.
    case deliver(reason: String?)
  }

  /// A request on its way out: credentials that are known go along, and what a datagram can't hold goes over TCP.
  func prepare(
    _ request: inout SIPMessage, _ method: SIPMethod, _ path: SIPPath, _ user: ClientTransaction.User,
    _ submission: Submission
  ) -> (SIPPath, Submission) {
    var (path, submission) = (path, submission)
    if submission.account == nil { submission.account = self.account(of: user) ?? self.account(ofDialog: request) }
    if method != .cancel, let client = submission.account.flatMap({ self.accounts[$0] })?.client {
      client.authorize(&request) { self.generator.hexadecimal(words: 1) }
    }
    if path.transport == .udp, !submission.staysOnUDP, self.configuration.usesTCPForLargeRequests,
      method != .cancel, request.serialized().count + Self.viaLength > self.configuration.maximumDatagram
    {
      submission.datagramFallback = path
      path.transport = .tcp
      path.flow = nil
      self.counters.enlarged += 1
    }
    return (path, submission)
  }

  /// Room for the Via that a request gets after it was measured.
  private static let viaLength = 100

  private func account(of user: ClientTransaction.User) -> SIPAccountID? {
    switch user {
    case .invite(let id), .reoffer(let id), .bye(let id), .prack(let id): self.sessions[id]?.account
    case .subscription(let id): self.subscriptions[id]?.account
    case .registration(let id): self.registrations[id]?.settings.account
    case .request, .farewell, .nobody: nil
    }
  }

  /// The account of the call that `request` belongs to.
  private func account(ofDialog request: SIPMessage) -> SIPAccountID? {
    self.dialog(of: request)?.session.flatMap { self.sessions[$0] }?.account
  }

  func dialog(of request: SIPMessage) -> DialogRecord? {
    guard let remote = request.headers["To"].flatMap({ try? NameAddress($0) })?.tag,
      let local = request.headers["From"].flatMap({ try? NameAddress($0) })?.tag,
      let callID = request.headers["Call-ID"]
    else { return nil }
    return self.dialogs[DialogID(callID: callID, localTag: local, remoteTag: remote)]
  }

  func retry(
    _ transaction: ClientTransaction, _ response: SIPMessage, _ status: Int, _ now: Instant
  ) -> RetryVerdict {
    let account = transaction.submission.account.flatMap { self.accounts[$0] }
    switch status {
    case 200..<300:
      account?.client?.receive(success: response.headers)
      return .deliver(reason: nil)
    case 401, 407:
      guard self.isWanted(transaction) else { return .deliver(reason: nil) }
      guard let client = account?.client else {
        let demand = DigestClient.demand(in: response.headers)
        return .deliver(reason: demand.map { "\(ReasonPhrase.of(status)): \($0)" })
      }
      var submission = transaction.submission
      let sent = transaction.request.headers
      switch client.receive(challenges: response.headers, to: sent, &submission.challenges) {
      case .again:
        // The connection that was found serves the second try too.
        var request = self.nextRequest(of: transaction)
        if case .registration(let id) = transaction.user { self.renewContact(of: id, in: &request, transaction.path) }
        self.resubmit(request, instead: transaction, transaction.path, submission, now)
        return .again
      case .refused(let reason):
        self.counters.refusedPasswords += 1
        return .deliver(reason: reason)
      }
    case 300..<400 where account?.followsRedirects ?? false: return self.redirect(transaction, response, now)
    case 503: return self.goOn(transaction, isTransportFailure: false, now) ? .again : .deliver(reason: nil)
    default:
      // The next contact of a redirect is tried when one refuses (RFC 3261 §8.1.3.4); 6xx is final for all.
      guard (400..<600).contains(status), !transaction.submission.redirects.isEmpty else {
        return .deliver(reason: nil)
      }
      return self.followRedirect(transaction, transaction.submission, now) ? .again : .deliver(reason: nil)
    }
  }

  /// The same request with the next sequence number, which in a dialog is the dialog's (RFC 3261 §22.2).
  private func nextRequest(of transaction: ClientTransaction) -> SIPMessage {
    var request = transaction.request
    guard let cseq = request.headers["CSeq"].flatMap({ try? CSeq($0) }) else { return request }
    var number = self.dialog(of: request)?.dialog.nextSequence() ?? cseq.number + 1
    if case .registration(let id) = transaction.user, let registration = self.registrations[id] {
      // Another REGISTER may have gone out since, and more may follow.
      registration.sequence = max(registration.sequence, cseq.number) + 1
      number = registration.sequence
    }
    request.headers.set("CSeq", CSeq(number: number, method: cseq.method).description)
    return request
  }

  // MARK: Redirects (RFC 3261 §8.1.3.4)

  private func redirect(
    _ transaction: ClientTransaction, _ response: SIPMessage, _ now: Instant
  ) -> RetryVerdict {
    guard case .request(_, let uri) = transaction.request.startLine, self.isWanted(transaction) else {
      return .deliver(reason: nil)
    }
    // A request in a dialog goes to the dialog's target and no other.
    if (try? NameAddress(transaction.request.headers["To"] ?? ""))?.tag != nil { return .deliver(reason: nil) }
    var submission = transaction.submission
    if submission.visited.isEmpty { submission.visited = [uri] }
    let contacts = response.headers.list("Contact").prefix(Self.maximumRedirects).compactMap { try? NameAddress($0) }
    let ranked = contacts.enumerated().sorted { left, right in
      (-left.element.preference, left.offset) < (-right.element.preference, right.offset)
    }
    let allowed = ranked.map(\.element.uri).filter { !self.configuration.tollNumbers.contains($0) }
    self.counters.tollRedirects += ranked.count - allowed.count
    submission.redirects = allowed + submission.redirects
    if self.followRedirect(transaction, submission, now) { return .again }
    let isTollOnly = allowed.isEmpty && !ranked.isEmpty
    return .deliver(reason: isTollOnly ? "Redirected to a toll number" : "Redirected in a circle")
  }

  /// How many URIs one request is led to in all.
  static let maximumRedirects = 10

  /// Sends the request of a transaction that failed to its next target, or where there is none to the next contact of a
  /// redirect (RFC 3261 §8.1.3.4).
  ///
  /// - Returns: false when there is neither, or when nobody waits for the result any more.
  func goOn(_ transaction: ClientTransaction, isTransportFailure: Bool, _ now: Instant) -> Bool {
    if self.failOver(transaction, isTransportFailure: isTransportFailure, now) { return true }
    return self.isWanted(transaction) && self.followRedirect(transaction, transaction.submission, now)
  }

  private func followRedirect(
    _ transaction: ClientTransaction, _ submission: Submission, _ now: Instant
  ) -> Bool {
    var submission = submission
    while !submission.redirects.isEmpty {
      var next = submission.redirects.removeFirst()
      next.headers = nil
      next.parameters["method"] = nil
      guard next.scheme == .sip || next.scheme == .sips, submission.visited.count < Self.maximumRedirects,
        !submission.visited.contains(where: { $0.isEquivalent(to: next) })
      else { continue }
      // A secure call does not become an insecure one.
      if submission.visited.first?.scheme == .sips, next.scheme == .sip { continue }
      submission.visited.append(next)
      self.counters.redirects += 1
      self.locate(next, .redirect(transaction, next, submission))
      return true
    }
    return false
  }

  /// A redirect's target was found.
  func follow(
    _ transaction: ClientTransaction, to uri: SIPURI, _ submission: Submission, _ targets: [SIPTarget], _ now: Instant
  ) {
    guard case .request(let method, _) = transaction.request.startLine else { return }
    guard self.isWanted(transaction) else { return self.fail(transaction, .timeout, now) }
    var submission = submission
    guard let first = targets.first else {
      if !self.followRedirect(transaction, submission, now) {
        self.fail(transaction, .unreachable("\(uri) has no address"), now)
      }
      return
    }
    var local = transaction.path.local
    local.port = transaction.path.local.port
    submission.alternatives = targets.dropFirst().map { $0.path(local: local) }
    // Nonces are a server's own: what another one asks for, it asks for the first time.
    submission.challenges = DigestClient.Attempts()
    var request = self.nextRequest(of: transaction)
    request.startLine = .request(method, uri)
    request.headers.remove("Route")
    let path = first.path(local: local)
    self.renewContact(in: &request, of: transaction, path)
    if uri.scheme == .sips { self.secureContact(in: &request, of: transaction) }
    self.resubmit(request, instead: transaction, path, submission, now)
  }
}

extension NameAddress {
  /// The q value in thousandths; 1 where there is none (RFC 3261 §20.10).
  var preference: Int {
    guard let text = self.parameters["q"] else { return 1_000 }
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = parts.first?.decimal(upTo: 1) else { return 1_000 }
    let fraction = parts.count == 2 ? (parts[1] + "000").prefix(3).decimal(upTo: 999) ?? 0 : 0
    return min(1_000, whole * 1_000 + fraction)
  }
}
