internal import Handoff
internal import ModuleKit
package import NetBase
internal import Runtime
package import SIPStack

extension AgentCore {
  /// Calls `target`, which is at `destination`.
  ///
  /// - Throws: what is wrong with the settings, before anything is sent.
  package func call(
    _ target: SIPURI, at destination: SocketAddress, settings: CallSettings, headers: [(String, String)] = []
  ) throws -> CallID {
    let transport = target.parameters["transport"].flatMap { SIPTransportKind(name: $0) }
    return try self.call(
      target,
      at: [SIPTarget(address: destination, transport: transport ?? self.settings.configuration.sipDefaultTransport)],
      settings: settings, headers: headers)
  }

  /// Calls `target`, which is at the first of `targets` that can be reached.
  ///
  /// - Throws: what is wrong with the settings, before anything is sent.
  package func call(
    _ target: SIPURI, at targets: [SIPTarget], settings: CallSettings, headers: [(String, String)] = [],
    routeSet: [NameAddress] = [], account: LocalAccount? = nil
  ) throws -> CallID {
    guard !self.isClosing else { throw ModuleError(.unavailable, "the agent is about to end") }
    guard let first = targets.first else {
      throw ModuleError(.unavailable, "\(target.host) has no address")
    }
    guard let identity = try? SIPURI(settings.identity) else {
      throw ModuleError(.configuration, "account \(settings.identity): it is not a SIP URI")
    }
    let destination = first.address
    let local = try self.transports.localAddress(first.transport, towards: destination)
    let id = self.nextCall()
    let media = try self.makeMedia(id, settings, towards: destination)
    let call = Call(
      id: id, session: nil, isOutgoing: true, peer: target.shown, settings: settings, began: self.context.now)
    let invite = { [unowned self] () throws -> Void in
      let offer = try media.makeOffer()
      let isHidden = settings.privacy == .id
      // A GRUU of the account's names it.
      let shown = isHidden && account?.route?.publicGRUU != nil ? nil : account
      var outgoing = OutgoingInvite(
        from: NameAddress(displayName: settings.displayName, uri: identity), to: NameAddress(uri: target),
        contact: self.contact(of: shown, identity, towards: routeSet.first?.uri ?? target, at: first, from: local),
        targets: targets, local: local,
        headers: headers, body: SIPBody(bytes: offer), routeSet: routeSet, account: account?.signalling,
        policy: Self.policy(of: settings))
      if isHidden { outgoing.makeAnonymous(tellsProxy: targets.allSatisfy { self.isProxy($0.address, of: account) }) }
      self.begin(call, self.endpoint.invite(outgoing, now: self.context.now))
    }
    // Where nothing is waited for, the settings are found out to be wrong before there is a call.
    guard settings.mediaNAT != nil, !settings.natServers.isEmpty else {
      do { try invite() } catch {
        self.abandoned[id] = media
        media.stop()
        throw error
      }
      self.add(call, media)
      self.emit(.outgoing(id, to: call.peer))
      self.drain()
      return id
    }
    self.add(call, media)
    self.emit(.outgoing(id, to: call.peer))
    self.whenGathered(call, for: .offer) { [unowned self] in
      guard call.state == .calling, call.session == nil else { return }
      do { try invite() } catch {
        call.end("media", failure: Self.failure(error))
        self.conclude(call)
      }
      self.drain()
    }
    return id
  }

  /// Accepts a call that came in.
  package func answer(_ id: CallID) {
    guard let call = self.calls[id], call.isWaiting else { return }
    self.whenGathered(call, for: call.pendingOffer.map { .answer($0) } ?? .offer) { [unowned self] in
      self.accept(call)
    }
  }

  private func accept(_ call: Call) {
    guard call.isWaiting, let session = call.session, let media = call.media else { return }
    do {
      let body: [UInt8]
      if let early = call.earlyAnswer {
        body = early
      } else if let offer = call.pendingOffer {
        body = try media.answer(to: offer)
        call.pendingOffer = nil
        self.takeEarlyCandidates(call)
      } else {
        call.isLateOffer = true
        body = try media.makeOffer()
      }
      call.isAnswered = true
      self.endpoint.accept(session, body: SIPBody(bytes: body), now: self.context.now)
      self.notice(.callAnswered, call: call, parameter: call.peer)
      self.tones.update()
    } catch {
      call.end("media", failure: Self.failure(error), status: 488)
      self.endpoint.reject(
        session, status: 488, reason: nil, headers: [], now: self.context.now)
    }
    self.drain()
  }

  /// Refuses a call that came in and waits for an answer.
  ///
  /// - Parameters:
  ///   - status: 300 to 699.
  ///   - reason: nil is the status's own.
  package func reject(_ id: CallID, status: Int = 486, reason: String? = nil) {
    guard let call = self.calls[id], call.isWaiting, let session = call.session else { return }
    call.end("rejected", status: status)
    self.endpoint.reject(session, status: status, reason: reason, headers: [], now: self.context.now)
    self.drain()
  }

  /// Ends a call, whatever its state.
  package func hangUp(_ id: CallID) {
    guard let call = self.calls[id], !call.hasSIPEnded else { return }
    call.end("hangup")
    self.hangUp(call)
  }

  func hangUp(_ call: Call) {
    guard let session = call.session else { return self.conclude(call) }
    self.endpoint.hangUp(session, now: self.context.now)
    self.drain()
  }

  // MARK: In a call

  /// Offers hold or resume; while another change is under way, the peer's or ours, as soon as that is done with. Without
  /// SIP the next offer or answer says it.
  package func setHold(_ id: CallID, _ isHeld: Bool) {
    guard let call = self.calls[id], let media = call.media, call.state == .established else { return }
    guard call.session != nil else {
      media.isOnHold = isHeld
      return
    }
    guard self.mayOffer(call) else {
      call.nextHold = isHeld
      return
    }
    let wasOnHold = media.isOnHold
    media.isOnHold = isHeld
    // Where the offer comes to nothing, only what it was to change is as before.
    call.changes.hold = isHeld == wasOnHold ? nil : isHeld
    if !self.reoffer(call) { (media.isOnHold, call.changes.hold) = (wasOnHold, nil) }
  }

  /// Offers new keys, as `rekey_method` says; false where the media encryption can't change them, an offer waits for its
  /// answer, there is no SIP to offer them by, or the last new keys are not in use both ways yet: the peer keeps a few
  /// old ones only.
  package func rekey(_ id: CallID) -> Bool {
    guard let call = self.calls[id], let media = call.media, call.state == .established, self.mayOffer(call),
      !media.isRekeying, media.requestRekey()
    else { return false }
    return self.reoffer(call, byUpdate: self.settings.configuration.rekeyMethod == .update)
  }

  /// A key has protected nearly all that it may. Without SIP new ones are in the next offer.
  func renewKeys(of call: Call) {
    guard call.session == nil, let media = call.media else {
      _ = self.rekey(call.id)
      return
    }
    if !media.isRekeying { _ = media.requestRekey() }
  }

  /// Offers to check anew where media goes, which it does as before meanwhile; false without checks, and while an offer
  /// waits for its answer.
  package func restartConnectivity(_ id: CallID) -> Bool {
    guard let call = self.calls[id], let media = call.media, call.state == .established, self.mayOffer(call),
      media.requestRestart()
    else { return false }
    return self.reoffer(call)
  }

  package func mute(_ id: CallID, _ isMuted: Bool) {
    guard let call = self.calls[id] else { return }
    call.isMuted = isMuted
    _ = call.media?.post(.mute(isMuted))
  }

  /// Asks the call's transports for their figures, and calls `body` when the audio's has told them, or the call is over.
  func whenMeasured(_ id: CallID, _ body: @escaping () -> Void) {
    guard self.refreshStatistics(id), let call = self.calls[id] else { return body() }
    call.measured.append(body)
  }

  /// Asks the call's transports for their figures; `report` has them a moment later.
  ///
  /// - Returns: whether the audio's will tell them.
  @discardableResult
  package func refreshStatistics(_ id: CallID) -> Bool {
    // A transport that is about to close gives its last ones unasked, and takes no command any more.
    guard let call = self.calls[id], call.state != .ended, let media = call.media else { return false }
    return media.sections.map { $0.post(.reportStatistics) }[0]
  }

  /// Whether an offer may be made: none is on its way, neither ours nor the peer's, and an answer of ours was acknowledged,
  /// for what goes with that may not be taken back any more (RFC 3261 §14.1).
  func mayOffer(_ call: Call) -> Bool {
    guard let session = call.session, let media = call.media, call.gathering == nil else { return false }
    return !media.awaitsAnswer && !self.endpoint.isChanging(session)
  }

  /// Offers what the call's media wants to be; false when it can't be offered, or not now.
  ///
  /// - Parameter byUpdate: whether it goes by UPDATE, where the peer allows that.
  func reoffer(_ call: Call, byUpdate: Bool = false) -> Bool {
    guard let session = call.session, let media = call.media, self.mayOffer(call) else { return false }
    var isOffered = true
    var isAtOnce = true
    self.whenGathered(call, for: .offer) { [unowned self] in
      guard call.state != .ended else {
        isOffered = false
        return
      }
      do {
        // Meanwhile the session may have been refreshed; the peer's own offer ends the wait (`withdrawOffer`).
        guard call.state == .established, self.mayOffer(call) else {
          throw MediaRefusal(description: "a change of the call was not offered, for another was under way")
        }
        let offer = try media.makeOffer()
        self.endpoint.reinvite(session, body: SIPBody(bytes: offer), byUpdate: byUpdate, now: self.context.now)
        self.drain()
      } catch {
        media.rollback()
        self.emit(.warning(call.id, "\(error)"))
        isOffered = false
        if !isAtOnce { self.notOffered(call, media) }
      }
    }
    isAtOnce = false
    return isOffered
  }

  /// An offer that had waited for candidates was not made after all. Where another change is under way, the hold and the
  /// move that it was for come next; where it can't be made, they came to nothing.
  private func notOffered(_ call: Call, _ media: CallMedia) {
    guard !self.mayOffer(call) else {
      self.cameToNothing(call, media)
      return self.offerSettled(call)
    }
    call.nextHold = call.nextHold ?? call.changes.hold
    self.withdrawMove(call)
    self.cameToNothing(call, media)
  }

  /// The address that an offer was to tell is still to be told.
  private func withdrawMove(_ call: Call) {
    if case .offered(let refusals) = call.move { call.move = .needed(refusals: refusals) }
  }

  /// The peer has an offer, and comes first: takes ours back, whether it is on its way or waits for candidates. What it was
  /// to change, our answer says.
  ///
  /// - Returns: what it was to change; nil where there was none of ours.
  func withdrawOffer(_ call: Call, _ media: CallMedia, in session: SessionID) -> Call.Changes? {
    let isWaiting = call.state == .established && call.gathering.take() != nil
    guard media.awaitsAnswer ? self.endpoint.withdrawReoffer(session) : isWaiting else { return nil }
    media.rollback()
    self.withdrawMove(call)
    let changes = call.changes
    call.changes = Call.Changes()
    return changes
  }
}
