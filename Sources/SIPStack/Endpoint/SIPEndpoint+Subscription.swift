internal import NetBase

/// What subscriber and notifier have in common: tables, timers, the end (RFC 6665).
extension SIPEndpoint {
  func makeSubscription(
    _ role: Subscription.Role, isRefer: Bool, event: String, eventID: String? = nil, start: SIPPath,
    contact: NameAddress
  ) -> Subscription {
    let subscription = Subscription(
      id: SubscriptionID(value: self.newIdentifier()), timer: self.timers.reserve(), role: role, isRefer: isRefer,
      event: event, eventID: eventID, start: start, contact: contact)
    self.timers.assign(.subscription(subscription), to: subscription.timer)
    self.subscriptions[subscription.id] = subscription
    return subscription
  }

  /// The subscription becomes a usage of the dialog.
  func enter(_ subscription: Subscription, _ record: DialogRecord) {
    subscription.record = record
    if !record.subscriptions.contains(subscription.id) { record.subscriptions.append(subscription.id) }
    self.dialogs[record.id] = record
    if let half = subscription.halfDialog { self.halfDialogs[half] = nil }
    subscription.halfDialog = nil
  }

  /// Tells the user, once, that the subscription is over.
  func end(_ subscription: Subscription, _ end: SubscriptionEnd) {
    guard !subscription.hasEnded else { return }
    subscription.hasEnded = true
    subscription.refreshAt = nil
    switch (subscription.isRefer, subscription.role) {
    case (false, _): self.emit(.subscriptionEnded(subscription.id, end))
    case (true, .notifier): self.emit(.referAbandoned(subscription.refer))
    case (true, .subscriber):
      if case .refused(let status, let reason) = end, !subscription.isNotified {
        self.emit(.referEnded(subscription.refer, .refused(status: status, reason: reason)))
      } else {
        self.emit(.referEnded(subscription.refer, .lost))
      }
    }
  }

  /// Takes the subscription out of the tables.
  func forget(_ subscription: Subscription) {
    guard self.subscriptions[subscription.id] === subscription else { return }
    self.subscriptions[subscription.id] = nil
    self.timers.release(subscription.timer)
    if let half = subscription.halfDialog { self.halfDialogs[half] = nil }
    guard let record = subscription.record else { return }
    subscription.record = nil
    record.subscriptions.removeAll { $0 == subscription.id }
    self.release(record)
  }

  func settle(_ subscription: Subscription) {
    guard self.subscriptions[subscription.id] === subscription else { return }
    self.timers.set(subscription.timer, to: subscription.nextDeadline)
  }

  /// How long the first NOTIFY is waited for (timer N), and what is left after the end.
  func patience(_ subscription: Subscription) -> Duration {
    self.configuration.timers(subscription.start.transport).limit
  }

  func timeout(_ subscription: Subscription, _ now: Instant) {
    switch subscription.role {
    case .subscriber: self.timeout(subscriber: subscription, now)
    case .notifier: self.timeout(notifier: subscription, now)
    }
    self.settle(subscription)
  }

  /// The final response to a SUBSCRIBE, REFER or NOTIFY of ours.
  func receive(
    subscriptionResponse response: ReceivedResponse, _ transaction: ClientTransaction, _ subscription: Subscription,
    _ now: Instant
  ) {
    guard subscription.request === transaction else { return }
    switch transaction.key.method {
    case .notify: self.receive(notifyResponse: response, subscription, now)
    case .refer: self.receive(referResponse: response, transaction, subscription, now)
    default: self.receive(subscribeResponse: response, transaction, subscription, now)
    }
    self.settle(subscription)
  }

  /// A SUBSCRIBE, REFER or NOTIFY of ours got no response.
  func failed(
    _ subscription: Subscription, _ transaction: ClientTransaction, _ reason: EndReason, _ now: Instant
  ) {
    guard subscription.request === transaction else { return }
    subscription.request = nil
    if case .unreachable(let text) = reason {
      self.end(subscription, .unreachable(text))
    } else {
      self.end(subscription, .timeout)
    }
    self.forget(subscription)
  }
}
