internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Accounts at their registrars: registration, its credentials, and the mailbox.
extension AgentCore {
  /// Tells the protocol machines about an account, and registers it where its line says so.
  func enroll(_ account: LocalAccount) {
    let line = account.settings.account
    var settings = SIPAccountSettings(realm: (try? SIPURI(account.aor))?.host ?? "apus")
    settings.followsRedirects = account.settings.followsRedirects
    if let line, let password = line.authPassword {
      settings.credentials = SIPCredentials(
        user: line.authUser ?? line.address.user ?? "", password: password.secret)
    }
    if let line, let user = line.serverUser, let password = line.serverPassword {
      settings.required = SIPCredentials(user: user, password: password.secret)
    }
    account.signalling = self.endpoint.addAccount(settings)
    if let line, let certificate = line.certificate { self.transports.certificates[line.address.host] = certificate }
    if let line, let port = line.sourcePort {
      let hosts = [line.address.host] + line.outbound.compactMap { (try? SIPURI($0))?.host }
      for host in hosts { self.transports.sourcePorts[host.filter { $0 != "[" && $0 != "]" }.lowercased()] = port }
    }
    guard let line, line.registrationInterval != 0, line.priority == 0 else { return }
    self.register(account)
  }

  /// Binds an account's address, or refreshes the binding now.
  func register(_ account: LocalAccount, interval: Int? = nil) {
    guard let line = account.settings.account, let identity = try? SIPURI(account.aor) else { return }
    if let registration = account.registrationID {
      // One registration for each account: what one takes back is what another has bound (RFC 3261 §10.3).
      let isKept = self.endpoint.reregister(registration, interval: interval, now: self.context.now)
      if isKept { self.leaving[registration] = nil }
      if isKept || interval == nil { return self.drain() }
    }
    let proxies = line.outbound.compactMap { try? SIPURI($0) }
    // baresip's default: an hour, and up to 255 s more so that a restart of many does not register all at once.
    let spread = Int(self.environment.random() % 256)
    var settings = RegistrationSettings(
      addressOfRecord: NameAddress(displayName: account.settings.displayName, uri: identity),
      registrar: Self.registrar(of: line, identity),
      servers: proxies, local: self.listenAddress ?? SocketAddress(ipv4: 0, port: 0),
      interval: interval ?? line.registrationInterval ?? 3600 + spread, refreshPercent: line.registrationWait ?? 90,
      instance: line.usesOutbound ? "urn:uuid:\(self.instanceID)" : nil, flowNumber: line.usesOutbound ? 1 : nil,
      account: account.signalling)
    if let preference = line.registrationPreference { settings.contactParameters.append(("q", preference)) }
    account.registrationID = self.endpoint.register(settings, now: self.context.now)
    self.drain()
  }

  /// Whom REGISTER is for.
  private static func registrar(of line: Account, _ identity: SIPURI) -> SIPURI {
    var registrar = identity
    registrar.user = nil
    registrar.port = line.address.port
    if let transport = line.address.transport { registrar.parameters["transport"] = transport }
    return registrar
  }

  /// Asks an account's registrar whether it is there, by a REGISTER that binds nothing.
  func probeRegistrar(of account: LocalAccount, then: @escaping (RequestOutcome) -> Void) {
    guard let line = account.settings.account, let identity = try? SIPURI(account.aor) else { return }
    let registrar = Self.registrar(of: line, identity)
    self.locate(registrar, for: account) { [weak self] result in
      guard let self else { return }
      guard let way = try? result.get(), let first = way.targets.first, let local = first.local else {
        return then(.failed(.unreachable("its address is not known")))
      }
      var contact = NameAddress(uri: self.contact(identity, local, first.transport))
      contact.parameters["expires"] = "0"
      let request = self.endpoint.request(
        OutgoingRequest(
          .register, to: NameAddress(uri: identity),
          from: NameAddress(displayName: account.settings.displayName, uri: identity), requestURI: registrar,
          targets: way.targets, local: local, routeSet: way.routeSet,
          headers: [("Contact", contact.description), ("Expires", "0")], account: account.signalling),
        now: self.context.now)
      self.await(request, then)
    }
  }

  /// Removes an account's binding, and forgets what the protocol machines know of it.
  func retire(_ account: LocalAccount) {
    self.leaveRegistrar(account)
    guard account.registrationID == nil, let signalling = account.signalling else { return }
    self.endpoint.removeAccount(signalling)
    account.signalling = nil
  }

  /// Removes an account's binding; what is signed with its password goes on.
  func leaveRegistrar(_ account: LocalAccount) {
    if let subscription = account.mailbox { self.endpoint.unsubscribe(subscription, now: self.context.now) }
    account.mailbox = nil
    if let registration = account.registrationID {
      self.leaving[registration] = account
      self.endpoint.unregister(registration, now: self.context.now)
    }
    self.drain()
  }

  /// How a registration stands now.
  func handle(_ event: RegistrationEvent, of id: RegistrationID) {
    guard let account = self.localAccounts.first(where: { $0.registrationID == id }) ?? self.leaving[id] else { return }
    switch event {
    case .registering: self.set(account, .registering)
    case .registered(let result):
      let isNew = account.route.map { !$0.isSameWay(as: result) } ?? true
      account.route = result
      self.set(account, .registered)
      self.subscribeMailbox(account)
      // What was due meanwhile has waited for this.
      self.updatePresence(retries: isNew)
      self.serialRegistration.registered(account)
    case .failed(let status, let reason, _):
      account.route = nil
      self.set(account, .failed(status.map { "\($0) \(reason)" } ?? reason))
      self.serialRegistration.failed(account)
    case .unregistered:
      self.leaving[id] = nil
      // A registration that takes this one's place is under way.
      guard account.registrationID == id else { return }
      account.route = nil
      account.registrationID = nil
      self.set(account, .unregistered)
      if !self.localAccounts.contains(where: { $0 === account }), let signalling = account.signalling {
        self.endpoint.removeAccount(signalling)
      }
    }
  }

  private func set(_ account: LocalAccount, _ state: LocalAccount.Registration) {
    guard account.registration != state else { return }
    account.registration = state
    self.emit(.registration(account: account.aor, state))
  }

  // MARK: The mailbox (RFC 3842)

  private func subscribeMailbox(_ account: LocalAccount) {
    guard account.settings.account?.subscribesMessageWaiting == true, let identity = try? SIPURI(account.aor),
      let route = account.route
    else { return }
    if let subscription = account.mailbox {
      guard account.mailboxRoute?.isSameWay(as: route) == false else { return }
      // Its NOTIFYs go to where we were.
      self.endpoint.unsubscribe(subscription, now: self.context.now)
    }
    account.mailboxRoute = route
    let own = NameAddress(displayName: account.settings.displayName, uri: identity)
    account.mailbox = self.endpoint.subscribe(
      OutgoingSubscription(
        from: own, to: NameAddress(uri: identity), contact: route.contact.uri,
        targets: [
          SIPTarget(
            address: route.route.peer, transport: route.route.transport, serverName: route.route.serverName,
            local: route.route.local, flow: route.route.flow)
        ], local: route.route.local, event: "message-summary", accept: ["application/simple-message-summary"],
        routeSet: route.serviceRoute, account: account.signalling),
      now: self.context.now)
    self.drain()
  }

  /// `Messages-Waiting: yes` and `Voice-Message: 2/8 (0/2)`, in one line.
  func mailboxChanged(_ subscription: SubscriptionID, _ notification: SIPNotification) {
    guard let account = self.localAccounts.first(where: { $0.mailbox == subscription }), let body = notification.body
    else { return }
    let lines = String(decoding: body.bytes.prefix(2048), as: UTF8.self).split(whereSeparator: \.isNewline)
    let text = lines.filter { line in
      let name = line.prefix { $0 != ":" }.lowercased()
      return name == "messages-waiting" || name.hasSuffix("-message")
    }.joined(separator: ", ")
    guard account.messageWaiting != text else { return }
    account.messageWaiting = text
    self.emit(.messageWaiting(account: account.aor, text))
  }

  func mailboxEnded(_ subscription: SubscriptionID) {
    self.localAccounts.first { $0.mailbox == subscription }?.mailbox = nil
  }
}

extension RegistrationResult {
  /// Whether it leads to us as `other` does: by the same Contact, from the same address, over the same connection.
  fileprivate func isSameWay(as other: RegistrationResult) -> Bool {
    self.contact.uri.isEquivalent(to: other.contact.uri) && self.route.local == other.route.local
      && self.route.flow == other.route.flow
  }
}
