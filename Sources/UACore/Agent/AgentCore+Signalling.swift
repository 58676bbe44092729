internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

extension AgentCore {
  /// Carries out what the endpoint asks for, and sets its timer.
  func drain() {
    guard !self.isDraining else { return }
    self.isDraining = true
    while let action = self.endpoint.nextAction() {
      switch action {
      case .send(let bytes, let path):
        self.trace(.sent, bytes, local: path.local, peer: path.peer)
        if let reason = self.transports.send(bytes, path) {
          self.endpoint.flowFailed(path, error: reason, now: self.context.now)
        }
      case .close(let path): self.transports.close(path)
      case .event(let event): self.handle(event)
      }
    }
    self.isDraining = false
    if let timer, let deadline = self.endpoint.nextDeadline { self.context.arm(timer, at: deadline) }
    self.onProgress?()
  }

  /// Shows a message to whoever traces; keys and digests are left out.
  func trace(_ direction: SIPTrace.Direction, _ bytes: [UInt8], local: SocketAddress, peer: SocketAddress) {
    guard self.isTracing, !bytes.isEmpty else { return }
    let text = SIPTrace.text(direction, bytes, local: local, peer: peer, at: self.context.now)
    if let show = self.settings.traceSIP { show(text) } else { self.emit(.output(text)) }
  }

  func handle(_ event: SIPEvent) {
    switch event {
    case .incomingCall(let session, let invite): self.incomingCall(session, invite)
    case .progress(let session, let progress):
      guard let call = self.call(session) else { return }
      let isEarly = progress.body.map { self.take(early: $0, call) } ?? false
      if call.state == .calling || call.state == .ringing { call.state = isEarly ? .early : .ringing }
      self.emit(progress.status == 180 ? .ringing(call.id) : .progress(call.id, status: progress.status))
      self.notifyReferrer(of: call, status: progress.status)
    case .established(let session, let body): self.established(session, body)
    case .answered: break
    case .reoffer(let session, let body, let method): self.reoffered(session, body, method)
    case .reofferCancelled(let session):
      guard let call = self.call(session) else { return }
      call.media?.rollback()
      self.offerSettled(call)
    case .reofferAcknowledged(let session, let body): self.reofferAcknowledged(session, body)
    case .reofferAnswered(let session, let body): self.reofferAnswered(session, body)
    case .reofferFailed(let session, let status, let reason):
      guard let call = self.call(session), let media = call.media else { return }
      media.rollback()
      self.cameToNothing(call, media)
      self.emit(.warning(call.id, "the peer refused a change of the call: \(status) \(reason)"))
      self.offerSettled(call)
    case .ended(let session, let reason): self.ended(session, reason)
    case .info(let session, let info): self.received(info, session)
    case .instantMessage(let session, let message): self.received(message, in: session)
    case .requestResult(let request, let status, let reason, let headers, _):
      self.settled(request, .answered(status: status, reason: reason, headers: headers))
    case .requestFailed(let request, let reason): self.settled(request, .failed(reason))
    case .referRequested(let refer, let request): self.referred(refer, request)
    case .referEnded(let refer, let end): self.ended(refer, end)
    case .subscriptionRequested(let subscription, let request): self.watchers.requested(subscription, request)
    case .registration(let id, let event): self.handle(event, of: id)
    case .notified(let subscription, let notification):
      if self.contactWatches.take(notification, of: subscription) { return }
      self.mailboxChanged(subscription, notification)
    case .subscriptionEnded(let subscription, let end):
      if self.watchers.ended(subscription) || self.contactWatches.ended(subscription, end) { return }
      self.mailboxEnded(subscription)
    case .sessionRefreshed(let session, let body): self.sessionRefreshed(session, body)
    case .sessionRefreshFailed(let session):
      guard let call = self.call(session) else { return }
      self.offerSettled(call)
    case .earlyOffer, .progressAcknowledged, .headers, .referAbandoned, .referAccepted,
      .referProgress, .subscriptionRefreshed, .subscriptionAccepted, .publicAddress:
      break
    case .incomingRequest(let id, let request): self.received(request, id)
    case .locate(let id, let uri):
      self.locate(uri) { [weak self] result in
        guard let self else { return }
        switch result {
        case .success(let targets): self.endpoint.located(id, targets, now: self.context.now)
        case .failure(let error): self.endpoint.located(id, [], reason: error.message, now: self.context.now)
        }
        self.drain()
      }
    }
  }

  func established(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    if call.isOutgoing || call.isLateOffer {
      guard let body else {
        if media.awaitsAnswer { return self.fail(call, MediaRefusal(description: "the answer has no description")) }
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
    call.held = []
    self.emit(.established(call.id))
    self.notifyReferrer(of: call, status: 200)
    self.tellLateCandidates(of: call)
  }

  /// Takes an answer that comes before the call is answered. It is one fork's, or an announcement's: one of no use is passed
  /// over, and what comes with the 200 counts.
  private func take(early body: SIPBody, _ call: Call) -> Bool {
    guard let media = call.media, body.isSessionDescription else { return false }
    do {
      try media.receive(answer: body.bytes)
      self.takeEarlyCandidates(call)
      return true
    } catch {
      self.emit(.warning(call.id, "the peer's early answer can't be used, and is passed over: \(error)"))
      return false
    }
  }

  func take(answer body: SIPBody, _ call: Call) -> Bool {
    guard let media = call.media else { return false }
    do {
      try media.receive(answer: body.bytes)
      self.takeEarlyCandidates(call)
      return true
    } catch {
      self.fail(call, error)
      return false
    }
  }

  func reoffered(_ session: SessionID, _ body: SIPBody?, _ method: SIPMethod) {
    guard let call = self.call(session), let media = call.media else { return }
    let now = self.context.now
    let withdrawn = self.withdrawOffer(call, media, in: session)
    do {
      let wasHeld = media.isHeldByPeer
      if let body {
        let answer = try media.answer(to: body.bytes)
        self.resolveCandidates(of: call)
        self.endpoint.acceptReinvite(session, body: SIPBody(bytes: answer), now: now)
        if method != .invite { media.answerStands() }
        if media.isHeldByPeer != wasHeld { self.emit(.held(call.id, media.isHeldByPeer)) }
        // Only a re-INVITE has an ACK that will settle it.
        if method != .invite { self.offerSettled(call) }
      } else {
        call.isLateOffer = true
        self.endpoint.acceptReinvite(session, body: SIPBody(bytes: try media.makeOffer()), now: now)
      }
    } catch {
      // An offer that the peer had asked for comes to nothing as well.
      if body == nil { media.rollback() }
      self.endpoint.rejectReinvite(session, status: 488, now: now)
      self.emit(.warning(call.id, "an offer of the peer's was refused: \(error)"))
      guard let withdrawn else { return }
      // No answer said what ours was to change: it goes again.
      call.changes = withdrawn
      if self.reoffer(call) { return }
      self.cameToNothing(call, media)
      self.offerSettled(call)
    }
  }

  func reofferAnswered(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    if media.awaitsAnswer, !self.take(reanswer: body, call, media) { return }
    (call.changes.hold, call.changes.formerDirections) = (nil, nil)
    if case .offered = call.move { call.move = .none }
    self.offerSettled(call)
  }

  /// A refresh by re-INVITE offers what stands, and its answer may name other ports or keys (RFC 3264 §8): to the peer
  /// they are in force, so what stands is offered once more, and the answer to that is taken.
  private func sessionRefreshed(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session) else { return }
    if let body, call.media?.isNews(body.bytes) == true, self.reoffer(call) { return }
    self.offerSettled(call)
  }

  func reofferAcknowledged(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    if media.awaitsAnswer, !self.take(reanswer: body, call, media) { return }
    do { try media.answerConfirmed() } catch { return self.fail(call, error) }
    self.offerSettled(call)
  }

  /// An offer is done with, one way or the other: what was asked for meanwhile begins.
  func offerSettled(_ call: Call) {
    self.resolveCandidates(of: call)
    self.tellLateCandidates(of: call)
    if let isHeld = call.nextHold.take(), isHeld != call.media?.isOnHold { self.setHold(call.id, isHeld) }
    guard let transfer = call.pendingTransfer else { return }
    call.pendingTransfer = nil
    self.ask(call, transfer)
  }

  func ended(_ session: SessionID, _ reason: EndReason) {
    guard let call = self.call(session) else { return }
    switch reason {
    case .localHangup: call.end("hangup")
    case .remoteHangup: call.end("hangup", byPeer: true)
    case .cancelled: call.end("cancelled", byPeer: !call.isOutgoing)
    case .replaced: call.end("replaced")
    case .rejected(let status, reason: let text):
      let kind: ModuleError.Kind = status == 408 || status == 503 ? .unavailable : .peer
      call.end(
        "rejected", failure: ModuleError(kind, "\(call.peer) refused the call: \(status) \(text)"),
        status: status)
    case .timeout:
      call.end("timeout", failure: ModuleError(.unavailable, "\(call.peer) does not answer"))
    case .unreachable(let text):
      call.end("unreachable", failure: ModuleError(.unavailable, "\(call.peer) is not there: \(text)"))
    case .redirected(let contacts):
      let targets = contacts.map(\.description).joined(separator: ", ")
      self.notice(.callRedirect, call: call, parameter: targets)
      call.end("redirected", failure: ModuleError(.peer, "\(call.peer) redirects to \(targets)"))
    }
    self.notifyReferrer(of: call, status: call.status ?? 503)
    self.conclude(call)
  }

  /// Signalling is done with the call, and its media ends.
  func conclude(_ call: Call) {
    call.ended = self.context.now
    call.hasSIPEnded = true
    call.state = .ended
    if call.established == nil { self.resume(heldFor: call) }
    for body in call.gathering.take() ?? [] { body() }
    self.endCarrier(of: call)
    self.tones.update()
    self.watchers.changed(call)
    if call.media == nil { call.hasMediaEnded = true } else { call.media?.stop() }
    self.finish(call)
  }

  /// The call can't go on.
  func fail(_ call: Call, _ error: any Error) {
    call.end("media", failure: Self.failure(error))
    self.hangUp(call)
  }
}
