package import NetBase

/// The client's half of any request but INVITE and ACK (RFC 3261 §17.1.2).
package struct NonInviteClientTransaction: Hashable, Sendable {
  private enum State: Hashable, Sendable {
    case trying(timerE: Backoff?, timerF: Instant)
    case proceeding(timerE: Backoff?, timerF: Instant)
    case completed(timerK: Instant)
    case terminated
  }

  private let timers: TransactionTimers
  private var state: State

  /// The request is sent at `now`.
  package init(timers: TransactionTimers, now: Instant) {
    self.timers = timers
    self.state = .trying(
      timerE: timers.isReliable ? nil : Backoff(timers.t1, cap: timers.t2, now: now),
      timerF: now.advanced(by: timers.limit))
  }

  /// When `timeout` is due.
  package var nextDeadline: Instant? {
    switch self.state {
    case .trying(let timerE, let timerF), .proceeding(let timerE, let timerF):
      timerE.map { min($0.next, timerF) } ?? timerF
    case .completed(let end): end
    case .terminated: nil
    }
  }

  package var isTerminated: Bool {
    switch self.state {
    case .terminated: true
    case .trying, .proceeding, .completed: false
    }
  }

  /// Whether no final response has come yet.
  package var isPending: Bool {
    switch self.state {
    case .trying, .proceeding: true
    case .completed, .terminated: false
    }
  }

  package mutating func receive(status: Int, now: Instant) -> ClientTransactionAction {
    switch (self.state, status) {
    case (.trying(var timerE, let timerF), ..<200):
      timerE?.slow(to: self.timers.t2)
      self.state = .proceeding(timerE: timerE, timerF: timerF)
      return .deliver
    case (.proceeding, ..<200): return .deliver
    case (.trying, _), (.proceeding, _):
      self.state = self.timers.isReliable ? .terminated : .completed(timerK: now.advanced(by: self.timers.t4))
      return .deliver
    case (.completed, _), (.terminated, _): return .none
    }
  }

  package mutating func timeout(now: Instant) -> ClientTransactionAction {
    switch self.state {
    case .trying(_, let timerF) where timerF <= now, .proceeding(_, let timerF) where timerF <= now:
      self.state = .terminated
      return .timedOut
    case .trying(var timerE?, let timerF):
      guard timerE.fires(at: now) else { return .none }
      self.state = .trying(timerE: timerE, timerF: timerF)
      return .retransmit
    case .proceeding(var timerE?, let timerF):
      guard timerE.fires(at: now) else { return .none }
      self.state = .proceeding(timerE: timerE, timerF: timerF)
      return .retransmit
    case .completed(let end) where end <= now:
      self.state = .terminated
      return .none
    case .trying, .proceeding, .completed, .terminated: return .none
    }
  }

  /// The transport cannot reach the peer.
  package mutating func abandon() { self.state = .terminated }
}
