internal import ModuleKit

/// Calls that wait for another one.
extension AgentCore {
  /// Puts every call that stands, but one and the call whose place it takes, on hold, where `call_hold_other_calls` says so;
  /// those without SIP are not ours to describe. They go on if the one never stands.
  func holdOthers(than call: Call) {
    guard self.settings.configuration.callHoldOtherCalls, call.state != .ended else { return }
    let others = self.sortedCalls.filter { $0.id != call.id && $0.id != call.replaced }
    let held = self.hold(others)
    if call.state != .established { call.held = held }
  }

  /// - Returns: which of them were not on hold.
  func hold(_ calls: [Call]) -> [CallID] {
    let active = calls.filter(\.isActive).map(\.id)
    for id in active { self.setHold(id, true) }
    return active
  }

  /// A call or its transfer came to nothing: who was put on hold for it goes on.
  func resume(heldFor call: Call) {
    let held = call.held
    call.held = []
    self.resume(held)
  }

  /// Unless a person talks with somebody else.
  func resume(_ calls: [CallID]) {
    guard let last = calls.last, !self.isClosing, !self.calls.values.contains(where: \.isActive) else { return }
    for id in calls { self.setHold(id, false) }
    self.control.choose(call: last)
  }
}

extension Call {
  /// Whether it stands, not on hold by us, and its description is ours to change.
  fileprivate var isActive: Bool {
    self.state == .established && self.session != nil && self.media?.isOnHold == false
  }
}
