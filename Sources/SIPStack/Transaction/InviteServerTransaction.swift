package import NetBase

/// The server's half of an INVITE (RFC 3261 §17.2.1, with the accepted state of RFC 6026 §8.7).
package struct InviteServerTransaction: Hashable, Sendable {
  private enum State: Hashable, Sendable {
    case proceeding
    /// A 2xx was sent; its user repeats it until the ACK, copies of the INVITE are swallowed until timer L.
    case accepted(timerL: Instant)
    case completed(timerG: Backoff?, timerH: Instant)
    case confirmed(timerI: Instant)
    case terminated
  }

  private let timers: TransactionTimers
  private var state = State.proceeding

  package init(timers: TransactionTimers) { self.timers = timers }

  /// When `timeout` is due; nil when only a message changes anything.
  package var nextDeadline: Instant? {
    switch self.state {
    case .proceeding, .terminated: nil
    case .accepted(let end), .confirmed(let end): end
    case .completed(let timerG, let timerH): timerG.map { min($0.next, timerH) } ?? timerH
    }
  }

  package var isTerminated: Bool {
    switch self.state {
    case .terminated: true
    case .proceeding, .accepted, .completed, .confirmed: false
    }
  }

  /// Whether a response may still be chosen.
  package var isPending: Bool {
    switch self.state {
    case .proceeding: true
    case .accepted, .completed, .confirmed, .terminated: false
    }
  }

  /// The user sends `status`; false when it comes too late.
  package mutating func respond(status: Int, now: Instant) -> Bool {
    switch (self.state, status) {
    case (.proceeding, ..<200): return true
    case (.proceeding, 200..<300):
      self.state = .accepted(timerL: now.advanced(by: self.timers.limit))
      return true
    case (.proceeding, _):
      self.state = .completed(
        timerG: self.timers.isReliable ? nil : Backoff(self.timers.t1, cap: self.timers.t2, now: now),
        timerH: now.advanced(by: self.timers.limit))
      return true
    case (.accepted, 200..<300): return true
    case (.accepted, _), (.completed, _), (.confirmed, _), (.terminated, _): return false
    }
  }

  /// The INVITE came again.
  package func receiveInvite() -> ServerTransactionAction {
    switch self.state {
    case .proceeding, .completed: .retransmit
    case .accepted, .confirmed, .terminated: .none
    }
  }

  /// An ACK with this transaction's branch came.
  package mutating func receiveAcknowledgement(now: Instant) -> ServerTransactionAction {
    switch self.state {
    case .completed:
      self.state = self.timers.isReliable ? .terminated : .confirmed(timerI: now.advanced(by: self.timers.t4))
      return .none
    case .accepted: return .deliver
    case .proceeding, .confirmed, .terminated: return .none
    }
  }

  package mutating func timeout(now: Instant) -> ServerTransactionAction {
    switch self.state {
    case .completed(_, let timerH) where timerH <= now:
      self.state = .terminated
      return .timedOut
    case .completed(var timerG?, let timerH):
      guard timerG.fires(at: now) else { return .none }
      self.state = .completed(timerG: timerG, timerH: timerH)
      return .retransmit
    case .accepted(let end) where end <= now, .confirmed(let end) where end <= now:
      self.state = .terminated
      return .none
    case .proceeding, .accepted, .completed, .confirmed, .terminated: return .none
    }
  }
}
