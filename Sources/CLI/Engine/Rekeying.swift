internal import UACore

/// Changes a call's keys again and again (`--rekey-every`).
enum Rekeying {
  /// How soon a change is tried again that could not begin.
  private static let patience = Duration.milliseconds(2)
  /// The same where the call has no keys.
  private static let longPatience = Duration.milliseconds(100)

  /// Runs until the task is cancelled or the call is over: a change begins `milliseconds` after the last one did, or when
  /// that is in use both ways, whichever is later.
  static func run(_ agent: UserAgent, _ call: CallID, milliseconds: Int) async {
    var next = ContinuousClock.now
    while !Task.isCancelled {
      next = max(next.advanced(by: .milliseconds(milliseconds)), .now)
      try? await Task.sleep(until: next, clock: .continuous)
      while !Task.isCancelled, !(await agent.rekey(call)) {
        guard let report = await agent.report(call) else { return }
        try? await Task.sleep(for: report.mediaEncryption == "none" ? Self.longPatience : Self.patience)
      }
    }
  }
}
