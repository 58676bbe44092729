package import NetBase

/// The server's half of any request but INVITE and ACK (RFC 3261 §17.2.2).
package struct NonInviteServerTransaction: Hashable, Sendable {
  private enum State: Hashable, Sendable {
    case trying
    case proceeding
    case completed(timerJ: Instant)
    case terminated
  }

  private let timers: TransactionTimers
  private var state = State.trying

  package init(timers: TransactionTimers) { self.timers = timers }

  /// When `timeout` is due; nil when only a message changes anything.
  package var nextDeadline: Instant? {
    switch self.state {
    case .trying, .proceeding, .terminated: nil
    case .completed(let end): end
    }
  }

  package var isTerminated: Bool {
    switch self.state {
    case .terminated: true
    case .trying, .proceeding, .completed: false
    }
  }

  /// Whether a response may still be chosen.
  package var isPending: Bool {
    switch self.state {
    case .trying, .proceeding: true
    case .completed, .terminated: false
    }
  }

  /// The user sends `status`; false when it comes too late.
  package mutating func respond(status: Int, now: Instant) -> Bool {
    switch (self.state, status) {
    case (.trying, ..<200), (.proceeding, ..<200):
      self.state = .proceeding
      return true
    case (.trying, _), (.proceeding, _):
      self.state = self.timers.isReliable ? .terminated : .completed(timerJ: now.advanced(by: self.timers.limit))
      return true
    case (.completed, _), (.terminated, _): return false
    }
  }

  /// The request came again.
  package func receiveRequest() -> ServerTransactionAction {
    switch self.state {
    case .trying, .terminated: .none
    case .proceeding, .completed: .retransmit
    }
  }

  package mutating func timeout(now: Instant) -> ServerTransactionAction {
    switch self.state {
    case .completed(let end) where end <= now: self.state = .terminated
    case .trying, .proceeding, .completed, .terminated: break
    }
    return .none
  }
}
