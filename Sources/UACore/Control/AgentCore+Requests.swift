internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SDPCodec
internal import SIPStack

/// What came of a request outside a call, or of one of its own in a call.
enum RequestOutcome {
  case answered(status: Int, reason: String, headers: SIPHeaders)
  case failed(EndReason)

  /// A few words.
  var text: String {
    switch self {
    case .answered(let status, let reason, _): "\(status) \(reason)"
    case .failed(.timeout): "no answer"
    case .failed(.unreachable(let why)): why
    case .failed(let reason): "\(reason)"
    }
  }

  /// Why `target` did not do what it was asked; nil where it did.
  func failure(of target: SIPURI) -> ModuleError? {
    switch self {
    case .answered(let status, _, _) where status < 300: nil
    case .answered(let status, _, _):
      ModuleError(status == 408 || status == 503 ? .unavailable : .peer, "\(target.shown) refused: \(self.text)")
    case .failed: ModuleError(.unavailable, "\(target.shown) is not reached: \(self.text)")
    }
  }
}

/// Requests that are not calls: OPTIONS, and messages and digits in calls.
extension AgentCore {
  /// Calls `then`, once, when a request's final response is there, or none will come.
  func await(_ request: RequestID, _ then: @escaping (RequestOutcome) -> Void) {
    self.requests[request] = then
    self.drain()
  }

  func settled(_ request: RequestID, _ outcome: RequestOutcome) {
    self.requests.removeValue(forKey: request)?(outcome)
  }

  /// Asks `target` what it can do; the answer comes as output.
  func sendOptions(to target: SIPURI, from account: LocalAccount) {
    self.locate(target, for: account) { [weak self] result in
      guard let self, let identity = try? SIPURI(account.aor) else { return }
      let way: RequestWay
      do throws(ModuleError) { way = try result.get() } catch {
        return self.warn("OPTIONS to \(target.shown): \(error)")
      }
      guard let local = way.targets.first?.local else { return }
      let request = self.endpoint.request(
        OutgoingRequest(
          .options, to: NameAddress(uri: target), from: NameAddress(uri: identity), targets: way.targets, local: local,
          routeSet: way.routeSet, headers: [("Accept", "application/sdp")], account: account.signalling),
        now: self.context.now)
      self.await(request) { [weak self] outcome in
        guard case .answered(let status, _, let headers) = outcome, status < 300 else {
          self?.warn("OPTIONS of \(target.shown): \(outcome.text)")
          return
        }
        let fields = ["Allow", "Accept", "Supported", "Server", "User-Agent"].flatMap { name in
          headers.all(name).map { "\(name): \($0)" }
        }
        self?.warn((["OPTIONS of \(target.shown): \(outcome.text)"] + fields).joined(separator: "\n"))
      }
    }
  }

  /// Asks `peer` to call `target`, outside a call; what comes of it is output.
  func sendRefer(to peer: SIPURI, target: SIPURI, from account: LocalAccount) {
    self.locate(peer, for: account) { [weak self] result in
      guard let self, let identity = try? SIPURI(account.aor) else { return }
      let way: RequestWay
      do throws(ModuleError) { way = try result.get() } catch { return self.warn("REFER to \(peer.shown): \(error)") }
      guard let first = way.targets.first, let local = first.local else { return }
      let from = NameAddress(displayName: account.settings.displayName, uri: identity)
      let contact = self.contact(
        of: account, identity, towards: way.routeSet.first?.uri ?? peer, at: first, from: local)
      let refer = self.endpoint.refer(
        OutgoingRefer(
          from: from, to: NameAddress(uri: peer), contact: contact, targets: way.targets, local: local,
          target: NameAddress(uri: target), referredBy: from, routeSet: way.routeSet, account: account.signalling),
        now: self.context.now)
      self.looseRefers[refer] = peer.shown
      self.drain()
    }
  }

  /// Sends a message outside a call; what comes of it is output.
  func sendMessage(_ text: String, to target: SIPURI, from account: LocalAccount) {
    self.sendMessage(text, to: target, from: account) { [weak self] result in
      switch result {
      case .success(let outcome): self?.warn("message to \(target.shown): \(outcome.text)")
      case .failure(let error): self?.warn("message to \(target.shown): \(error)")
      }
    }
  }

  /// Sends a message outside a call.
  ///
  /// - Parameter then: called once, on main, at once or later; not where the agent closes before there is an answer.
  func sendMessage(
    _ text: String, to target: SIPURI, from account: LocalAccount,
    then: @escaping (Result<RequestOutcome, ModuleError>) -> Void
  ) {
    self.locate(target, for: account) { [weak self] result in
      guard let self else { return }
      do throws(ModuleError) {
        let way = try result.get()
        guard let local = way.targets.first?.local, let identity = try? SIPURI(account.aor) else {
          throw ModuleError(
            .configuration, "account \(account.aor): it is not a SIP URI, or has no way to \(target.host)")
        }
        let own = NameAddress(displayName: account.settings.displayName, uri: identity)
        let request = self.endpoint.request(
          OutgoingRequest(
            .message, to: NameAddress(uri: target), from: own, targets: way.targets, local: local,
            routeSet: way.routeSet,
            body: SIPBody(contentType: "text/plain;charset=UTF-8", bytes: Array(text.utf8)),
            account: account.signalling),
          now: self.context.now)
        self.await(request) { then(.success($0)) }
      } catch { then(.failure(error)) }
    }
  }

  /// A request from outside any dialog: a MESSAGE that the account takes, or one that nobody here serves.
  func received(_ request: IncomingRequest, _ id: IncomingRequestID) {
    let now = self.context.now
    guard request.method == .message else { return self.endpoint.respond(id, status: 501, now: now) }
    let path = request.path
    let account = self.account(for: request.requestURI, to: request.to.uri, from: path.peer, flow: path.flow)
    guard let account else { return self.endpoint.respond(id, status: 404, now: now) }
    guard account.settings.acceptsRequests, !self.control.contacts.isBlocked(request.from.uri) else {
      return self.endpoint.respond(id, status: 403, now: now)
    }
    self.endpoint.respond(id, status: 200, now: now)
    let text = request.body.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
    self.emit(
      .message(
        account: account.aor, from: "\(request.from.uri)", contentType: request.body?.contentType ?? "text/plain",
        text: text))
  }

  /// A MESSAGE came in a dialog, a call's or a subscription's, and was answered.
  func received(_ message: IncomingMessage, in session: SessionID?) {
    let to = message.to.uri
    let account = session.flatMap { self.call($0)?.settings.identity } ?? self.account(for: to, to: to)?.aor
    guard let account, !self.control.contacts.isBlocked(message.from.uri) else { return }
    let text = message.body.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
    self.emit(
      .message(
        account: account, from: "\(message.from.uri)", contentType: message.body?.contentType ?? "text/plain",
        text: text))
  }

  // MARK: Digits

  /// Sends digits as the account's `dtmfmode` says: as telephone events, or as INFO, one after the other.
  package func send(digits: String, on id: CallID) {
    guard let call = self.calls[id] else { return }
    switch call.settings.dtmfMode {
    case .rtpevent: self.post(digits: digits, call)
    case .auto where call.media?.negotiated?.sendTelephoneEvent != nil: self.post(digits: digits, call)
    case .auto, .info:
      call.infoDigits += digits
      if !call.isSendingInfo { self.sendNextInfo(id) }
    }
  }

  private func post(digits: String, _ call: Call) {
    if call.media?.post(.sendDigits(digits)) != true { self.refused(digits: digits, call.id) }
  }

  /// Digits found no room on their way to the peer, or no media to go by.
  func refused(digits: String, _ id: CallID) {
    // Without them: they may be a PIN.
    self.emit(.warning(id, "digits not sent, for too many wait or the call has no audio yet: \(digits.count)"))
  }

  /// INFOs do not overtake each other: the next one leaves when the last one is answered.
  private func sendNextInfo(_ id: CallID) {
    guard let call = self.calls[id], !call.hasSIPEnded, let session = call.session, let digit = call.infoDigits.first
    else {
      self.calls[id]?.isSendingInfo = false
      return
    }
    call.infoDigits.removeFirst()
    call.isSendingInfo = true
    let body = DTMFInfo(digit: digit)?.relayBody
    let request = self.endpoint.info(session, body: body, headers: [], now: self.context.now)
    self.await(request) { [weak self] outcome in
      guard let self else { return }
      if case .answered(let status, _, _) = outcome, status < 300 { return self.sendNextInfo(id) }
      self.calls[id]?.infoDigits = ""
      self.calls[id]?.isSendingInfo = false
      self.emit(.warning(id, "the peer takes no digits by INFO: \(outcome.text)"))
    }
  }

  /// INFO of the peer's: a digit, or something that is not for us.
  func received(_ info: IncomingInfo, _ session: SessionID) {
    guard let call = self.call(session) else { return }
    if info.package == .trickleICE { return self.received(candidates: info.body, call) }
    guard let digit = info.digit?.digit, digit != "!" else { return }
    call.heard(digit)
    self.emit(.digit(call.id, digit))
    self.emit(.digit(call.id, nil))
  }
}
