package import NetBase

/// Subscriptions that peers make (RFC 6665 §4.2).
extension SIPEndpoint {
  /// Names the event packages that peers may subscribe to from now on; what they have goes on.
  package func serve(eventPackages: [String]) { self.configuration.eventPackages = eventPackages }

  /// Grants a subscription (event `subscriptionRequested`) and sends the first NOTIFY.
  ///
  /// - Parameters:
  ///   - expires: seconds; never more than what was asked for, which nil grants.
  ///   - state: `pending` while somebody has to decide.
  package func acceptSubscription(
    _ id: SubscriptionID, expires: Int? = nil, state: SubscriptionState = .active, body: SIPBody?, now: Instant
  ) {
    guard let subscription = self.subscriptions[id], let transaction = subscription.pending else { return }
    subscription.pending = nil
    subscription.expires = min(subscription.expires, expires ?? subscription.expires)
    self.grant(subscription, transaction, 200, headers: [("Expires", "\(subscription.expires)")], now)
    if subscription.expires == 0 {
      // Only the state was asked for (RFC 6665 §4.4.3).
      self.queue(subscription, .init(state: .terminated, reason: "timeout", body: body), now)
      self.end(subscription, .unsubscribed)
    } else {
      self.queue(subscription, .init(state: state, body: body), now)
    }
    self.settle(subscription)
  }

  /// Refuses a subscription; a 423 needs Min-Expires.
  package func rejectSubscription(
    _ id: SubscriptionID, status: Int = 403, headers: [(String, String)] = [], now: Instant
  ) {
    precondition((300..<700).contains(status), "rejectSubscription with a status that does not refuse")
    guard let subscription = self.subscriptions[id], let transaction = subscription.pending else { return }
    subscription.pending = nil
    self.respond(transaction, status, headers: headers, now)
    self.end(subscription, .refused(status: status, reason: ReasonPhrase.of(status)))
    self.forget(subscription)
  }

  /// Tells a subscriber of a new state; one NOTIFY is on its way at a time, so the order holds.
  package func notify(
    _ id: SubscriptionID, state: SubscriptionState = .active, body: SIPBody?, now: Instant
  ) {
    guard let subscription = self.subscriptions[id], subscription.role == .notifier, subscription.pending == nil,
      !subscription.hasEnded
    else { return }
    self.queue(subscription, .init(state: state, body: body), now)
    if state == .terminated { self.end(subscription, .local) }
    self.settle(subscription)
  }

  /// Ends a peer's subscription with a last NOTIFY.
  ///
  /// - Parameter reason: `deactivated`, `noresource`, `rejected` … (RFC 6665 §4.1.3).
  package func terminateSubscription(
    _ id: SubscriptionID, reason: String = "deactivated", body: SIPBody? = nil, now: Instant
  ) {
    guard let subscription = self.subscriptions[id], subscription.role == .notifier, subscription.pending == nil,
      !subscription.hasEnded
    else { return }
    self.queue(subscription, .init(state: .terminated, reason: reason, body: body), now)
    self.end(subscription, .local)
    self.settle(subscription)
  }

  // MARK: SUBSCRIBE

  /// SUBSCRIBE outside a dialog.
  func receive(subscribe transaction: ServerTransaction, source: SIPPath, _ now: Instant) {
    let tag = self.newTag()
    transaction.localTag = tag
    let record = DialogRecord(
      Dialog(invite: transaction.request, received: transaction.essentials, localTag: tag), start: source,
      contact: NameAddress(uri: self.contact(for: transaction, source)))
    self.request(subscription: transaction, record, source.peer, now)
  }

  /// SUBSCRIBE in a dialog: a refresh, the end, or a subscription more.
  func receive(subscribe transaction: ServerTransaction, _ record: DialogRecord, _ now: Instant) {
    guard let value = transaction.request.headers["Event"] else { return self.refuseEvent(transaction, now) }
    let (package, _, id) = Subscription.split(value)
    let known = record.subscriptions.compactMap { self.subscriptions[$0] }.first {
      $0.role == .notifier && $0.package.isSame(ignoringCaseOf: package)
        && ($0.eventID == id || $0.isRefer && id == nil)
    }
    guard let known else {
      if record.session == nil || package.isSame(ignoringCaseOf: "refer") {
        return self.refuse(transaction, 481, now)
      }
      return self.request(subscription: transaction, record, record.start.peer, now)
    }
    guard known.pending == nil, !known.hasEnded else { return self.refuse(transaction, 481, now) }
    record.dialog.refreshTarget(from: transaction.request)
    let asked = self.expires(of: transaction)
    let granted = min(asked, max(known.expires, 60))
    self.respond(
      transaction, 200,
      headers: [("Contact", known.contact.description), ("Expires", "\(granted)")]
        + self.capabilities(self.configuration.policy), now)
    if granted == 0 {
      self.queue(known, .init(state: .terminated, reason: "timeout", body: known.lastBody), now)
      self.end(known, .unsubscribed)
    } else {
      known.expiresAt = now.advanced(by: .seconds(granted))
      self.queue(known, .init(state: known.state, body: known.lastBody), now)
      if !known.isRefer { self.emit(.subscriptionRefreshed(known.id)) }
    }
    self.settle(known)
  }

  private func request(
    subscription transaction: ServerTransaction, _ record: DialogRecord, _ source: SocketAddress, _ now: Instant
  ) {
    guard let value = transaction.request.headers["Event"] else { return self.refuseEvent(transaction, now) }
    let (package, event, id) = Subscription.split(value)
    guard self.configuration.eventPackages.contains(where: { $0.isSame(ignoringCaseOf: package) }) else {
      return self.refuseEvent(transaction, now)
    }
    let subscription = self.makeSubscription(
      .notifier, isRefer: false, event: event, eventID: id, start: record.start, contact: record.contact)
    subscription.record = record
    subscription.pending = transaction
    subscription.expires = self.expires(of: transaction)
    subscription.expiresAt = now.advanced(by: self.patience(subscription))
    self.settle(subscription)
    let essentials = transaction.essentials
    self.emit(
      .subscriptionRequested(
        subscription.id,
        IncomingSubscription(
          from: essentials.from, to: essentials.to, requestURI: transaction.uri, event: event,
          expires: subscription.expires, headers: transaction.request.headers, body: transaction.request.body,
          source: source)))
  }

  private func refuseEvent(_ transaction: ServerTransaction, _ now: Instant) {
    let packages = self.configuration.eventPackages
    self.refuse(
      transaction, 489, headers: packages.isEmpty ? [] : [("Allow-Events", packages.joined(separator: ", "))], now)
  }

  private func expires(of transaction: ServerTransaction) -> Int {
    transaction.request.headers["Expires"]?.trimmed.decimal(upTo: Int(Int32.max)) ?? 3600
  }

  /// Accepts a SUBSCRIBE or REFER: the dialog stands from now on.
  func grant(
    _ subscription: Subscription, _ transaction: ServerTransaction, _ status: Int, headers: [(String, String)],
    _ now: Instant
  ) {
    guard let record = subscription.record else { return }
    self.enter(subscription, record)
    record.dialog.refreshTarget(from: transaction.request)
    subscription.expiresAt = now.advanced(by: .seconds(subscription.expires))
    self.respond(
      transaction, status,
      headers: [("Contact", subscription.contact.description)] + headers
        + self.capabilities(self.configuration.policy), now)
  }

  func timeout(notifier subscription: Subscription, _ now: Instant) {
    guard let end = subscription.expiresAt, end <= now else { return }
    subscription.expiresAt = nil
    if let transaction = subscription.pending {
      // The user said nothing; the peer's transaction gives up now.
      subscription.pending = nil
      self.respond(transaction, 480, now)
      self.end(subscription, .timeout)
      return self.forget(subscription)
    }
    self.queue(subscription, .init(state: .terminated, reason: "timeout"), now)
    self.end(subscription, .timeout)
  }

  // MARK: NOTIFY

  func queue(_ subscription: Subscription, _ notice: Subscription.Notice, _ now: Instant) {
    subscription.state = notice.state
    if notice.body != nil { subscription.lastBody = notice.body }
    if notice.state == .terminated { subscription.expiresAt = nil }
    if subscription.notices.count >= Subscription.maximumNotices { subscription.notices.removeFirst() }
    subscription.notices.append(notice)
    self.sendNotice(subscription, now)
  }

  private func sendNotice(_ subscription: Subscription, _ now: Instant) {
    guard subscription.request == nil, !subscription.notices.isEmpty, let record = subscription.record else { return }
    let notice = subscription.notices.removeFirst()
    let left = subscription.expiresAt.map { max(0, $0.milliseconds(since: now) / 1000) }
    let parameter = left.map { ";expires=\($0)" } ?? ""
    let state =
      switch notice.state {
      case .pending: "pending" + parameter
      case .active: "active" + parameter
      case .terminated: "terminated" + (notice.reason.map { ";reason=\($0)" } ?? "")
      }
    subscription.request = self.send(
      .notify, in: record, user: .subscription(subscription.id),
      headers: [
        ("Contact", subscription.contact.description), ("Event", subscription.eventValue),
        ("Subscription-State", state),
      ] + notice.headers, body: notice.body, now)
  }

  func receive(notifyResponse response: ReceivedResponse, _ subscription: Subscription, _ now: Instant) {
    subscription.request = nil
    guard response.status < 300 else {
      self.end(subscription, .refused(status: response.status, reason: response.reason))
      return self.forget(subscription)
    }
    self.sendNotice(subscription, now)
    if subscription.hasEnded, subscription.request == nil { self.forget(subscription) }
  }
}
