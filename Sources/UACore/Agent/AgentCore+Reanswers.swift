internal import SIPStack

/// Answers to offers of ours within a call.
extension AgentCore {
  /// Takes one; false where nothing came of it. What was agreed before, keys too, then goes on: that a peer answers
  /// nonsense, or in the clear, is no reason to end what works.
  ///
  /// It may hold the call or resume it too: where both have offered at once, it is all that says so.
  func take(reanswer body: SIPBody?, _ call: Call, _ media: CallMedia) -> Bool {
    let wasHeld = media.isHeldByPeer
    do {
      guard let body else { throw MediaRefusal(description: "it has no description") }
      try media.receive(answer: body.bytes)
    } catch {
      if media.dismissAnswer() { self.dismissed(call, media, error) } else { self.fail(call, error) }
      return false
    }
    call.changes.saysWhatStands = false
    if media.isHeldByPeer != wasHeld { self.emit(.held(call.id, media.isHeldByPeer)) }
    return true
  }

  /// An offer of ours changed nothing: what it was to change is as it was.
  func cameToNothing(_ call: Call, _ media: CallMedia) {
    if let hold = call.changes.hold { media.isOnHold = !hold }
    if let directions = call.changes.formerDirections { media.directions = directions }
    if case .offered(let refusals) = call.move { call.move = .needed(refusals: refusals + 1) }
    call.changes = Call.Changes()
  }

  /// The peer takes the offer for agreed on, and may send to the ports or under the keys that it named: another offer,
  /// of what stands, tells it better. Only once, for the peer may answer that in the same way.
  private func dismissed(_ call: Call, _ media: CallMedia, _ error: any Error) {
    let isOnlyWhatStood = call.changes.saysWhatStands
    self.cameToNothing(call, media)
    self.emit(
      .warning(call.id, "the peer's answer can't be used, and the keys stay as they were: \(error)"))
    if case .none = call.move, !isOnlyWhatStood { call.changes.saysWhatStands = self.reoffer(call) }
    if !call.changes.saysWhatStands { self.offerSettled(call) }
  }
}
