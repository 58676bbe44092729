internal import ICEAgent
package import NetBase

/// Keeping bindings at registrars: bind, refresh, fail over, back off, take back (RFC 3261 §10.2, RFC 5626).
extension SIPEndpoint {
  /// Registers and keeps the binding; `registration` events tell how it stands.
  package func register(_ settings: RegistrationSettings, now: Instant) -> RegistrationID {
    let id = RegistrationID(value: self.newIdentifier())
    let registration = Registration(
      id: id, timer: self.timers.reserve(), settings: settings, callID: self.generator.hexadecimal(words: 2),
      fromTag: self.newTag())
    self.timers.assign(.registration(registration), to: registration.timer)
    self.registrations[id] = registration
    self.beginRound(registration, now)
    return id
  }

  /// Registers again at once: by a user's wish, after a new password, or because the network has changed.
  ///
  /// - Parameters:
  ///   - local: our new address; nil keeps the old one.
  ///   - interval: what is asked for from now on, in seconds, also where the binding is being taken back; nil keeps the
  ///     old one, and lets go what leaves.
  /// - Returns: false when the registration is over, or goes on leaving.
  @discardableResult
  package func reregister(
    _ id: RegistrationID, local: SocketAddress? = nil, interval: Int? = nil, now: Instant
  ) -> Bool {
    guard let registration = self.registrations[id], interval != nil || !registration.wantsToLeave else { return false }
    registration.wantsToLeave = false
    if let interval { registration.interval = interval }
    if let local {
      registration.settings.local = local
      registration.path = nil
      (registration.ping, registration.pongBy, registration.probe) = (nil, nil, nil)
    }
    // An instance's binding is replaced by itself (RFC 5626 §6); another one stands until it is taken back.
    if registration.isBound, registration.settings.instance == nil {
      registration.boundContact = registration.boundContact ?? registration.contact
    }
    registration.failures = 0
    // The flow that a binding is refreshed over leads to the server that it has.
    if !registration.isBound || registration.path?.flow == nil { registration.server = 0 }
    self.beginRound(registration, now)
    return true
  }

  /// Takes the binding back and forgets the registration; `unregistered` follows.
  package func unregister(_ id: RegistrationID, now: Instant) {
    guard let registration = self.registrations[id], !registration.wantsToLeave else { return }
    registration.wantsToLeave = true
    (registration.ping, registration.pongBy, registration.due, registration.probe) = (nil, nil, nil, nil)
    switch registration.state {
    case .registering:
      // What is on its way may still bind; it is taken back when its end is known.
      self.settle(registration)
    case .registered, .waiting, .stopped: self.leave(registration, now)
    case .leaving: break
    }
  }

  func timeout(_ registration: Registration, _ now: Instant) {
    if let limit = registration.pongBy, limit <= now {
      registration.pongBy = nil
      self.counters.missedPongs += 1
      if let path = registration.path { self.giveUp(path, error: "the keep-alive was not answered", now: now) }
    }
    if let ping = registration.ping, ping.next <= now, let path = registration.path {
      registration.ping = (ping.interval, now.advanced(by: self.jittered(ping.interval)))
      // One that has no answer yet is repeated by itself.
      if registration.probe?.isAsking != true {
        self.counters.pingsSent += 1
        self.send(registration.probe?.ask(using: &self.generator, now: now) ?? Self.ping, path)
      }
      if registration.expectsPong, registration.pongBy == nil {
        registration.pongBy = now.advanced(by: Registration.pongPatience)
      }
    }
    self.timeoutProbe(registration, now)
    if let due = registration.due, due <= now { self.beginRound(registration, now) }
    self.settle(registration)
  }

  private func timeoutProbe(_ registration: Registration, _ now: Instant) {
    guard let next = registration.probe?.next, next <= now, let path = registration.path else { return }
    if let request = registration.probe?.repeated(now: now) { return self.send(request, path) }
    self.counters.missedPongs += 1
    // An edge that never answers is sent lines, which keep the way open all the same.
    guard registration.probe?.isAnswered == true else { return }
    self.flowFailed(registration, error: "the keep-alive was not answered", now: now)
  }

  /// A STUN message came; false when no registration has asked for it.
  func receive(stun message: STUNMessage, _ path: SIPPath, _ now: Instant) -> Bool {
    for registration in self.registrations.values where registration.path?.peer == path.peer {
      guard let verdict = registration.probe?.take(message) else { continue }
      self.counters.keepAlives += 1
      switch verdict {
      case .alive: self.settle(registration)
      case .failed(let reason): self.flowFailed(registration, error: reason, now: now)
      }
      return true
    }
    return false
  }

  /// Asks for a sign of life (RFC 5626 §3.5.1); a transport that has a form of its own for it sends that.
  package static let ping = Array("\r\n\r\n".utf8)

  /// Line ends came: the pong of a registration's flow, or a peer's ping (RFC 5626 §3.5.1, §4.4.1).
  func receive(keepAlive bytes: RawSpan, _ path: SIPPath) {
    self.counters.keepAlives += 1
    guard path.transport.isReliable else { return }
    if bytes.byteCount >= 4 { return self.send(Array("\r\n".utf8), path) }
    if let flow = path.flow { self.ponged(flow) }
  }

  /// The peer of a connection gave the sign of life that it was asked for, in whichever form its transport has.
  package func ponged(_ flow: SIPFlow) {
    for registration in self.registrations.values where registration.path?.flow == flow {
      registration.pongBy = nil
      self.settle(registration)
    }
  }

  func settle(_ registration: Registration) {
    guard self.registrations[registration.id] != nil else { return }
    self.timers.set(registration.timer, to: registration.nextDeadline)
  }

  // MARK: One try

  /// A round tries each server once, beginning with the one that worked last.
  private func beginRound(_ registration: Registration, _ now: Instant) {
    registration.failedServers = 0
    registration.hasCorrected = false
    registration.tooBrief = 0
    self.emit(.registration(registration.id, .registering))
    self.tryServer(registration, now)
  }

  private func tryServer(_ registration: Registration, _ now: Instant) {
    registration.attempt += 1
    registration.request = nil
    registration.state = .registering
    registration.due = nil
    self.settle(registration)
    if registration.isBound, let path = registration.path, path.flow != nil {
      // The binding belongs to its flow: it is refreshed over that one (RFC 5626 §4.2.2).
      return self.sendRegister(registration, path, alternatives: [], expires: registration.interval, now)
    }
    let server = registration.settings.servers[registration.server % registration.settings.servers.count]
    self.locate(server, .registration(registration.id, attempt: registration.attempt))
  }

  func located(
    _ id: RegistrationID, attempt: Int, _ targets: [SIPTarget], reason: String, _ now: Instant
  ) {
    guard let registration = self.registrations[id], registration.attempt == attempt else { return }
    guard let first = targets.first else {
      return self.failed(registration, status: nil, reason: reason, retryAfter: nil, now)
    }
    let paths = targets.map { $0.path(local: registration.settings.local) }
    let expires = registration.state.isLeaving ? 0 : registration.interval
    self.sendRegister(
      registration, first.path(local: registration.settings.local), alternatives: Array(paths.dropFirst()),
      expires: expires, now)
  }

  private func sendRegister(
    _ registration: Registration, _ path: SIPPath, alternatives: [SIPPath], expires: Int, _ now: Instant
  ) {
    let settings = registration.settings
    registration.leads(over: path)
    registration.sequence += 1
    var headers = SIPHeaders()
    headers.append("Max-Forwards", "70")
    var from = settings.addressOfRecord
    from.tag = registration.fromTag
    headers.append("From", from.description)
    headers.append("To", settings.addressOfRecord.description)
    headers.append("Call-ID", registration.callID)
    headers.append("CSeq", CSeq(number: registration.sequence, method: .register).description)
    let server = settings.servers[registration.server % settings.servers.count]
    if !server.isEquivalent(to: settings.registrar) {
      var proxy = server
      if !proxy.parameters.contains("lr") { proxy.parameters.set("lr", nil) }
      headers.append("Route", NameAddress(uri: proxy).description)
    }
    let contact = self.contact(registration, path, expires: expires)
    registration.contact = contact
    if let bound = registration.boundContact, !bound.uri.isEquivalent(to: contact.uri) {
      registration.formerContacts.removeAll { $0.uri.isEquivalent(to: bound.uri) }
      registration.formerContacts.append(bound)
      registration.boundContact = nil
    }
    // Who is back at an old address binds that one again.
    registration.formerContacts.removeAll { $0.uri.isEquivalent(to: contact.uri) }
    headers.append("Contact", contact.description)
    for other in settings.moreContacts {
      var other = other
      other.parameters["expires"] = "\(expires)"
      headers.append("Contact", other.description)
    }
    for var former in registration.formerContacts {
      former.parameters["expires"] = "0"
      headers.append("Contact", former.description)
    }
    headers.append("Expires", "\(expires)")
    let tags = ["path", "gruu"] + (settings.flowNumber != nil && settings.instance != nil ? ["outbound"] : [])
    headers.append("Supported", (self.configuration.supported + tags).joined(separator: ", "))
    headers.append("Allow", self.allowed)
    headers.append("User-Agent", self.configuration.userAgent)
    for (name, value) in settings.headers { headers.append(name, value) }
    registration.request = self.start(
      SIPMessage(.request(.register, settings.registrar), headers: headers), path,
      user: .registration(registration.id),
      submission: Submission(account: settings.account, alternatives: alternatives), now)
  }

  private func contact(_ registration: Registration, _ path: SIPPath, expires: Int) -> NameAddress {
    let settings = registration.settings
    var uri: SIPURI
    if let given = settings.contact {
      uri = given
    } else {
      uri = SIPURI(user: settings.addressOfRecord.uri.user, host: path.local.uriHost, port: path.local.port)
      uri.parameters["transport"] = path.transport.uriParameter
      if settings.addressOfRecord.uri.scheme == .sips, path.transport.isSecure { uri = uri.secured }
    }
    let isOutbound = settings.flowNumber != nil && settings.instance != nil
    if isOutbound { uri.parameters.set("ob", nil) }
    var contact = NameAddress(uri: uri)
    for (name, value) in settings.contactParameters { contact.parameters.set(name, value) }
    if let instance = settings.instance {
      contact.parameters.set("+sip.instance", "\"<\(instance)>\"")
      if let number = settings.flowNumber { contact.parameters.set("reg-id", "\(number)") }
    }
    contact.parameters.set("expires", "\(expires)")
    return contact
  }

  /// Writes the contact of a request that goes again as the connection has it that was found meanwhile.
  func renewContact(of id: RegistrationID, in request: inout SIPMessage, _ path: SIPPath) {
    guard let registration = self.registrations[id], !registration.state.isLeaving,
      registration.settings.moreContacts.isEmpty
    else { return }
    let contact = self.contact(registration, path, expires: registration.interval)
    registration.contact = contact
    let former = request.headers.all("Contact").dropFirst().filter { line in
      (try? NameAddress(line))?.uri.isEquivalent(to: contact.uri) != true
    }
    request.headers.set("Contact", contact.description)
    for line in former { request.headers.append("Contact", line) }
  }

  /// Whether the contact that was bound is not the one that the connection turned out to have; it is bound anew, and
  /// the old one taken back where the new one does not replace it.
  private func corrects(_ registration: Registration, _ path: SIPPath, _ now: Instant) -> Bool {
    guard path.flow != nil, let sent = registration.contact else { return false }
    let right = self.contact(registration, path, expires: registration.interval)
    guard !right.uri.isEquivalent(to: sent.uri), !registration.hasCorrected else { return false }
    registration.hasCorrected = true
    // To take back the contact of an instance is to take back what has replaced it (RFC 5626 §6).
    if registration.settings.instance == nil { registration.formerContacts = [sent] }
    self.sendRegister(registration, path, alternatives: [], expires: registration.interval, now)
    return true
  }

  // MARK: Its end

  func receive(
    registration response: ReceivedResponse, _ id: RegistrationID, _ transaction: ClientTransaction, _ now: Instant
  ) {
    guard response.status >= 200, let registration = self.registrations[id] else { return }
    // A challenge took numbers of its own.
    registration.sequence = max(registration.sequence, response.essentials.cseq.number)
    guard registration.request === transaction else {
      // How the binding stands, the REGISTER tells that came after; but there is one, should it be taken back.
      if (200..<300).contains(response.status) { registration.isBound = true }
      return
    }
    registration.request = nil
    registration.leads(over: transaction.path)
    if registration.state.isLeaving { return self.forget(registration) }
    switch response.status {
    case 200..<300: self.registered(registration, response, transaction, now)
    case 423:
      guard let minimum = response.message.headers["Min-Expires"]?.decimal(upTo: Registration.maximumInterval),
        minimum > registration.interval, registration.tooBrief < 3, !registration.wantsToLeave
      else { return self.failed(registration, status: 423, reason: response.reason, retryAfter: nil, now) }
      registration.tooBrief += 1
      registration.interval = minimum
      self.sendRegister(registration, transaction.path, alternatives: [], expires: minimum, now)
    default:
      let wait = response.message.headers["Retry-After"].flatMap { text in
        var scanner = TextScanner(text)
        return scanner.take(while: \.isDigit).decimal(upTo: 86_400)
      }
      self.failed(
        registration, status: response.status, reason: response.reason,
        retryAfter: wait.map { .seconds($0) }, now)
    }
  }

  func failed(
    registration id: RegistrationID, _ transaction: ClientTransaction, _ reason: EndReason, _ now: Instant
  ) {
    guard let registration = self.registrations[id], registration.request === transaction else { return }
    registration.request = nil
    if registration.state.isLeaving { return self.forget(registration) }
    let text =
      switch reason {
      case .unreachable(let text): text
      default: "no answer"
      }
    self.failed(registration, status: nil, reason: text, retryAfter: nil, now)
  }

  private func registered(
    _ registration: Registration, _ response: ReceivedResponse, _ transaction: ClientTransaction, _ now: Instant
  ) {
    let headers = response.message.headers
    (registration.failedServers, registration.tooBrief) = (0, 0)
    registration.formerContacts = []
    if registration.hasLasted(until: now) { registration.briefBindings = 0 }
    if registration.briefBindings == 0 { registration.failures = 0 }
    registration.isBound = true
    if registration.wantsToLeave { return self.leave(registration, now) }
    if self.corrects(registration, transaction.path, now) { return }
    registration.boundSince = registration.boundSince ?? now
    let contacts = headers.list("Contact").compactMap { try? NameAddress($0) }
    let sent = registration.contact
    let ours = contacts.first { self.isSame($0, sent, registration) }
    // A registrar that sees us behind a NAT may have written another address; of as many as were sent the first is ours.
    let bound = ours ?? (contacts.count == 1 + registration.settings.moreContacts.count ? contacts.first : nil)
    func expires(_ contact: NameAddress) -> Int? { contact.parameters["expires"]?.decimal(upTo: Int(Int32.max)) }
    // Where ours can't be told from others', it is the newest: none lasts longer.
    let granted =
      bound.flatMap(expires) ?? headers["Expires"]?.decimal(upTo: Int(Int32.max))
      ?? (bound == nil ? contacts.compactMap(expires).max().map { min($0, registration.interval) } : nil)
      ?? registration.interval
    let expires = max(granted, 1)
    registration.state = .registered
    let refresh = Duration.milliseconds(Int64(expires) * 10 * Int64(registration.settings.refreshPercent))
    registration.due = now.advanced(by: max(refresh, .milliseconds(500)))
    let isOutbound =
      registration.settings.flowNumber != nil
      && (headers.list("Require").contains { $0.isSame(ignoringCaseOf: "outbound") } || headers["Flow-Timer"] != nil)
    self.keepAlive(registration, headers, isOutbound: isOutbound, now)
    func addresses(_ name: String) -> [NameAddress] { headers.list(name).compactMap { try? NameAddress($0) } }
    func gruu(_ name: String) -> SIPURI? {
      ours?.parameters[name].flatMap { value in
        try? SIPURI(value.hasPrefix("\"") ? NameAddress.unquote(value) : value)
      }
    }
    self.emit(
      .registration(
        registration.id,
        .registered(
          RegistrationResult(
            expires: expires, contacts: contacts, contact: ours ?? sent ?? registration.settings.addressOfRecord,
            serviceRoute: addresses("Service-Route"), path: addresses("Path"),
            associatedURIs: addresses("P-Associated-URI"), publicGRUU: gruu("pub-gruu"),
            temporaryGRUU: gruu("temp-gruu"), isOutbound: isOutbound, route: transaction.path,
            server: registration.settings.servers[registration.server % registration.settings.servers.count]))))
    self.settle(registration)
  }

  /// Whether a contact of the registrar's list is the one that was sent.
  private func isSame(_ contact: NameAddress, _ sent: NameAddress?, _ registration: Registration) -> Bool {
    guard let sent else { return false }
    if contact.uri.isEquivalent(to: sent.uri) { return true }
    guard registration.settings.instance != nil else { return false }
    // A NAT-minding registrar may have changed the URI; instance and flow tell it all the same (RFC 5626 §4.2).
    return contact.parameters["+sip.instance"] == sent.parameters["+sip.instance"]
      && contact.parameters["reg-id"] == sent.parameters["reg-id"]
  }

  private func keepAlive(_ registration: Registration, _ headers: SIPHeaders, isOutbound: Bool, _ now: Instant) {
    var interval = registration.settings.keepAlive
    if isOutbound {
      let usual: Duration = registration.path?.transport == .udp ? .seconds(29) : .seconds(120)
      let asked = headers["Flow-Timer"]?.decimal(upTo: 86_400).map { Duration.seconds(max($0, 1)) }
      interval = interval ?? asked ?? usual
    }
    registration.expectsPong = isOutbound && registration.path?.transport.isReliable ?? false
    registration.pongBy = nil
    let mayUseSTUN = isOutbound && registration.path?.transport == .udp
    registration.probe = mayUseSTUN ? registration.probe ?? FlowProbe() : nil
    registration.ping = interval.map { ($0, now.advanced(by: self.jittered($0))) }
  }

  /// 80 to 100 percent of `interval` (RFC 5626 §4.4.1).
  private func jittered(_ interval: Duration) -> Duration {
    interval * Int64.random(in: 800...1_000, using: &self.generator) / 1_000
  }

  /// The flow of a binding broke: the binding is made anew at once where the flow had lasted, else after the back-off
  /// (RFC 5626 §4.5). A registrar that closes what it has just accepted would be asked again without end.
  func flowFailed(_ registration: Registration, error: String, now: Instant) {
    (registration.ping, registration.pongBy, registration.probe) = (nil, nil, nil)
    registration.path?.flow = nil
    switch registration.state {
    case .registered:
      registration.briefBindings = registration.hasLasted(until: now) ? 0 : registration.briefBindings + 1
      guard registration.briefBindings < 2 else {
        return self.failed(registration, status: nil, reason: error, retryAfter: nil, now)
      }
      (registration.isBound, registration.boundSince) = (false, nil)
      self.emit(.registration(registration.id, .failed(status: nil, reason: error, retry: .zero)))
      self.beginRound(registration, now)
    case .registering, .waiting, .stopped, .leaving: self.settle(registration)
    }
  }

  private func failed(
    _ registration: Registration, status: Int?, reason: String, retryAfter: Duration?, _ now: Instant
  ) {
    if registration.wantsToLeave {
      let isFirst = registration.isBound && !registration.state.isLeaving
      return isFirst ? self.leave(registration, now) : self.forget(registration)
    }
    (registration.ping, registration.pongBy, registration.probe) = (nil, nil, nil)
    (registration.isBound, registration.boundSince) = (false, nil)
    registration.path?.flow = nil
    let isPassword = status == 401 || status == 407
    // It may have been refused for what it takes back: the next one goes without.
    if let status, (400..<500).contains(status), !isPassword { registration.formerContacts = [] }
    registration.failedServers += 1
    if !isPassword, registration.failedServers < registration.settings.servers.count {
      registration.server = (registration.server + 1) % registration.settings.servers.count
      return self.tryServer(registration, now)
    }
    if isPassword {
      // The same password again would only lock the account.
      registration.state = .stopped
      registration.due = nil
    } else {
      registration.state = .waiting
      registration.server = 0
      let longest = Registration.wait(afterFailures: registration.failures)
      registration.failures += 1
      let wait = longest * Int64.random(in: 500...1_000, using: &self.generator) / 1_000
      registration.due = now.advanced(by: max(wait, retryAfter ?? .zero))
    }
    let retry = registration.due.map { Duration.nanoseconds($0.nanoseconds(since: now)) }
    self.emit(.registration(registration.id, .failed(status: status, reason: reason, retry: retry)))
    self.settle(registration)
  }

  private func leave(_ registration: Registration, _ now: Instant) {
    guard registration.isBound else { return self.forget(registration) }
    registration.state = .leaving
    registration.attempt += 1
    registration.request = nil
    (registration.due, registration.ping, registration.pongBy, registration.probe) = (nil, nil, nil, nil)
    self.settle(registration)
    if let path = registration.path {
      self.sendRegister(registration, path, alternatives: [], expires: 0, now)
    } else {
      let server = registration.settings.servers[registration.server % registration.settings.servers.count]
      self.locate(server, .registration(registration.id, attempt: registration.attempt))
    }
  }

  private func forget(_ registration: Registration) {
    guard self.registrations.removeValue(forKey: registration.id) != nil else { return }
    self.timers.release(registration.timer)
    self.emit(.registration(registration.id, .unregistered))
  }
}

extension Registration.State {
  var isLeaving: Bool {
    switch self {
    case .leaving: true
    case .registering, .registered, .waiting, .stopped: false
    }
  }
}
