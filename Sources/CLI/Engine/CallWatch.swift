internal import ModuleKit
internal import UACore

/// Follows the events of one agent until its calls are over.
actor CallWatch {
  private(set) var reports: [CallReport] = []
  /// Calls that were placed or came.
  private(set) var begun = 0
  /// Those that are over and carried no media both ways.
  private(set) var failed = 0
  private var ended: Set<CallID> = []
  /// The agent has ended: nothing will come any more.
  private var isOver = false
  private var established: Set<CallID> = []
  private var waiters: [(condition: Condition, continuation: CheckedContinuation<Void, Never>)] = []

  /// What someone waits for.
  enum Condition: Sendable {
    /// The call was answered, or is over.
    case answered(CallID)
    case ended(CallID)
    /// So many calls are over.
    case count(Int)
  }

  /// Takes events until the stream ends; `each` sees them all.
  func follow(_ agent: UserAgent, each: @escaping @Sendable (AgentEvent) -> Void = { _ in }) async {
    for await event in agent.events {
      each(event)
      switch event {
      case .incoming, .outgoing: self.begun += 1
      case .established(let id): self.established.insert(id)
      case .ended(let report):
        self.reports.append(report)
        self.ended.insert(report.id)
        self.established.remove(report.id)
        if !report.isGood { self.failed += 1 }
      default: break
      }
      self.wake()
    }
    self.isOver = true
    self.wake()
  }

  /// Waits until the condition holds, or the agent has ended.
  func wait(_ condition: Condition) async {
    guard !self.holds(condition) else { return }
    await withCheckedContinuation { self.waiters.append((condition, $0)) }
  }

  private func holds(_ condition: Condition) -> Bool {
    if self.isOver { return true }
    return switch condition {
    case .answered(let id): self.established.contains(id) || self.ended.contains(id)
    case .ended(let id): self.ended.contains(id)
    case .count(let count): self.reports.count >= count
    }
  }

  private func wake() {
    let all = self.waiters
    self.waiters = []
    for waiter in all {
      if self.holds(waiter.condition) { waiter.continuation.resume() } else { self.waiters.append(waiter) }
    }
  }
}
