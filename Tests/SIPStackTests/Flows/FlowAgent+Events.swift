internal import NetBase
internal import SIPStack

/// What an agent is told, what may be told of what, and what it does outside calls.
extension FlowAgent {
  /// The call may be spoken of; it may not once it is over.
  private func isLive(_ id: SessionID, _ event: SIPEvent) -> Bool {
    if self.calls[id] == nil { self.violate("told of \(id), which is over: \("\(event)".prefix(60))") }
    return self.calls[id] != nil
  }

  func handle(_ event: SIPEvent) {
    switch event {
    case .incomingCall(let id, let invite): self.ring(id, invite)
    case .progress(let id, let progress): if self.isLive(id, event) { self.progressed(id, progress) }
    case .earlyOffer(let id, let progress): if self.isLive(id, event) { self.offeredEarly(id, progress) }
    case .progressAcknowledged(let id, let body): if self.isLive(id, event) { self.confirmed(id, body) }
    case .answered(let id, let offer): if self.isLive(id, event) { self.answered(id, offer) }
    case .established(let id, let body): if self.isLive(id, event) { self.established(id, body) }
    case .ended(let id, let reason): if self.isLive(id, event) { self.ended(id, reason) }
    case .reoffer(let id, let body, method: _): if self.isLive(id, event) { self.reoffered(id, body) }
    case .reofferCancelled(let id):
      if self.isLive(id, event) { self.calls[id]?.media.owed = nil }
    case .reofferAnswered(let id, let body): if self.isLive(id, event) { self.reofferAnswered(id, body) }
    case .reofferFailed(let id, let status, _): if self.isLive(id, event) { self.reofferFailed(id, status) }
    case .sessionRefreshed(let id, let body): if self.isLive(id, event) { self.refreshed(id, body) }
    case .info(let id, let info): if self.isLive(id, event) { self.tell("INFO", "\(id)", info.headers) }
    case .reofferAcknowledged(let id, _), .headers(let id, _, _, _), .sessionRefreshFailed(let id):
      _ = self.isLive(id, event)
    case .instantMessage, .publicAddress: break
    case .requestResult, .requestFailed, .incomingRequest, .locate, .registration: self.handle(request: event)
    case .referRequested, .referAbandoned, .referAccepted, .referProgress, .referEnded, .subscriptionRequested,
      .subscriptionRefreshed, .subscriptionAccepted, .notified, .subscriptionEnded:
      self.handle(subscription: event)
    }
  }

  // MARK: REFER and SUBSCRIBE

  private func handle(subscription event: SIPEvent) {
    switch event {
    case .referRequested(let id, let refer): self.referRequested(id, refer)
    case .referAccepted(let id, _), .referProgress(let id, _):
      if !self.refers.contains(id) { self.violate("told of \(id), which is over") }
    case .referEnded(let id, let end):
      if self.refers.remove(id) == nil { self.violate("\(id) ends twice, or never began") }
      // A BYE that overtakes the last NOTIFY makes its number too low, and the NOTIFY is refused.
      if self.network.plan.isClean, self.network.plan.jitter + self.network.plan.loss == 0, case .lost = end {
        self.violate("\(id) was lost")
      }
      if case .completed(481, _) = end { self.missed(id) }
    case .subscriptionRequested(let id, let subscription): self.subscribed(id, subscription)
    case .subscriptionAccepted(let id, _), .notified(let id, _), .subscriptionRefreshed(let id):
      if case .notified(_, let notification) = event {
        self.subscriptionNames[id] = notification.headers["Call-ID"]
      }
      if !self.subscriptions.contains(id) { self.violate("told of \(id), which is over") }
    case .subscriptionEnded(let id, let end):
      if self.subscriptions.remove(id) == nil { self.violate("\(id) ends twice, or never began") }
      guard self.network.plan.isClean, self.subscribed.contains(id) else { break }
      switch end {
      case .timeout, .terminated("timeout", _): self.violate("\(id) was not refreshed: \(end)")
      default: break
      }
    default: break
    }
  }

  func subscribe(_ peer: Int) {
    guard !self.isQuiet else { return }
    let id = self.endpoint.subscribe(
      OutgoingSubscription(
        from: self.from, to: NameAddress(uri: Self.uri(peer)), contact: self.contact, targets: self.targets(peer),
        local: self.address, event: self.chance(90) ? "presence" : "weather",
        expires: self.network.dice.pick([0, 40, 60, 300]), account: self.account),
      now: self.now)
    self.subscriptions.insert(id)
    self.subscribed.insert(id)
    if self.chance(50) { self.after(100_000) { self.endpoint.unsubscribe(id, now: self.now) } }
  }

  private func subscribed(_ id: SubscriptionID, _ subscription: IncomingSubscription) {
    self.subscriptions.insert(id)
    self.subscriptionNames[id] = subscription.headers["Call-ID"]
    if self.forgets { return }
    let body = SIPBody(contentType: "application/pidf+xml", bytes: [60])
    switch self.roll(1...8) {
    case 1: self.endpoint.rejectSubscription(id, now: self.now)
    case 2 where subscription.expires < 50:
      self.endpoint.rejectSubscription(id, status: 423, headers: [("Min-Expires", "50")], now: self.now)
    default:
      self.after(400) {
        self.endpoint.acceptSubscription(id, state: self.chance(80) ? .active : .pending, body: body, now: self.now)
        for _ in 0..<self.roll(0...4) { self.after(60_000) { self.endpoint.notify(id, body: body, now: self.now) } }
        if self.chance(20) { self.after(90_000) { self.endpoint.terminateSubscription(id, now: self.now) } }
      }
    }
  }

  // MARK: Requests outside calls

  private func handle(request event: SIPEvent) {
    switch event {
    case .requestResult(let id, _, _, _, _):
      if self.requests.remove(id) == nil { self.violate("a request has two results") }
    case .requestFailed(let id, let reason):
      if self.requests.remove(id) == nil { self.violate("a request has two results") }
      if self.network.plan.isClean, case .timeout = reason { self.violate("a request got no response") }
    case .incomingRequest(let id, let request): self.requested(id, request)
    case .locate(let id, let uri):
      // A registrar is found where it is.
      let transport: SIPTransportKind = self.traits.usesTCP ? .tcp : .udp
      let registrar = SIPTarget(address: Self.address(0), transport: transport)
      let targets = uri.user == nil ? [registrar] : self.targets(Self.index(of: uri) ?? 0)
      // It may be a redirected call's.
      if targets.count > 1 { for id in self.calls.keys { self.calls[id]?.isDelayed = true } }
      self.after(500) { self.endpoint.located(id, targets, now: self.now) }
    case .registration(let id, .unregistered):
      if self.registrations.remove(id) == nil { self.violate("\(id) ends twice") }
      self.retries[id] = nil
    case .registration(let id, .registering):
      if let due = self.retries.removeValue(forKey: id), due < self.now {
        self.violate("\(id) is tried again too late")
      }
    case .registration(let id, .failed(let status, let reason, let retry)):
      self.retries[id] = retry.map { self.now.advanced(by: $0) }
      // Only a wrong password is not tried again.
      if retry == nil, status != 401, status != 407 { self.violate("\(id) gives up") }
      // Two that were on their way together are both too brief; the second then has nothing to raise.
      if self.network.plan.isClean, status != 423 { self.violate("the registration fails: \(status ?? 0) \(reason)") }
    // One of two that were on their way together has bound after all.
    case .registration(let id, .registered): self.retries[id] = nil
    default: break
    }
  }

  /// OPTIONS, MESSAGE, or a method that nobody knows.
  func ask(_ peer: Int) {
    guard !self.isQuiet else { return }
    let to = NameAddress(uri: Self.uri(peer))
    let method: SIPMethod = self.network.dice.pick([.options, .message, SIPMethod("DANCE")])
    let id = self.endpoint.request(
      OutgoingRequest(
        method, to: to, from: self.from, targets: self.chance(70) ? self.targets(peer) : [], local: self.address,
        body: method == .message ? SIPBody(contentType: "text/plain", bytes: [65]) : nil, account: self.account),
      now: self.now)
    self.requests.insert(id)
  }

  /// Binds at agent 0.
  func register() {
    guard !self.isQuiet else { return }
    let id = self.endpoint.register(
      RegistrationSettings(
        addressOfRecord: self.from, registrar: SIPURI(user: nil, host: "192.0.2.1", port: nil), local: self.address,
        contact: self.contact, interval: self.network.dice.pick([30, 60, 120]), account: self.account),
      now: self.now)
    self.registrations.insert(id)
    if self.chance(20) { self.after(60_000) { self.endpoint.unregister(id, now: self.now) } }
    if self.chance(20) { self.after(60_000) { self.endpoint.reregister(id, now: self.now) } }
  }

  private func requested(_ id: IncomingRequestID, _ request: IncomingRequest) {
    self.tell(request.method.name, request.callID, request.headers)
    guard request.method == .register else {
      return self.after(self.chance(90) ? 1_000 : 20_000) {
        self.endpoint.respond(id, status: 200, now: self.now)
      }
    }
    let contact = request.headers["Contact"].flatMap { try? NameAddress($0) }
    let asked = contact?.parameters["expires"].flatMap { Int($0) } ?? 3_600
    let user = request.from.uri.user ?? ""
    if asked > 0, asked < 40 {
      return self.endpoint.respond(id, status: 423, headers: [("Min-Expires", "40")], now: self.now)
    }
    let granted = self.network.isStingy ? min(asked, 45) : asked
    if asked == 0 {
      self.bindings[user] = nil
    } else {
      if self.network.plan.isClean, self.network.plan.loss == 0, let end = self.bindings[user], end < self.now {
        self.violate("the binding of \(user) has lapsed")
      }
      self.bindings[user] = self.now.advanced(byMilliseconds: Int64(granted) * 1_000)
    }
    var answer = contact
    answer?.parameters["expires"] = "\(granted)"
    self.endpoint.respond(
      id, status: 200, headers: [("Contact", answer?.description ?? ""), ("Expires", "\(granted)")], now: self.now)
  }
}
