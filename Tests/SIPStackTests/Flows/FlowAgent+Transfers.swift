internal import NetBase
internal import SIPStack

/// Transfers, and what they replace.
extension FlowAgent {
  func transfer(_ id: SessionID) {
    let others = self.calls.values.filter { $0.id != id && $0.isEstablished }.sorted { $0.id.value < $1.id.value }
    let target: NameAddress
    var replaced: SessionID?
    if let other = others.first, let remote = self.endpoint.remoteParty(of: other.id), self.chance(70) {
      // Whom a fork found is known by its Contact only.
      (target, replaced) = (other.peer.map { NameAddress(uri: Self.uri($0)) } ?? remote, other.id)
    } else {
      target = NameAddress(uri: Self.uri(self.roll(0...self.network.agents.count - 1)))
    }
    let refer = self.endpoint.refer(
      id, to: target, replaces: replaced, referredBy: self.from, isObserved: self.chance(85), now: self.now)
    self.refers.insert(refer)
    self.replaced[refer] = replaced
    if self.chance(40) { self.after(2_000) { self.hangUp(id) } }
  }

  func referRequested(_ id: ReferID, _ refer: IncomingRefer) {
    if self.forgets { return }
    if self.chance(15) { return self.after(500) { self.endpoint.rejectRefer(id, now: self.now) } }
    let peer = min(Self.index(of: refer.target.uri) ?? 0, self.network.agents.count - 1)
    self.after(500) {
      self.endpoint.acceptRefer(id, now: self.now)
      self.call(peer, headers: refer.inviteHeaders, refer: id)
    }
  }

  /// The transfer found no call to replace: then it must be over, or end now.
  func missed(_ refer: ReferID) {
    guard self.network.plan.isClean, let id = self.replaced[refer] else { return }
    self.network.after(2_000) { [unowned self] in
      guard let call = self.calls[id], let peer = call.peer, call.isEstablished else { return }
      let other = self.network.agents[peer].calls.values.first {
        $0.name == call.name && $0.isOutgoing != call.isOutgoing
      }
      if other?.isEstablished ?? false { self.violate("\(id) was not found by who was to replace it, and stands") }
    }
  }
}
