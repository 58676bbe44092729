internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SDPCodec
internal import SIPStack

/// Calls that come in: who they are for, whether they are taken, and how they are answered.
extension AgentCore {
  func incomingCall(_ session: SessionID, _ invite: IncomingInvite) {
    let now = self.context.now
    let account: LocalAccount
    switch self.admission(of: invite) {
    case .refused(let status, let reason, let headers):
      self.notice(refused: invite, status: status, reason: reason)
      return self.endpoint.reject(session, status: status, reason: reason, headers: headers, now: now)
    case .taken(let found): account = found
    }
    var settings = account.settings
    if settings.mediaNAT != nil, let offer = invite.body { settings.mayHaveChecks = Self.mayHaveChecks(offer) }
    let caller = self.caller(of: invite, for: account)
    let id = self.nextCall()
    let call = Call(
      id: id, session: session, isOutgoing: false, peer: caller.uri.shown, settings: settings, began: now)
    call.target = invite.requestURI.shown
    call.peerName = caller.displayName.flatMap { $0.isEmpty ? nil : $0 }
    call.diverter = invite.headers["Diversion"].flatMap { try? NameAddress($0) }.map { "\($0.uri)" }
    do {
      let media = try self.makeMedia(id, settings, towards: invite.source)
      call.pendingOffer = invite.body?.bytes
      self.add(call, media)
    } catch {
      self.emit(.warning(id, "\(error)"))
      return self.refuse(session, invite, mediaError: error)
    }
    // Who takes the place of a call that stands is answered like that call was (RFC 3891 §3).
    let replaced = invite.replaces.flatMap { self.call($0) }
    call.replaced = replaced?.id
    let takesPlace = replaced?.state == .established
    let delay = takesPlace ? 0 : AutoAnswer.delay(asked: invite.headers, settings: settings)
    self.emit(.incoming(id, from: call.peer, answersItself: delay != nil))
    guard call.state == .incoming else { return }
    // Who has his calls answered expects it; who is called by an intercom is to hear that he is heard.
    let beeps = delay != nil && !takesPlace && settings.answerMode != .auto && settings.beepsBeforeAnswer
    self.whenGathered(call, for: call.pendingOffer.map { .answer($0) } ?? .offer) { [unowned self] in
      guard call.state == .incoming else { return }
      self.offerToUser(call, after: delay, beeps: beeps && self.settings.configuration.audioAlert != nil)
    }
  }

  /// Whether a line of the peer's offer has checks; what can't be read is refused later, or not.
  private static func mayHaveChecks(_ offer: SIPBody) -> Bool {
    guard let session = try? SessionDescription(parsing: offer.bytes) else { return true }
    return session.media.indices.contains { RemoteMedia(session, index: $0).iceUfrag != nil }
  }

  private enum IncomingAdmission {
    case taken(LocalAccount)
    case refused(Int, String?, headers: [(String, String)] = [])
  }

  private func admission(of invite: IncomingInvite) -> IncomingAdmission {
    if self.isClosing { return .refused(503, nil, headers: self.retryLater) }
    guard self.settings.acceptsCalls(), !self.localAccounts.isEmpty else { return .refused(480, nil) }
    guard let account = self.account(of: invite) else { return .refused(404, nil) }
    if !account.settings.acceptsRequests { return .refused(403, nil) }
    if let route = account.route, account.settings.account?.checksOrigin == true,
      !route.route.peer.isSameHost(as: invite.source)
    {
      return .refused(403, nil)
    }
    // Who takes the place of a call is one more only until that one has ended.
    let spare = invite.replaces == nil ? 0 : 1
    if let limit = self.settings.configuration.callMaxCalls, self.calls.count - spare >= limit {
      return .refused(486, "Max Calls")
    }
    if invite.replaces != nil { return .taken(account) }
    let callers = [invite.from, self.caller(of: invite, for: account)]
    if callers.contains(where: { self.control.contacts.isBlocked($0.uri) }) { return .refused(403, nil) }
    if self.control.doNotDisturb { return .refused(480, "Do Not Disturb") }
    return .taken(account)
  }

  /// What a server that ends, or is full, says besides 503 (RFC 3261 §21.5.4).
  var retryLater: [(String, String)] { [("Retry-After", "\(self.endpoint.configuration.limits.retryAfter)")] }

  /// Refuses a call for which there is no media: 503 where it may go well a little later, for ports, descriptors or
  /// threads were short; else 488.
  private func refuse(_ session: SessionID, _ invite: IncomingInvite, mediaError error: any Error) {
    let isShort = [.unavailable, .exhausted].contains((error as? ModuleError)?.kind)
    let status = isShort ? 503 : 488
    self.notice(refused: invite, status: status, reason: nil)
    self.endpoint.reject(
      session, status: status, reason: nil, headers: isShort ? self.retryLater : [], now: self.context.now)
  }

  /// Rings, or answers by itself.
  ///
  /// - Parameters:
  ///   - delay: milliseconds until an automatic answer; nil where a person decides.
  ///   - beeps: whether a tone is heard before they begin.
  private func offerToUser(_ call: Call, after delay: Int?, beeps: Bool) {
    guard let session = call.session else { return }
    let now = self.context.now
    let id = call.id
    call.answersItself = delay != nil
    if delay == 0, !beeps { return self.answerItself(id, after: 0) }
    call.state = .ringing
    if let offer = call.pendingOffer, let media = call.media,
      call.settings.answerMode.sendsEarlyMedia(hasVideo: media.video != nil)
    {
      do {
        let answer = try media.answer(to: offer)
        call.pendingOffer = nil
        self.takeEarlyCandidates(call)
        call.earlyAnswer = answer
        call.state = .early
        self.endpoint.ring(session, status: 183, reason: nil, body: SIPBody(bytes: answer), now: now)
      } catch {
        call.end("media", failure: Self.failure(error), status: 488)
        return self.endpoint.reject(session, status: 488, reason: nil, headers: [], now: now)
      }
    } else {
      self.endpoint.ring(session, status: 180, reason: nil, body: nil, now: now)
    }
    self.tones.update()
    if let delay {
      guard beeps else { return self.answerItself(id, after: delay) }
      self.tones.announce(.autoAnswer) { [weak self] in self?.answerItself(id, after: delay) }
    } else if let timeout = self.settings.configuration.callLocalTimeout {
      self.context.schedule(at: now.advanced(by: .seconds(timeout))) { [weak self] in
        guard let self, let call = self.calls[id], call.isWaiting else { return }
        call.end("timeout")
        self.reject(id, status: 480)
      }
    }
  }

  private func answerItself(_ id: CallID, after delay: Int) {
    guard delay == 0 else {
      let due = self.context.now.advanced(byMilliseconds: Int64(delay))
      return self.context.schedule(at: due) { [weak self] in self?.answerItself(id, after: 0) }
    }
    guard let call = self.calls[id], call.isWaiting else { return }
    if call.settings.account != nil { self.holdOthers(than: call) }
    self.answer(id)
  }
}

extension AnswerMode {
  /// Whether the answer goes out before anyone has answered.
  func sendsEarlyMedia(hasVideo: Bool) -> Bool {
    switch self {
    case .early, .earlyAudio: true
    case .earlyVideo: hasVideo
    case .manual, .auto: false
    }
  }
}
