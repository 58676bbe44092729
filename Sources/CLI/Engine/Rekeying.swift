internal import UACore

/// Changes a call's keys again and again (`--rekey-every`).
enum Rekeying {
  /// Runs until the task is cancelled; the next re-key waits until the last is in use both ways.
  static func run(_ agent: UserAgent, _ call: CallID, milliseconds: Int) async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(milliseconds))
      _ = await agent.rekey(call)
    }
  }
}
