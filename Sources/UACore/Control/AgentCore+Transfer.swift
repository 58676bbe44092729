internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Transfers, at all three ends (RFC 5589): REFER in a call asks, and its NOTIFY tells what came of it.
extension AgentCore {
  // MARK: Asking

  /// Asks the peer of a call to call `target` instead: a blind transfer. The peer is held meanwhile.
  func transfer(_ call: Call, to target: SIPURI) {
    call.held = self.hold([call])
    self.ask(call, CallTransfer(target: NameAddress(uri: target)))
  }

  /// Connects the peers of two calls with each other: an attended transfer. Both are held meanwhile.
  func transfer(_ call: Call, to other: Call) throws(CommandFailure) {
    guard let session = other.session, let target = self.endpoint.remoteParty(of: session) else {
      throw CommandFailure("call \(other.id) has no peer to transfer to")
    }
    call.held = self.hold([call, other])
    self.ask(call, CallTransfer(target: target, replaces: session))
  }

  /// The call goes on, and with it who was held for its transfer.
  private func transferFailed(_ call: Call, _ reason: String) {
    self.emit(.transferFailed(call.id, reason))
    self.resume(heldFor: call)
  }

  /// Sends the REFER, behind a re-INVITE of ours that is under way: some peers refuse one beside it (491 or 500).
  func ask(_ call: Call, _ transfer: CallTransfer) {
    guard let session = call.session else {
      return self.emit(.transferFailed(call.id, "it has no SIP session"))
    }
    guard call.media?.awaitsAnswer != true else {
      call.pendingTransfer = transfer
      return
    }
    let refer = self.endpoint.refer(
      session, to: transfer.target, replaces: transfer.replaces, referredBy: self.identity(of: call),
      now: self.context.now)
    self.refers[refer] = call.id
    self.drain()
  }

  /// What came of a REFER of ours: the call is over when its peer reached the other one.
  func ended(_ refer: ReferID, _ end: ReferEnd) {
    if let peer = self.looseRefers.removeValue(forKey: refer) { return self.warn("REFER to \(peer): \(end.text)") }
    guard let id = self.refers.removeValue(forKey: refer), let call = self.calls[id] else { return }
    switch end {
    case .completed(let status, _) where (200..<300).contains(status): self.hangUp(call.id)
    case .unobserved: self.hangUp(call.id)
    case .completed(let status, let reason), .refused(let status, let reason):
      self.transferFailed(call, "\(status) \(reason)")
    case .lost: self.transferFailed(call, "nothing more was heard of it")
    }
  }

  // MARK: Being asked

  /// A peer asks for a call: in a call of an account that allows it, and never from outside of one.
  func referred(_ refer: ReferID, _ request: IncomingRefer) {
    let now = self.context.now
    let target = request.target.uri
    guard let session = request.session, let call = self.call(session), call.settings.acceptsTransfer,
      let account = self.account(call.settings.identity)
    else { return self.endpoint.rejectRefer(refer, status: 603, headers: [], now: now) }
    guard request.method == .invite, target.scheme == .sip || target.scheme == .sips, !target.host.isEmpty else {
      return self.endpoint.rejectRefer(refer, status: 501, headers: [], now: now)
    }
    let limit = self.settings.configuration.callMaxCalls ?? .max
    guard !self.isClosing, self.calls.count <= limit else {
      return self.endpoint.rejectRefer(refer, status: 486, headers: [], now: now)
    }
    if call.isReferring { return self.endpoint.rejectRefer(refer, status: 491, headers: [], now: now) }
    if let refusal = self.refusal(of: target, askedIn: call) {
      self.emit(.warning(call.id, "the peer asks for a call to \(target.shown), which is refused: \(refusal)"))
      return self.endpoint.rejectRefer(refer, status: 603, headers: [], now: now)
    }
    let referrals = call.referrals + 1
    self.endpoint.acceptRefer(refer, now: now)
    self.emit(.transfer(call.id, to: target.shown))
    var headers = request.inviteHeaders
    if !headers.contains(where: { $0.0 == "Referred-By" }), let by = request.referredBy {
      headers.append(("Referred-By", by))
    }
    call.isReferring = true
    self.place(target, from: account, headers: headers, limit: limit) { [weak self] result in
      call.isReferring = false
      guard let self else { return }
      switch result {
      // Not where its INVITE could not even be sent.
      case .success(let id) where self.calls[id].map { $0.state != .ended } == true:
        self.calls[id]?.refer = refer
        self.calls[id]?.referrals = referrals
      case .success, .failure: self.endpoint.notifyRefer(refer, status: 503, now: self.context.now)
      }
      self.drain()
    }
  }

  /// Why a peer may not send us to `target`; nil when it may.
  private func refusal(of target: SIPURI, askedIn call: Call) -> String? {
    let configuration = self.settings.configuration
    if configuration.tollNumbers.contains(target) { return "it is a toll number (toll_prefixes)" }
    if call.referrals >= configuration.callMaxTransfers {
      return "\(call.referrals) transfers led to this call (call_max_transfers)"
    }
    return nil
  }

  /// Tells whoever asked for the call how it is getting on.
  func notifyReferrer(of call: Call, status: Int) {
    guard let refer = call.refer else { return }
    if status >= 200 { call.refer = nil }
    self.endpoint.notifyRefer(refer, status: status, now: self.context.now)
  }

  private func identity(of call: Call) -> NameAddress? {
    (try? SIPURI(call.settings.identity)).map { NameAddress(displayName: call.settings.displayName, uri: $0) }
  }
}

/// What the peer of a call is asked to do.
struct CallTransfer {
  /// Whom it is to call.
  let target: NameAddress
  /// Our other call, which is to be replaced at its far end.
  var replaces: SessionID?
}

extension ReferEnd {
  /// A few words.
  var text: String {
    switch self {
    case .completed(let status, let reason), .refused(let status, let reason): "\(status) \(reason)"
    case .unobserved: "accepted; nothing more will be heard of it"
    case .lost: "nothing more was heard of it"
    }
  }
}
