internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// What this agent watches at its contacts: a subscription for each package of each, kept up until the contact goes, the
/// module is switched off, or the agent ends. Lives on main.
final class ContactWatches {
  struct Counters {
    /// NOTIFYs whose body could not be read: what was known stands.
    var unreadableNotifications = 0
    /// Subscriptions to contacts that were refused, or ended, or got no answer.
    var lostSubscriptions = 0
  }

  /// Seconds; what baresip asks for.
  private static let expires = 600

  unowned let core: AgentCore
  private(set) var counters = Counters()
  private var watches: [ContactWatch] = []

  init(core: AgentCore) { self.core = core }

  /// What is shown of a contact; nil while it isn't watched.
  func shown(_ contact: Contact, _ package: WatchedPackage) -> String? {
    let key = ContactWatch.Key(uri: "\(contact.address)", package: package)
    return self.watches.first { $0.key == key }?.shown
  }

  /// Watches whom contacts, module and accounts say, and no one else.
  ///
  /// - Parameter retries: whether those that failed are tried now: something has changed.
  func update(retries: Bool = false) {
    let wanted = self.core.isClosing ? [] : self.wanted
    let before = self.watches
    self.watches.removeAll { !wanted.contains($0.key) }
    for watch in before where !wanted.contains(watch.key) { self.end(watch) }
    for key in wanted where !self.watches.contains(where: { $0.key == key }) { self.watches.append(ContactWatch(key)) }
    for watch in self.watches {
      switch watch.stage {
      case .idle: self.subscribe(watch)
      case .waiting: if retries { self.subscribe(watch) }
      case .subscribed:
        guard self.hasMoved(watch) else { continue }
        self.end(watch)
        self.subscribe(watch)
      case .locating, .over: break
      }
    }
    self.core.drain()
  }

  private var wanted: [ContactWatch.Key] {
    let served = self.core.registry.events?.names ?? []
    return self.core.control.contacts.contacts.flatMap { contact in
      WatchedPackage.allCases.compactMap { package in
        let watch = package == .presence ? contact.presence : contact.dialog
        guard watch == .p2p, served.contains(package.rawValue), !ContactBook.isForEverybody(contact) else { return nil }
        return ContactWatch.Key(uri: "\(contact.address)", package: package)
      }
    }
  }

  /// Those that `account` has subscribed for are subscribed for anew, by another one.
  func forget(_ account: LocalAccount) {
    for watch in self.watches where watch.account === account {
      self.end(watch)
      watch.account = nil
      watch.stage = .idle
      self.show(watch) { $0.forget() }
    }
  }

  private func end(_ watch: ContactWatch) {
    watch.attempt += 1
    if let id = watch.subscription {
      watch.stage = .over
      self.core.endpoint.unsubscribe(id, now: self.core.context.now)
    }
    watch.stage = .over
  }

  // MARK: Subscribing

  private func subscribe(_ watch: ContactWatch) {
    watch.attempt += 1
    watch.stage = .idle
    guard let uri = try? SIPURI(watch.key.uri), let account = self.core.account(towards: uri), account.mayAsk else {
      return
    }
    (watch.account, watch.stage) = (account, .locating)
    let attempt = watch.attempt
    self.core.locate(uri, for: account) { [weak self, weak watch] result in
      guard let self, let watch, watch.attempt == attempt else { return }
      guard let found = try? result.get(), self.subscribe(watch, uri, found, account) else {
        return self.retry(watch, after: watch.pauseAfterFailure())
      }
    }
  }

  private func subscribe(
    _ watch: ContactWatch, _ uri: SIPURI, _ found: RequestWay, _ account: LocalAccount
  ) -> Bool {
    let core = self.core
    guard let first = found.targets.first, let local = first.local, let identity = try? SIPURI(account.aor) else {
      return false
    }
    watch.dialogs = DialogTable()
    let way = self.way(of: account, towards: uri, at: first, from: local, identity)
    watch.way = (first, way.contact, way.flow)
    let id = core.endpoint.subscribe(
      OutgoingSubscription(
        from: NameAddress(displayName: account.settings.displayName, uri: identity), to: NameAddress(uri: uri),
        contact: way.contact,
        targets: found.targets, local: local, event: watch.key.package.rawValue,
        accept: [watch.key.package.contentType], expires: Self.expires, routeSet: found.routeSet,
        account: account.signalling),
      now: core.context.now)
    watch.stage = .subscribed(id)
    core.drain()
    return true
  }

  /// How NOTIFYs of a peer come to us: by which Contact, and where the peer is our registrar, over which connection.
  private func way(
    of account: LocalAccount, towards uri: SIPURI, at target: SIPTarget, from local: SocketAddress, _ identity: SIPURI
  ) -> (contact: SIPURI, flow: SIPFlow?) {
    let route = account.route?.route
    return (
      self.core.contact(of: account, identity, towards: uri, at: target, from: local),
      route?.peer == target.address ? route?.flow : nil
    )
  }

  /// Whether the contact's NOTIFYs no longer find us, as our address or our connection is another one now.
  private func hasMoved(_ watch: ContactWatch) -> Bool {
    // Who is registering anew is asked again when that is done.
    guard let account = watch.account, account.mayAsk, let before = watch.way,
      let identity = try? SIPURI(account.aor), let uri = try? SIPURI(watch.key.uri),
      let local = try? self.core.transports.localAddress(before.target.transport, towards: before.target.address)
    else { return false }
    let now = self.way(of: account, towards: uri, at: before.target, from: local, identity)
    return !now.contact.isEquivalent(to: before.contact) || now.flow != before.flow
  }

  private func retry(_ watch: ContactWatch, after pause: Duration) {
    watch.stage = .waiting
    let attempt = watch.attempt
    let core = self.core
    core.context.schedule(at: core.context.now.advanced(by: pause)) { [weak self, weak watch] in
      guard let self, let watch, watch.attempt == attempt, case .waiting = watch.stage else { return }
      self.subscribe(watch)
    }
  }

  // MARK: What comes of it

  /// A NOTIFY came; false when it isn't for a contact's watch.
  func take(_ notification: SIPNotification, of id: SubscriptionID) -> Bool {
    guard let watch = self.watches.first(where: { $0.subscription == id }) else { return false }
    // The end itself says nothing of the contact.
    if notification.state == .terminated, notification.body == nil { return true }
    watch.failures = 0
    self.show(watch) { watch in
      if !watch.take(notification.body) { self.counters.unreadableNotifications += 1 }
    }
    return true
  }

  /// A subscription is over; false when it wasn't a contact's.
  func ended(_ id: SubscriptionID, _ end: SubscriptionEnd) -> Bool {
    guard let watch = self.watches.first(where: { $0.subscription == id }) else { return false }
    self.counters.lostSubscriptions += 1
    self.retry(watch, after: watch.pause(after: end))
    self.show(watch) { $0.forget() }
    return true
  }

  /// Tells whoever looks on when `change` has changed what is shown.
  private func show(_ watch: ContactWatch, _ change: (ContactWatch) -> Void) {
    let before = watch.shown
    change(watch)
    guard watch.shown != before else { return }
    self.core.emit(.contact(uri: watch.key.uri, watch.key.package, from: before, to: watch.shown))
  }
}

extension LocalAccount {
  /// Whether it can ask others: it is registered, or it doesn't register.
  var mayAsk: Bool { self.registrationID == nil || self.registration == .registered }
}
