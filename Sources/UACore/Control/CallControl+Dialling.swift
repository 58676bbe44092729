internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Calling what was dialled, and calling it again.
extension CallControl {
  /// The others are on hold meanwhile, where `call_hold_other_calls` says so.
  func place(_ dialled: Dialled) throws(CommandFailure) -> String {
    guard let account = self.core.localAccounts.first(where: { $0.number == dialled.account }) else {
      throw CommandFailure("the account is gone")
    }
    dialled.stage = .placing
    self.dialled = dialled
    return try self.core.place(
      dialled.target, from: account, headers: dialled.headers, directions: dialled.directions,
      userData: dialled.userData
    ) { [weak self] id in
      guard let self else { return }
      guard let id, let call = self.core.calls[id], call.state != .ended else { return self.give(up: dialled) }
      dialled.stage = .calling(id)
      self.core.holdOthers(than: call)
    }
  }

  private func give(up dialled: Dialled) { if self.dialled === dialled { self.dialled = nil } }

  /// - Returns: who is not called again; nil where nobody would be.
  func cancelRedial() -> SIPURI? {
    guard let dialled, dialled.stage == .waiting else { return nil }
    self.dialled = nil
    return dialled.target
  }

  /// Somebody talks, who is not to be called away.
  func begins(_ call: CallID) {
    self.redial.forget()
    if let dialled, [.calling(call), .waiting].contains(dialled.stage) { self.dialled = nil }
  }

  /// What was dialled may be called again.
  func redial(after report: CallReport) {
    guard let dialled, dialled.stage == .calling(report.id) else { return }
    guard self.redial.isDue(after: report) else { return self.give(up: dialled) }
    dialled.stage = .waiting
    self.core.emit(.output("calling \(dialled.target.shown) again in \(self.redial.delay) s"))
    let due = self.core.context.now.advanced(by: .seconds(self.redial.delay))
    self.core.context.schedule(at: due) { [weak core = self.core] in
      guard let core, !core.isClosing, core.control.dialled === dialled else { return }
      do throws(CommandFailure) { _ = try core.control.place(dialled) } catch { core.warn(error.description) }
    }
  }
}
