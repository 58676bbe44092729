package import ModuleKit
package import NetBase
internal import Runtime
internal import SDPCodec
internal import SIPStack

extension AgentCore {
  /// Carries out what the endpoint asks for, and sets its timer.
  func drain() {
    guard !self.isDraining else { return }
    self.isDraining = true
    while let action = self.endpoint.nextAction() {
      switch action {
      case .send(let bytes, let path):
        let destination = path.peer
        guard let transport = self.transports.first else { continue }
        self.trace("sent to \(destination)", bytes)
        if let reason = transport.send(bytes, to: destination) {
          self.endpoint.transportFailed(to: destination, error: reason, now: self.context.now)
        }
      case .event(let event): self.handle(event)
      }
    }
    self.isDraining = false
    if let timer, let deadline = self.endpoint.nextDeadline { self.context.arm(timer, at: deadline) }
  }

  /// Shows a message to whoever traces; what SDP says of keys is left out.
  func trace(_ what: String, _ bytes: [UInt8]) {
    guard let show = self.settings.traceSIP, !bytes.isEmpty else { return }
    show("\(what)\n\(SDPRedaction.redacted(String(decoding: bytes, as: UTF8.self)))")
  }

  func handle(_ event: SIPEvent) {
    switch event {
    case .incomingCall(let session, let invite): self.incomingCall(session, invite)
    case .progress(let session, let status, reason: _, let body):
      guard let call = self.call(session) else { return }
      if let body { self.take(answer: body, call) }
      if call.state == .calling || call.state == .ringing { call.state = body == nil ? .ringing : .early }
      self.emit(status == 180 ? .ringing(call.id) : .progress(call.id, status: status))
    case .established(let session, let body): self.established(session, body)
    case .answered: break
    case .reoffer(let session, let body, method: _): self.reoffered(session, body)
    case .reofferCancelled(let session): self.call(session)?.media?.rollback()
    case .reofferAcknowledged(let session, let body): self.reofferAcknowledged(session, body)
    case .reofferAnswered(let session, let body): self.reofferAnswered(session, body)
    case .reofferFailed(let session, let status, let reason):
      guard let call = self.call(session), let media = call.media else { return }
      media.rollback()
      if let wantsHold = call.wantsHold { media.isOnHold = !wantsHold }
      call.wantsHold = nil
      self.emit(.warning(call.id, "the peer refused a change of the call: \(status) \(reason)"))
    case .ended(let session, let reason): self.ended(session, reason)
    case .requestResult, .requestFailed: break
    }
  }

  func incomingCall(_ session: SessionID, _ invite: IncomingInvite) {
    let now = self.context.now
    let limit = self.settings.configuration.callMaxCalls ?? .max
    guard !self.isClosing, let settings = self.account(for: invite.requestURI), self.calls.count < limit else {
      let isFull = self.calls.count >= limit
      return self.endpoint.reject(
        session, status: isFull ? 486 : 480, reason: isFull ? "Max Calls" : nil, headers: [], now: now)
    }
    let id = self.nextCall()
    let call = Call(
      id: id, session: session, isOutgoing: false, peer: "\(invite.from.uri)", settings: settings, began: now)
    do {
      let media = try self.makeMedia(id, settings, towards: invite.source)
      call.pendingOffer = invite.body?.bytes
      self.add(call, media)
    } catch {
      self.emit(.warning(id, "\(error)"))
      return self.endpoint.reject(session, status: 488, reason: nil, headers: [], now: now)
    }
    self.emit(.incoming(id, from: call.peer))
    if settings.answersAtOnce, settings.answerDelay == 0 { return self.answer(id) }
    call.state = .ringing
    self.endpoint.ring(session, status: 180, reason: nil, body: nil, now: now)
    if settings.answersAtOnce {
      self.context.schedule(at: now.advanced(byMilliseconds: Int64(settings.answerDelay))) { [weak self] in
        self?.answer(id)
      }
    } else if let timeout = self.settings.configuration.callLocalTimeout {
      self.context.schedule(at: now.advanced(by: .seconds(timeout))) { [weak self] in
        guard let self, let call = self.calls[id], call.state == .ringing else { return }
        call.end("timeout")
        self.reject(id, status: 480)
      }
    }
  }

  /// The account whose user is called, else the first.
  func account(for target: SIPURI) -> CallSettings? {
    self.accounts.first { (try? SIPURI($0.identity))?.user == target.user } ?? self.accounts.first
  }

  func established(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    if call.isOutgoing || call.isLateOffer {
      guard let body else {
        if media.awaitsAnswer { self.fail(call, MediaRefusal(description: "the answer has no description")) }
        return self.establish(call)
      }
      guard self.take(answer: body, call) else { return }
    } else {
      do { try media.answerConfirmed() } catch { return self.fail(call, error) }
    }
    self.establish(call)
  }

  func establish(_ call: Call) {
    guard call.state != .established, call.state != .ended else { return }
    call.state = .established
    call.established = self.context.now
    self.emit(.established(call.id))
  }

  @discardableResult
  func take(answer body: SIPBody, _ call: Call) -> Bool {
    guard let media = call.media else { return false }
    do {
      try media.receive(answer: body.bytes)
      return true
    } catch {
      self.fail(call, error)
      return false
    }
  }

  func reoffered(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    let now = self.context.now
    do {
      let wasHeld = media.isHeldByPeer
      if let body {
        let answer = try media.answer(to: body.bytes)
        self.endpoint.acceptReinvite(session, body: SIPBody(bytes: answer), now: now)
        if media.isHeldByPeer != wasHeld { self.emit(.held(call.id, media.isHeldByPeer)) }
      } else {
        call.isLateOffer = true
        self.endpoint.acceptReinvite(session, body: SIPBody(bytes: try media.makeOffer()), now: now)
      }
    } catch {
      self.endpoint.rejectReinvite(session, status: 488, now: now)
      self.emit(.warning(call.id, "an offer of the peer's was refused: \(error)"))
    }
  }

  func reofferAnswered(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    call.wantsHold = nil
    if media.awaitsAnswer, let body { self.take(answer: body, call) }
  }

  func reofferAcknowledged(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    if media.awaitsAnswer, let body { self.take(answer: body, call) }
    do { try media.answerConfirmed() } catch { self.fail(call, error) }
  }

  func ended(_ session: SessionID, _ reason: EndReason) {
    guard let call = self.call(session) else { return }
    switch reason {
    case .localHangup: call.end("hangup")
    case .remoteHangup: call.end("hangup")
    case .cancelled: call.end("cancelled")
    case .rejected(let status, reason: let text):
      let kind: ModuleError.Kind = status == 408 || status == 503 ? .unavailable : .peer
      call.end(
        "rejected", failure: ModuleError(kind, "\(call.peer) refused the call: \(status) \(text)"), status: status)
    case .timeout:
      call.end("timeout", failure: ModuleError(.unavailable, "\(call.peer) does not answer"))
    case .unreachable(let text):
      call.end("unreachable", failure: ModuleError(.unavailable, "\(call.peer) is not there: \(text)"))
    case .redirected(let contacts):
      let targets = contacts.map(\.description).joined(separator: ", ")
      call.end("redirected", failure: ModuleError(.peer, "\(call.peer) redirects to \(targets)"))
    }
    call.ended = self.context.now
    call.hasSIPEnded = true
    call.state = .ended
    if call.media?.transport == nil { call.hasMediaEnded = true } else { call.media?.stop() }
    self.finish(call)
  }

  /// The call can't go on.
  func fail(_ call: Call, _ error: any Error) {
    call.end("media", failure: Self.failure(error))
    self.endpoint.hangUp(call.session, now: self.context.now)
    self.drain()
  }
}

extension AgentCore: SIPTransportReceiver {
  package func received(_ bytes: RawSpan, from source: SocketAddress, on transport: any SIPTransport) {
    if self.settings.traceSIP != nil { self.trace("received from \(source)", bytes.copied()) }
    let local = (try? self.contactAddress(towards: source, transport)) ?? transport.localAddress
    self.endpoint.receive(bytes, from: source, on: local, transport: .udp, now: self.context.now)
    self.drain()
  }

  package func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {
    self.endpoint.transportFailed(to: address, error: reason, now: self.context.now)
    self.drain()
  }
}
