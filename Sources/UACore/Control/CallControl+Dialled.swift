internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SDPCodec
internal import SIPStack

/// A call that a person has dialled, until it stands or is given up.
struct Dialled {
  let target: SIPURI
  /// The account's number.
  let account: Int
  let headers: [(String, String)]
  let directions: CallDirections
  let userData: String?
  /// Nil while its host is looked for, and while it waits to be called again.
  var call: CallID?
  /// Who was put on hold for it.
  var held: [CallID] = []
  /// Whether nobody is called just now, and it is to be called again.
  var isRepeated = false
  /// Tells it from those before and after it.
  var number = 0
}

/// What becomes of calls, for whoever is at the controls.
extension CallControl {
  /// Calls; the others are on hold meanwhile, where `call_hold_other_calls` says so.
  func place(_ dialled: Dialled) throws(CommandFailure) -> String {
    guard let account = self.core.localAccounts.first(where: { $0.number == dialled.account }) else {
      throw CommandFailure("the account is gone")
    }
    var next = dialled
    self.dialCount += 1
    (next.number, next.isRepeated) = (self.dialCount, false)
    // Of one that still rings, too.
    next.held = self.dialled?.held ?? []
    if self.core.settings.configuration.callHoldOtherCalls { next.held += self.core.holdOthers(than: nil) }
    self.dialled = next
    return try self.core.place(
      next.target, from: account, headers: next.headers, directions: next.directions, userData: next.userData
    ) { [weak self] call in
      guard let self else { return }
      if let call, self.core.calls[call].map({ $0.state != .ended }) == true {
        if self.dialled?.number == next.number { self.dialled?.call = call }
      } else {
        if self.dialled?.number == next.number { self.dialled = nil }
        self.resume(next.held)
      }
    }
  }

  /// Gives up what would be called again.
  ///
  /// - Returns: whom; nil where there is nobody.
  func cancelRedial() -> SIPURI? {
    guard let dialled, dialled.call == nil, dialled.isRepeated else { return nil }
    self.dialled = nil
    return dialled.target
  }

  /// Told of every event, after everyone else.
  func take(_ event: AgentEvent) {
    switch event {
    case .outgoing(let id, _): self.choose(call: id)
    case .established(let id):
      self.choose(call: id)
      self.redial.forget()
      // Who talks is not to be called away.
      if self.dialled?.call == id || self.dialled?.isRepeated == true { self.dialled = nil }
    case .ended(let report): self.ended(report)
    default: break
    }
  }

  private func ended(_ report: CallReport) {
    if self.chosenCall == report.id { self.chosenCall = nil }
    self.history.note(report)
    guard !self.core.isClosing else { return }
    if let transfer = self.attendedTransfer, transfer.from == report.id || transfer.to == report.id {
      self.attendedTransfer = nil
      if transfer.to == report.id, self.core.calls[transfer.from]?.state == .established {
        self.choose(call: transfer.from)
        self.core.setHold(transfer.from, false)
      }
    }
    guard let dialled, dialled.call == report.id else { return }
    self.dialled = nil
    self.resume(dialled.held)
    guard self.redial.isDue(after: report) else { return }
    var next = dialled
    (next.call, next.isRepeated, next.held) = (nil, true, [])
    self.dialled = next
    self.core.emit(.output("calling \(dialled.target.shown) again in \(self.redial.delay) s"))
    let due = self.core.context.now.advanced(by: .seconds(self.redial.delay))
    self.core.context.schedule(at: due) { [weak core = self.core] in
      guard let core, !core.isClosing, let waiting = core.control.dialled, waiting.number == next.number else { return }
      do throws(CommandFailure) { _ = try core.control.place(waiting) } catch { core.warn(error.description) }
    }
  }

  /// Those who waited for a call that came to nothing go on, unless somebody else does.
  private func resume(_ calls: [CallID]) {
    let isBusy = self.core.calls.values.contains {
      $0.state == .established && $0.session != nil && $0.media?.isOnHold == false
    }
    guard !isBusy else { return }
    for call in calls { self.core.setHold(call, false) }
  }
}
