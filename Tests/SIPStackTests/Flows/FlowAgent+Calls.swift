internal import NetBase
internal import SIPStack

/// What a user does with calls.
extension FlowAgent {
  /// Begins a call to another agent, or through the forker.
  func call(_ peer: Int?, headers: [(String, String)] = [], refer: ReferID? = nil) {
    guard !self.isQuiet, self.network.energy > 0 else { return self.report(refer, 503) }
    self.network.energy -= 1
    let everybody = SIPURI(user: "agent9", host: "192.0.2.100", port: nil)
    let offer = self.chance(75) ? self.description() : nil
    let targets = peer.map { self.targets($0) } ?? [SIPTarget(address: FlowForker.address)]
    let id = self.endpoint.invite(
      OutgoingInvite(
        from: self.from, to: NameAddress(uri: peer.map { Self.uri($0) } ?? everybody), contact: self.contact,
        targets: targets, local: self.address, headers: headers, body: FlowMedia.body(offer), account: self.account),
      now: self.now)
    self.network.note("\(self.index) calls \(peer.map { "\($0)" } ?? "everybody"): \(id)")
    var call = FlowCall(id: id, isOutgoing: true, peer: peer)
    call.refer = refer
    call.isDelayed = targets.count > 1
    call.media.first = offer
    call.media.isTracked = peer != nil
    self.calls[id] = call
    self.mayHangUp(id)
  }

  /// A call ends at any moment, by either side.
  private func mayHangUp(_ id: SessionID) {
    if self.chance(20) { self.after(3_000) { self.hangUp(id) } }
    if self.chance(30) { self.after(60_000) { self.hangUp(id) } }
  }

  func report(_ refer: ReferID?, _ status: Int) {
    if let refer { self.endpoint.notifyRefer(refer, status: status, now: self.now) }
  }

  func ring(_ id: SessionID, _ invite: IncomingInvite) {
    var call = FlowCall(id: id, isOutgoing: false, peer: Self.index(of: invite.from.uri))
    self.tell("INVITE", invite.callID, invite.headers)
    call.replaces = invite.replaces
    if let names = self.endpoint.replaces(of: id) { call.name = "\(names.callID) \(names.toTag) \(names.fromTag)" }
    let offer = FlowMedia.text(invite.body)
    call.media.first = offer
    call.media.reply = self.description(answering: offer)
    self.calls[id] = call
    if self.isQuiet { return self.endpoint.reject(id, status: 480, now: self.now) }
    for _ in 0..<self.roll(0...3) {
      let hasBody = self.chance(40)
      self.after(self.chance(50) ? 0 : 3_000) { self.ring(id, hasBody: hasBody) }
    }
    self.mayHangUp(id)
    let choice = invite.replaces == nil ? self.roll(1...12) : 12
    switch choice {
    case 1: self.after(3_000) { self.endpoint.reject(id, status: 486, now: self.now) }
    case 2:
      let other = NameAddress(uri: Self.uri(self.roll(0...self.network.agents.count - 1)))
      self.after(2_000) {
        self.endpoint.reject(id, status: 302, headers: [("Contact", other.description)], now: self.now)
      }
    case 3: self.after(8_000) { self.hangUp(id) }
    // Nobody is there; the caller has to hang up.
    case 4: self.after(60_000) { self.hangUp(id) }
    case 5:
      self.after(4_000) { self.update(id) }
      self.after(8_000) { self.accept(id) }
    default: self.after(invite.replaces != nil ? 500 : 8_000) { self.accept(id) }
    }
  }

  private func ring(_ id: SessionID, hasBody: Bool) {
    guard let call = self.calls[id], !call.media.isConfirmed else { return }
    let body = hasBody ? FlowMedia.body(call.media.reply) : nil
    self.endpoint.ring(id, status: hasBody ? 183 : 180, body: body, now: self.now)
  }

  private func accept(_ id: SessionID) {
    guard let call = self.calls[id], !call.isEstablished else { return }
    if !call.media.isConfirmed, call.media.first != nil, call.media.mine == nil {
      self.calls[id]?.media.settle(mine: call.media.reply, theirs: call.media.first)
    }
    self.endpoint.accept(
      id, body: call.media.isConfirmed ? nil : FlowMedia.body(call.media.reply), now: self.now)
  }

  // MARK: While it is set up

  func progressed(_ id: SessionID, _ progress: CallProgress) {
    self.report(self.calls[id]?.refer, progress.status)
    guard progress.isReliable, let dialog = progress.dialog else { return }
    if let answer = FlowMedia.text(progress.body), let offer = self.calls[id]?.media.first,
      self.calls[id]?.media.early[dialog.remoteTag] == nil
    {
      self.check(answer, answers: offer, "a reliable provisional response")
      self.calls[id]?.media.early[dialog.remoteTag] = (offer, answer)
      self.calls[id]?.media.lastEarly = dialog.remoteTag
    }
    if self.chance(20) { self.after(2_000) { self.update(id, dialog: dialog) } }
  }

  func offeredEarly(_ id: SessionID, _ progress: CallProgress) {
    guard let dialog = progress.dialog, let offer = FlowMedia.text(progress.body) else { return }
    guard !self.forgets else { return }
    let answer = self.description(answering: offer)
    self.after(2_000) {
      guard let call = self.calls[id], !call.isEstablished else { return }
      self.calls[id]?.media.early[dialog.remoteTag] = (answer, offer)
      self.calls[id]?.media.lastEarly = dialog.remoteTag
      self.endpoint.acknowledgeProgress(id, dialog: dialog, body: FlowMedia.body(answer), now: self.now)
    }
  }

  /// At the callee: a reliable ring was confirmed; with it the reply, when it was in there.
  func confirmed(_ id: SessionID, _ answer: SIPBody?) {
    if let name = self.calls[id]?.name { self.unconfirmed.remove(name) }
    guard let media = self.calls[id]?.media, let answer = FlowMedia.text(answer) else { return }
    self.check(answer, answers: media.reply, "a PRACK")
    self.calls[id]?.media.isConfirmed = true
    self.calls[id]?.media.settle(mine: media.reply, theirs: answer)
  }

  func answered(_ id: SessionID, _ offer: SIPBody?) {
    guard let offer = FlowMedia.text(offer) else { return self.violate("\(id) was answered without an offer") }
    guard !self.forgets else { return }
    let answer = self.description(answering: offer)
    self.after(1_500) {
      guard let call = self.calls[id], !call.isEstablished else { return }
      self.calls[id]?.media.settle(mine: answer, theirs: offer)
      self.endpoint.acknowledge(id, body: FlowMedia.body(answer), now: self.now)
    }
  }

  func established(_ id: SessionID, _ body: SIPBody?) {
    guard let call = self.calls[id] else { return }
    if call.isEstablished { self.violate("\(id) is established twice") }
    if let replaced = call.replaces.flatMap({ self.calls[$0] }), replaced.isEstablished {
      self.violate("\(id) was to replace \(replaced.id), which stands")
    }
    self.calls[id]?.establishedAt = self.now
    let names = self.endpoint.replaces(of: id)
    if call.isOutgoing {
      if let names { self.calls[id]?.name = "\(names.callID) \(names.fromTag) \(names.toTag)" }
      if let early = names.flatMap({ call.media.early[$0.toTag] }) {
        self.calls[id]?.media.settle(mine: early.mine, theirs: early.theirs)
      } else if let offer = call.media.first {
        self.check(FlowMedia.text(body), answers: offer, "a 2xx")
        self.calls[id]?.media.settle(mine: offer, theirs: FlowMedia.text(body))
      }
    } else if call.media.first == nil, !call.media.isConfirmed {
      // Empty when the caller hung up at once.
      if let answer = FlowMedia.text(body) {
        self.check(answer, answers: call.media.reply, "an ACK")
        self.calls[id]?.media.settle(mine: call.media.reply, theirs: answer)
      }
    }
    self.report(call.refer, 200)
    for _ in 0..<self.roll(0...4) { self.after(40_000) { self.act(id) } }
  }

  func ended(_ id: SessionID, _ reason: EndReason) {
    guard var call = self.calls.removeValue(forKey: id) else { return }
    (call.end, call.endedAt) = (reason, self.now)
    self.pastCalls.append(call)
    // Behind the forker a provisional response may never come, so the CANCEL waits until the INVITE is given up.
    let patience = call.peer == nil ? 40_000 : 20_000
    if let since = call.hungUpAt, !call.isDelayed, self.network.plan.isClean,
      self.now.milliseconds(since: since) > patience
    {
      self.violate("\(id) ends long after it was hung up")
    }
    // Behind the forker several may ask for one realm's password, each with nonces of its own.
    if call.isOutgoing, call.peer != nil, self.network.plan.isClean, case .rejected(let status, _) = reason,
      Self.faults.contains(status)
    {
      self.violate("\(id) is refused with \(status)")
    }
    guard let refer = call.refer, !call.isEstablished else { return }
    if case .rejected(let status, _) = reason { self.report(refer, status) } else { self.report(refer, 480) }
  }

  /// What a caller gets for a mistake of its own.
  private static let faults: Set<Int> = [400, 401, 407, 422, 482, 500]

  // MARK: While it stands

  /// One thing that a user may do in a call.
  private func act(_ id: SessionID) {
    guard !self.isQuiet, self.calls[id] != nil else { return }
    switch self.roll(1...10) {
    case 1, 2: self.reinvite(id)
    case 3: self.update(id, hasBody: self.chance(60))
    case 4: self.requests.insert(self.endpoint.info(id, body: DTMFInfo(digit: "1")?.relayBody, now: self.now))
    case 5:
      let text = SIPBody(contentType: "text/plain", bytes: [65])
      self.requests.insert(self.endpoint.message(id, body: text, now: self.now))
    case 6, 7: self.transfer(id)
    case 8: self.hangUp(id)
    default:
      // Hold and resume in one breath, which makes for glare.
      self.reinvite(id)
      self.after(300) { self.reinvite(id) }
    }
  }

  private func reinvite(_ id: SessionID, isAnswered: Bool = false) {
    guard self.calls[id] != nil else { return }
    let offer = self.description()
    let isFree = self.isFree(id)
    self.calls[id]?.media.offers.append(FlowOffer(text: offer, isFree: isFree))
    self.endpoint.reinvite(id, body: SIPBody(bytes: Array(offer.utf8)), now: self.now)
    if isAnswered { return }
    // The other side has the same idea at the same moment.
    guard let call = self.calls[id], let name = call.name, self.chance(40) else { return }
    for agent in self.network.agents where !agent.isDead {
      for other in agent.calls.values where other.name == name && other.isOutgoing != call.isOutgoing {
        agent.after(200) { agent.reinvite(other.id, isAnswered: true) }
      }
    }
  }

  /// Whether a new offer meets no other at this end.
  private func isFree(_ id: SessionID) -> Bool {
    self.calls[id]?.isEstablished ?? false && !self.endpoint.isChanging(id)
  }

  private func update(_ id: SessionID, dialog: DialogID? = nil, hasBody: Bool = true) {
    guard self.calls[id] != nil else { return }
    let offer = hasBody ? self.description() : nil
    let isFree = dialog == nil && self.isFree(id)
    self.calls[id]?.media.offers.append(FlowOffer(text: offer, early: dialog?.remoteTag, isFree: isFree))
    self.endpoint.update(id, dialog: dialog, body: FlowMedia.body(offer), now: self.now)
  }

  func reoffered(_ id: SessionID, _ body: SIPBody?) {
    self.calls[id]?.media.owed = .some(FlowMedia.text(body))
    guard !self.forgets else { return }
    self.after(self.chance(70) ? 0 : 3_000) {
      guard let owed = self.calls[id]?.media.owed else { return }
      self.calls[id]?.media.owed = nil
      // What is as before only refreshes the session.
      if self.chance(80) || owed == self.calls[id]?.media.theirs {
        let answer = self.description(answering: owed)
        if let owed { self.agreed(id, mine: answer, theirs: owed) }
        self.endpoint.acceptReinvite(id, body: FlowMedia.body(answer), now: self.now)
      } else {
        self.endpoint.rejectReinvite(id, now: self.now)
      }
    }
  }

  func reofferAnswered(_ id: SessionID, _ body: SIPBody?) {
    guard let offers = self.calls[id]?.media.offers, let offer = offers.first else {
      return self.violate("\(id): the answer to no offer")
    }
    self.calls[id]?.media.offers.removeFirst()
    guard let text = offer.text else { return }
    self.check(FlowMedia.text(body), answers: text, "the 2xx to a re-INVITE or UPDATE")
    self.agreed(id, mine: text, theirs: FlowMedia.text(body), in: offer.early)
  }

  func reofferFailed(_ id: SessionID, _ status: Int) {
    guard let offer = self.calls[id]?.media.offers.popLast() else { return self.violate("\(id): no offer could fail") }
    if status == 491, offer.isFree, self.network.plan.isClean {
      self.violate("\(id): an offer met another, and was not tried again")
    }
    if status == 408 || status == 487 { self.calls[id]?.media.isTracked = false }
  }

  func refreshed(_ id: SessionID, _ body: SIPBody?) {
    guard let body = FlowMedia.text(body), let mine = self.calls[id]?.media.mine else { return }
    self.check(body, answers: mine, "the 2xx to a refresh")
    self.calls[id]?.media.theirs = body
  }

  /// An exchange is complete; before the call stands it is that of one early dialog, the newest unless it is named.
  private func agreed(_ id: SessionID, mine: String?, theirs: String?, in early: String? = nil) {
    guard let call = self.calls[id] else { return }
    if call.isOutgoing, !call.isEstablished, let tag = early ?? call.media.lastEarly, let mine, let theirs {
      self.calls[id]?.media.early[tag] = (mine, theirs)
    } else {
      self.calls[id]?.media.settle(mine: mine, theirs: theirs)
      if !call.isOutgoing { self.calls[id]?.media.isConfirmed = true }
    }
  }

  private func check(_ answer: String?, answers offer: String?, _ what: String) {
    if !FlowMedia.isAnswer(answer, to: offer) {
      self.violate("\(what) brings \(answer ?? "nothing"), which does not answer \(offer ?? "nothing")")
    }
  }
}
