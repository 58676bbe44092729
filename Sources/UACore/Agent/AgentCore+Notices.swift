internal import ModuleKit
internal import SDPCodec
internal import SIPStack

extension AgentCore {
  /// Tells an event to the agent's owner, and to the applications in baresip's words.
  func emit(_ event: AgentEvent) {
    self.sink(event)
    switch event {
    case .incoming(let id, _, _): self.notice(.callIncoming, peerOf: id)
    case .outgoing(let id, _): self.notice(.callOutgoing, peerOf: id)
    case .ringing(let id): self.notice(.callRinging, peerOf: id)
    case .progress(let id, _): self.notice(.callProgress, peerOf: id)
    case .established(let id): self.notice(.callEstablished, peerOf: id)
    case .secured(let id, let profile): self.notice(.encrypted, id, parameter: profile)
    case .mediaEstablished(let id): self.notice(.mediaEstablished, id, parameter: "audio")
    case .digit(let id, let digit):
      self.notice(digit == nil ? .digitEnd : .digitStart, id, parameter: digit.map { String($0) } ?? "")
    case .held(let id, let isHeld): self.notice(isHeld ? .hold : .resume, id)
    case .transfer(let id, let target): self.notice(.transfer, id, parameter: target)
    case .transferFailed(let id, let reason): self.notice(.transferFailed, id, parameter: reason)
    case .sourceEnded(let id): self.notice(.endOfFile, id)
    case .registration(let aor, let state): self.notice(state, aor)
    case .messageWaiting(let aor, let text): self.tell(AgentNotice(.messageWaiting, account: aor, parameter: text))
    case .contact(let uri, let package, _, let state):
      self.tell(AgentNotice(.module, parameter: "presence,\(package.rawValue),\(uri) \(state)"))
    case .message(let aor, let from, let type, let text):
      var notice = AgentNotice(.message, account: aor, parameter: text)
      notice.peer = from
      notice.contentType = type
      self.tell(notice)
    case .quit: self.tell(AgentNotice(.shutdown))
    // `finish` tells it while the call is still known.
    case .ended, .warning, .output, .status, .logLevel, .lateCandidates: break
    }
    self.watchers.take(event)
    self.control.take(event)
    self.tones.take(event)
    if case .established = event { self.statusLine.start() }
  }

  private func notice(_ state: LocalAccount.Registration, _ aor: String) {
    switch state {
    case .registering: self.tell(AgentNotice(.registering, account: aor))
    case .registered: self.tell(AgentNotice(.registerOK, account: aor, parameter: "200 OK"))
    case .failed(let reason): self.tell(AgentNotice(.registerFail, account: aor, parameter: reason))
    case .unregistered: self.tell(AgentNotice(.unregistering, account: aor))
    case .none: break
    }
  }

  func notice(_ kind: AgentNotice.Kind, _ id: CallID, parameter: String = "") {
    guard let call = self.calls[id] else { return }
    self.notice(kind, call: call, parameter: parameter)
  }

  /// With the peer's URI as the parameter, as baresip has it.
  func notice(_ kind: AgentNotice.Kind, peerOf id: CallID) {
    guard let call = self.calls[id] else { return }
    self.notice(kind, call: call, parameter: call.peer)
  }

  func notice(_ kind: AgentNotice.Kind, call: Call, parameter: String = "") {
    guard !self.applications.isEmpty else { return }
    var notice = AgentNotice(
      kind, account: call.settings.identity, call: self.facts(of: call), parameter: parameter)
    if kind == .rtcp { notice.rtcp = call.statistics.notice }
    self.tell(notice)
  }

  func notice(_ kind: AgentNotice.Kind, account: LocalAccount, parameter: String = "") {
    self.tell(AgentNotice(kind, account: account.aor, parameter: parameter))
  }

  /// An INVITE was refused before there was a call.
  func notice(refused invite: IncomingInvite, status: Int, reason: String?) {
    var notice = AgentNotice(.sessionFailed, parameter: "\(status) \(reason ?? ReasonPhrase.of(status))")
    notice.peer = "\(invite.from.uri)"
    self.tell(notice)
  }

  private func tell(_ notice: AgentNotice) {
    for application in self.applications { application.running.take(notice) }
  }

  private func facts(of call: Call) -> AgentNotice.Call {
    let media = call.media?.negotiated
    var facts = AgentNotice.Call(
      isOutgoing: call.isOutgoing, peerURI: call.peer, peerName: call.peerName, id: call.sipCallID,
      remoteDirection: media?.remoteDirection.rawValue ?? "inactive",
      localDirection: media == nil ? "inactive" : call.media?.localDirection.rawValue ?? "inactive",
      direction: media?.direction.rawValue ?? "inactive", diverter: call.diverter)
    facts.userData = call.settings.userData
    facts.video = call.media?.videoFacts
    guard let offer = call.media?.offeredByPeer ?? call.pendingOffer.flatMap(Self.lines(of:)) else { return facts }
    // The peer's directions are those of its offer, while that has no answer.
    func direction(_ kind: MediaKind) -> String {
      offer.first { $0.kind == kind && !$0.isDisabled }?.mediaDirection.rawValue ?? "inactive"
    }
    facts.remoteDirection = direction(.audio)
    if call.media?.video != nil {
      facts.video = (direction(.video), facts.video?.local ?? "inactive", facts.video?.agreed ?? "inactive")
    }
    return facts
  }

  private static func lines(of offer: [UInt8]) -> [RemoteMedia]? {
    guard let session = try? SessionDescription(parsing: offer) else { return nil }
    return session.media.indices.map { RemoteMedia(session, index: $0) }
  }
}

extension TransportStatistics {
  fileprivate var notice: AgentNotice.RTCP {
    AgentNotice.RTCP(
      sent: (self.sentPackets, 0, 0), received: (self.receivedPackets, self.lost, Int(self.jitter * 1000)),
      roundTrip: Int((self.roundTrip ?? 0) * 1000))
  }
}
