package import NetBase

/// REFER and Replaces: transfers, blind and attended, both sides (RFC 3515, 3891, 3892, 4488).
extension SIPEndpoint {
  /// Asks the peer of a call to call `target`: a blind transfer, or with `replaces` an attended one. The call itself
  /// stays. `referAccepted`, `referProgress` and, once, `referEnded` follow.
  ///
  /// - Parameters:
  ///   - target: whom to call; for an attended transfer usually `remoteParty(of:)` of the other call.
  ///   - replaces: our other call, which is to be replaced at its far end.
  ///   - referredBy: who asks, for the INVITE that follows.
  ///   - isObserved: false asks for no news of the outcome (`Refer-Sub: false`).
  package func refer(
    _ id: SessionID, to target: NameAddress, replaces: SessionID? = nil, referredBy: NameAddress? = nil,
    isObserved: Bool = true, headers: [(String, String)] = [], now: Instant
  ) -> ReferID {
    guard let session = self.sessions[id], let record = session.dialog, !session.hasEnded, !session.isEarly else {
      let refer = ReferID(value: self.newIdentifier())
      self.emit(.referEnded(refer, .refused(status: 481, reason: ReasonPhrase.of(481))))
      return refer
    }
    let subscription = self.makeSubscription(
      .subscriber, isRefer: true, event: "refer", start: record.start, contact: session.contact)
    subscription.request = self.send(
      .refer, in: record, user: .subscription(subscription.id),
      headers: [("Contact", session.contact.description)] + self.capabilities(session.policy)
        + Self.referHeaders(target, replaces.flatMap { self.replaces(of: $0) }, referredBy, isObserved) + headers, now)
    subscription.eventID = "\(record.dialog.localSequence)"
    self.enter(subscription, record)
    return subscription.refer
  }

  /// The same outside any call.
  package func refer(_ call: OutgoingRefer, now: Instant) -> ReferID {
    var from = call.from
    from.tag = self.newTag()
    let paths = call.targets.map { $0.path(local: call.local) }
    let contact = NameAddress(uri: call.contact)
    let subscription = self.makeSubscription(
      .subscriber, isRefer: true, event: "refer", start: paths[0], contact: contact)
    subscription.account = call.account
    var request = self.request(.refer, uri: call.requestURI, from: from, to: call.to, routes: call.routeSet)
    let headers =
      [("Contact", contact.description)] + self.capabilities(self.configuration.policy)
      + Self.referHeaders(call.target, call.replaces, call.referredBy, call.isObserved) + call.headers
    for (name, value) in headers { request.headers.append(name, value) }
    request.headers.append("User-Agent", self.configuration.userAgent)
    subscription.eventID = "1"
    self.startFirst(request, paths, subscription, now)
    return subscription.refer
  }

  /// What names a call of ours to its peer, for the INVITE that is to replace it there; nil without a dialog.
  package func replaces(of id: SessionID) -> Replaces? {
    guard let record = self.sessions[id]?.dialog else { return nil }
    return Replaces(callID: record.id.callID, toTag: record.id.remoteTag, fromTag: record.id.localTag)
  }

  /// Who is at the other end of a call, tag left out.
  package func remoteParty(of id: SessionID) -> NameAddress? {
    guard var remote = self.sessions[id]?.dialog?.dialog.remote else { return nil }
    remote.parameters = SIPParameters()
    return remote
  }

  private static func referHeaders(
    _ target: NameAddress, _ replaces: Replaces?, _ referredBy: NameAddress?, _ isObserved: Bool
  ) -> [(String, String)] {
    var target = target
    target.parameters = SIPParameters()
    if let replaces {
      let others = target.uri.headers.map { $0 + "&" } ?? ""
      target.uri.headers = others + "Replaces=" + SIPURI.escape(header: replaces.description)
    }
    var headers = [("Refer-To", target.description)]
    if let referredBy {
      var by = referredBy
      by.parameters = SIPParameters()
      headers.append(("Referred-By", by.description))
    }
    if !isObserved { headers.append(("Refer-Sub", "false")) }
    return headers
  }

  func receive(
    referResponse response: ReceivedResponse, _ transaction: ClientTransaction, _ subscription: Subscription,
    _ now: Instant
  ) {
    subscription.request = nil
    guard response.status < 300 else {
      self.end(subscription, .refused(status: response.status, reason: response.reason))
      return self.forget(subscription)
    }
    if !subscription.hasEnded { self.emit(.referAccepted(subscription.refer, status: response.status)) }
    if response.message.headers["Refer-Sub"].map({ $0.trimmed.isSame(ignoringCaseOf: "false") }) ?? false {
      self.finish(subscription, .unobserved)
      return self.forget(subscription)
    }
    self.makeDialog(response, transaction, subscription)
    if !subscription.isNotified { subscription.expiresAt = now.advanced(by: self.patience(subscription)) }
  }

  /// A NOTIFY of a REFER of ours: a status line, and whether more follow.
  func notified(
    refer subscription: Subscription, _ request: SIPMessage, _ state: SubscriptionStateValue, _ now: Instant
  ) {
    if !subscription.hasEnded, let progress = Self.statusLine(request.body) {
      if progress.status < 200, state.state != .terminated {
        self.emit(.referProgress(subscription.refer, progress))
      } else {
        self.finish(
          subscription,
          progress.status < 200 ? .lost : .completed(status: progress.status, reason: progress.reason))
      }
    }
    switch state.state {
    case .terminated:
      self.end(subscription, .terminated(reason: state.reason ?? "", retryAfter: nil))
      self.forget(subscription)
    case .active, .pending:
      // A referrer that knows the end needs no more; one that does not waits as long as the peer says.
      let patience = self.patience(subscription)
      let lifetime = state.expires.map { Duration.seconds(max($0, 1)) } ?? .seconds(180)
      subscription.expiresAt = now.advanced(by: subscription.hasEnded ? patience : lifetime)
    }
  }

  private func finish(_ subscription: Subscription, _ end: ReferEnd) {
    guard !subscription.hasEnded else { return }
    subscription.hasEnded = true
    self.emit(.referEnded(subscription.refer, end))
  }

  /// The first line of a message/sipfrag, when it is a status line (RFC 3420).
  private static func statusLine(_ body: SIPBody?) -> ReferProgress? {
    guard let body, body.contentType.lowercased().hasPrefix("message/sipfrag") else { return nil }
    let text = String(decoding: body.bytes.prefix(256), as: UTF8.self)
    guard let line = text.split(whereSeparator: \.isNewline).first else { return nil }
    let words = line.split(separator: " ", maxSplits: 2)
    guard words.count >= 2, words[0].isSame(ignoringCaseOf: "SIP/2.0"), let status = words[1].decimal(upTo: 699),
      status >= 100
    else { return nil }
    return ReferProgress(status: status, reason: words.count > 2 ? String(words[2]) : "")
  }

  // MARK: The receiver

  /// Accepts a REFER (event `referRequested`) with 202, and tells the peer that it is being tried. The user then calls
  /// whom it names, and reports with `notifyRefer`.
  package func acceptRefer(_ id: ReferID, now: Instant) {
    guard let subscription = self.subscriptions[SubscriptionID(value: id.value)],
      let transaction = subscription.pending
    else { return }
    subscription.pending = nil
    let isUnobserved =
      transaction.request.headers["Refer-Sub"].map { $0.trimmed.isSame(ignoringCaseOf: "false") } ?? false
    subscription.expires = 180
    self.grant(subscription, transaction, 202, headers: isUnobserved ? [("Refer-Sub", "false")] : [], now)
    if isUnobserved {
      self.forget(subscription)
    } else {
      self.queue(subscription, Self.notice(100, "Trying"), now)
      self.settle(subscription)
    }
  }

  /// Refuses a REFER.
  package func rejectRefer(
    _ id: ReferID, status: Int = 603, headers: [(String, String)] = [], now: Instant
  ) {
    precondition((300..<700).contains(status), "rejectRefer with a status that does not refuse")
    guard let subscription = self.subscriptions[SubscriptionID(value: id.value)],
      let transaction = subscription.pending
    else { return }
    subscription.pending = nil
    self.respond(transaction, status, headers: headers, now)
    subscription.hasEnded = true
    self.forget(subscription)
  }

  /// Reports how the referred call is getting on; a final status is the last report.
  package func notifyRefer(_ id: ReferID, status: Int, reason: String? = nil, now: Instant) {
    guard let subscription = self.subscriptions[SubscriptionID(value: id.value)], subscription.isRefer,
      subscription.role == .notifier, subscription.pending == nil, !subscription.hasEnded
    else { return }
    if status >= 200 { subscription.hasEnded = true }
    self.queue(subscription, Self.notice(status, reason ?? ReasonPhrase.of(status)), now)
    self.settle(subscription)
  }

  private static func notice(_ status: Int, _ reason: String) -> Subscription.Notice {
    let line = SIPBody(
      contentType: "message/sipfrag;version=2.0", bytes: Array("SIP/2.0 \(status) \(reason)\r\n".utf8))
    return status < 200
      ? .init(state: .active, body: line) : .init(state: .terminated, reason: "noresource", body: line)
  }

  /// REFER in a call, or in a dialog that only subscriptions keep.
  func receive(refer transaction: ServerTransaction, _ record: DialogRecord, _ session: InviteSession?, _ now: Instant)
  {
    switch session?.state {
    case .calling?, .incoming?: return self.refuse(transaction, 491, now)
    case .leaving?: return self.refuse(transaction, 481, now)
    case .owingAcknowledgement?, .answered?, .confirmed?, nil: break
    }
    self.request(refer: transaction, record, session?.id, now)
  }

  /// REFER outside a dialog.
  func receive(refer transaction: ServerTransaction, source: SIPPath, _ now: Instant) {
    let tag = self.newTag()
    transaction.localTag = tag
    let record = DialogRecord(
      Dialog(invite: transaction.request, received: transaction.essentials, localTag: tag), start: source,
      contact: NameAddress(uri: self.contact(for: transaction, source)))
    self.request(refer: transaction, record, nil, now)
  }

  private func request(
    refer transaction: ServerTransaction, _ record: DialogRecord, _ session: SessionID?, _ now: Instant
  ) {
    let headers = transaction.request.headers
    let targets = headers.all("Refer-To")
    guard targets.count == 1, var target = try? NameAddress(targets[0]) else {
      return self.refuse(transaction, 400, now)
    }
    switch target.uri.scheme {
    case .sip, .sips, .tel: break
    case .other: return self.refuse(transaction, 416, now)
    }
    let essentials = transaction.essentials
    let replaces = target.uri.header("Replaces").flatMap { Replaces($0) }
    let method = target.uri.parameters["method"].map { SIPMethod($0) } ?? .invite
    target.uri.headers = nil
    target.uri.parameters["method"] = nil
    let referredBy = headers["Referred-By"]
    var inviteHeaders: [(String, String)] = []
    if let replaces { inviteHeaders.append(("Replaces", replaces.description)) }
    if let referredBy { inviteHeaders.append(("Referred-By", referredBy)) }
    let subscription = self.makeSubscription(
      .notifier, isRefer: true, event: "refer", eventID: "\(essentials.cseq.number)", start: record.start,
      contact: record.contact)
    subscription.record = record
    subscription.pending = transaction
    subscription.expiresAt = now.advanced(by: self.patience(subscription))
    self.settle(subscription)
    self.emit(
      .referRequested(
        subscription.refer,
        IncomingRefer(
          session: session, from: essentials.from, to: essentials.to, target: target, replaces: replaces,
          referredBy: referredBy, method: method, inviteHeaders: inviteHeaders, headers: headers)))
  }

  // MARK: Replaces

  enum Replacement {
    case none
    case session(SessionID)
    case refused(Int)
  }

  /// Which call an INVITE is to replace (RFC 3891 §3).
  func replaced(by request: SIPMessage) -> Replacement {
    let values = request.headers.all("Replaces")
    guard let value = values.first, self.configuration.supported.contains("replaces") else { return .none }
    guard values.count == 1, let replaces = Replaces(value) else { return .refused(400) }
    let id = DialogID(callID: replaces.callID, localTag: replaces.toTag, remoteTag: replaces.fromTag)
    guard let record = self.dialogs[id], let session = record.session.flatMap({ self.sessions[$0] }) else {
      return .refused(481)
    }
    guard !session.hasEnded else { return .refused(603) }
    switch session.state {
    case .leaving: return .refused(603)
    // An early dialog that the peer began is none of its to replace here.
    case .incoming: return .refused(481)
    case .calling: return .session(session.id)
    case .owingAcknowledgement, .answered, .confirmed:
      return replaces.isEarlyOnly ? .refused(486) : .session(session.id)
    }
  }
}
