package import NetBase

/// Subscriptions that this end makes (RFC 6665 §4.1).
extension SIPEndpoint {
  /// Sends SUBSCRIBE and keeps the subscription alive until `unsubscribe`, or until the notifier ends it.
  /// `subscriptionAccepted`, `notified` and, once, `subscriptionEnded` follow.
  package func subscribe(_ call: OutgoingSubscription, now: Instant) -> SubscriptionID {
    var from = call.from
    from.tag = self.newTag()
    let paths = call.targets.map { $0.path(local: call.local) }
    let subscription = self.makeSubscription(
      .subscriber, isRefer: false, event: call.event, start: paths[0], contact: NameAddress(uri: call.contact))
    (subscription.accept, subscription.expires, subscription.headers) = (call.accept, call.expires, call.headers)
    subscription.account = call.account
    var request = self.request(.subscribe, uri: call.requestURI, from: from, to: call.to, routes: call.routeSet)
    for (name, value) in self.subscribeHeaders(subscription) { request.headers.append(name, value) }
    request.headers.append("User-Agent", self.configuration.userAgent)
    request.set(body: call.body)
    self.startFirst(request, paths, subscription, now)
    return subscription.id
  }

  /// Ends a subscription of ours; `subscriptionEnded` comes at once.
  package func unsubscribe(_ id: SubscriptionID, now: Instant) {
    guard let subscription = self.subscriptions[id], subscription.role == .subscriber, !subscription.isRefer,
      !subscription.hasEnded
    else { return }
    self.end(subscription, .local)
    subscription.expires = 0
    subscription.expiresAt = nil
    // A request that is under way is followed by the one that ends it.
    if subscription.request == nil { self.sendSubscribe(subscription, now) }
    self.settle(subscription)
  }

  /// Sends the request that is to make a dialog, which a NOTIFY may do before its response (RFC 6665 §4.4.1).
  func startFirst(_ request: SIPMessage, _ paths: [SIPPath], _ subscription: Subscription, _ now: Instant) {
    subscription.request = self.start(
      request, paths[0], user: .subscription(subscription.id),
      submission: Submission(account: subscription.account, alternatives: Array(paths.dropFirst())), now)
    guard let sent = try? SIPEssentials(subscription.request?.request ?? request) else { return }
    let half = DialogID(callID: sent.callID, localTag: sent.from.tag ?? "", remoteTag: "")
    subscription.halfDialog = half
    self.halfDialogs[half] = subscription.id
  }

  private func subscribeHeaders(_ subscription: Subscription) -> [(String, String)] {
    var headers = [
      ("Contact", subscription.contact.description), ("Event", subscription.eventValue),
      ("Expires", "\(subscription.expires)"),
    ]
    if !subscription.accept.isEmpty { headers.append(("Accept", subscription.accept.joined(separator: ", "))) }
    return headers + self.capabilities(self.configuration.policy) + subscription.headers
  }

  private func sendSubscribe(_ subscription: Subscription, _ now: Instant) {
    guard let record = subscription.record else { return self.forget(subscription) }
    subscription.request = self.send(
      .subscribe, in: record, user: .subscription(subscription.id), headers: self.subscribeHeaders(subscription), now)
  }

  func receive(
    subscribeResponse response: ReceivedResponse, _ transaction: ClientTransaction, _ subscription: Subscription,
    _ now: Instant
  ) {
    if response.status == 423, !subscription.wasTooBrief, !subscription.hasEnded,
      let minimum = response.message.headers["Min-Expires"]?.trimmed.decimal(upTo: Int(Int32.max)),
      minimum > subscription.expires
    {
      subscription.wasTooBrief = true
      subscription.expires = minimum
      self.sendAgain(transaction, now) { $0.headers.set("Expires", "\(minimum)") }
      return
    }
    subscription.request = nil
    switch response.status {
    case ..<300: self.subscribed(response, transaction, subscription, now)
    case _ where subscription.hasEnded: self.forget(subscription)
    case _ where subscription.record != nil && !Self.endsSubscription(response.status):
      // The old one holds until it runs out (RFC 6665 §4.1.2.2).
      subscription.refreshAt = now.advanced(by: .seconds(30))
    default:
      self.end(subscription, .refused(status: response.status, reason: response.reason))
      self.forget(subscription)
    }
  }

  private func subscribed(
    _ response: ReceivedResponse, _ transaction: ClientTransaction, _ subscription: Subscription, _ now: Instant
  ) {
    self.makeDialog(response, transaction, subscription)
    let granted = response.message.headers["Expires"]?.trimmed.decimal(upTo: Int(Int32.max)) ?? subscription.expires
    if subscription.hasEnded {
      guard transaction.request.headers["Expires"] == "0" else { return self.sendSubscribe(subscription, now) }
      subscription.expiresAt = now.advanced(by: self.patience(subscription))
      return
    }
    subscription.wasTooBrief = false
    self.emit(.subscriptionAccepted(subscription.id, expires: granted))
    subscription.grantedUntil = now.advanced(by: .seconds(granted))
    self.schedule(subscription, expires: granted, now)
  }

  /// The response's dialog, unless a NOTIFY has made it already.
  func makeDialog(_ response: ReceivedResponse, _ transaction: ClientTransaction, _ subscription: Subscription) {
    if let record = subscription.record { return record.dialog.refreshTarget(from: response.message) }
    guard let sent = try? SIPEssentials(transaction.request) else { return }
    let dialog = Dialog(
      invite: transaction.request, sent: sent, response: response.message, received: response.essentials)
    let record = DialogRecord(dialog, start: subscription.start, contact: subscription.contact)
    self.enter(subscription, self.dialogs[record.id] ?? record)
  }

  /// Refresh before, and end at, the expiry; without a first NOTIFY timer N ends it (RFC 6665 §4.1.2.4).
  private func schedule(_ subscription: Subscription, expires: Int, _ now: Instant) {
    let lifetime = Duration.seconds(expires)
    let patience = self.patience(subscription)
    if subscription.isNotified, expires > 0 {
      subscription.expiresAt = now.advanced(by: lifetime)
      subscription.refreshAt = now.advanced(by: expires > 64 ? lifetime - .seconds(32) : lifetime / 2)
    } else {
      subscription.refreshAt = nil
      subscription.expiresAt = now.advanced(by: patience)
    }
  }

  private static func endsSubscription(_ status: Int) -> Bool {
    // RFC 5057 §5.1, and what a subscriber cannot mend.
    [403, 404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 603, 604].contains(status)
  }

  func timeout(subscriber subscription: Subscription, _ now: Instant) {
    if let end = subscription.expiresAt, end <= now {
      self.end(subscription, .timeout)
      return self.forget(subscription)
    }
    guard let refresh = subscription.refreshAt, refresh <= now else { return }
    subscription.refreshAt = nil
    if subscription.request == nil { self.sendSubscribe(subscription, now) }
  }

  // MARK: NOTIFY

  /// A NOTIFY in no dialog that is known: it makes the dialog of a subscription of ours; false when it is nobody's.
  func receive(firstNotify transaction: ServerTransaction, _ source: SIPPath, _ now: Instant) -> Bool {
    let essentials = transaction.essentials
    let half = DialogID(callID: essentials.callID, localTag: essentials.to.tag ?? "", remoteTag: "")
    guard let subscription = self.halfDialogs[half].flatMap({ self.subscriptions[$0] }), subscription.record == nil,
      let sequence = subscription.request?.request.headers["CSeq"].flatMap({ try? CSeq($0) })
    else { return false }
    let dialog = Dialog(notify: transaction.request, received: essentials, localSequence: sequence.number)
    let record = DialogRecord(dialog, start: subscription.start, contact: subscription.contact)
    self.enter(subscription, record)
    self.receive(inDialog: transaction, record, now)
    return true
  }

  func receive(notify transaction: ServerTransaction, _ record: DialogRecord, _ now: Instant) {
    guard let value = transaction.request.headers["Event"] else { return self.refuse(transaction, 489, now) }
    let (package, _, id) = Subscription.split(value)
    let candidates = record.subscriptions.compactMap { self.subscriptions[$0] }.filter {
      $0.role == .subscriber && $0.package.isSame(ignoringCaseOf: package)
    }
    // A REFER's id is the number of its CSeq; the first of a dialog may go without (RFC 3515 §2.4.6).
    guard
      let subscription = candidates.first(where: { $0.eventID == id })
        ?? candidates.first(where: { $0.isRefer && (id == nil || candidates.count == 1) })
    else { return self.refuse(transaction, 481, now) }
    guard let state = transaction.request.headers["Subscription-State"].flatMap({ SubscriptionStateValue($0) }) else {
      return self.refuse(transaction, 400, now)
    }
    record.dialog.refreshTarget(from: transaction.request)
    self.respond(transaction, 200, now)
    self.notified(subscription, transaction.request, state, now)
    self.settle(subscription)
  }

  private func notified(
    _ subscription: Subscription, _ request: SIPMessage, _ state: SubscriptionStateValue, _ now: Instant
  ) {
    let isFirst = !subscription.isNotified
    subscription.isNotified = true
    subscription.state = state.state
    if subscription.isRefer { return self.notified(refer: subscription, request, state, now) }
    if !subscription.hasEnded {
      self.emit(
        .notified(
          subscription.id,
          SIPNotification(event: subscription.event, state: state.state, body: request.body, headers: request.headers)))
    }
    switch state.state {
    case .terminated:
      let isFetch = subscription.expires == 0
      self.end(
        subscription,
        isFetch ? .local : .terminated(reason: state.reason ?? "", retryAfter: state.retryAfter))
      self.forget(subscription)
    case .active, .pending:
      // One that says nothing of the time leaves it as it was granted (RFC 6665 §4.1.3).
      guard !subscription.hasEnded, subscription.request == nil, isFirst || state.expires != nil else { return }
      let left = subscription.grantedUntil.map { Int(max(0, $0.milliseconds(since: now)) / 1_000) }
      self.schedule(subscription, expires: state.expires ?? left ?? subscription.expires, now)
    }
  }
}
