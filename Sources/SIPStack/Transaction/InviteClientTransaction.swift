package import NetBase

/// The client's half of an INVITE (RFC 3261 §17.1.1, with the accepted state of RFC 6026 §8.4).
package struct InviteClientTransaction: Hashable, Sendable {
  private enum State: Hashable, Sendable {
    case calling(timerA: Backoff?, timerB: Instant)
    /// `limit` is set once a CANCEL was sent (RFC 3261 §9.1).
    case proceeding(limit: Instant?)
    /// A 2xx came: more may come, from this UAS or from other forks, until timer M.
    case accepted(timerM: Instant)
    case completed(timerD: Instant)
    case terminated
  }

  private let timers: TransactionTimers
  private var state: State

  /// The request is sent at `now`.
  package init(timers: TransactionTimers, now: Instant) {
    self.timers = timers
    self.state = .calling(
      timerA: timers.isReliable ? nil : Backoff(timers.t1, cap: nil, now: now), timerB: now.advanced(by: timers.limit))
  }

  /// When `timeout` is due; nil when only a message changes anything.
  package var nextDeadline: Instant? {
    switch self.state {
    case .calling(let timerA, let timerB): timerA.map { min($0.next, timerB) } ?? timerB
    case .proceeding(let limit): limit
    case .accepted(let end), .completed(let end): end
    case .terminated: nil
    }
  }

  package var isTerminated: Bool {
    switch self.state {
    case .terminated: true
    case .calling, .proceeding, .accepted, .completed: false
    }
  }

  /// Whether no final response has come yet.
  package var isPending: Bool {
    switch self.state {
    case .calling, .proceeding: true
    case .accepted, .completed, .terminated: false
    }
  }

  /// Whether a provisional response has come and a final one has not: the only time for a CANCEL.
  package var isProceeding: Bool {
    switch self.state {
    case .proceeding: true
    case .calling, .accepted, .completed, .terminated: false
    }
  }

  package mutating func receive(status: Int, now: Instant) -> ClientTransactionAction {
    switch (self.state, status) {
    case (.calling, ..<200):
      self.state = .proceeding(limit: nil)
      return .deliver
    case (.proceeding, ..<200): return .deliver
    case (.calling, 200..<300), (.proceeding, 200..<300):
      self.state = .accepted(timerM: now.advanced(by: self.timers.limit))
      return .deliver
    case (.calling, _), (.proceeding, _):
      self.state =
        self.timers.isReliable
        ? .terminated : .completed(timerD: now.advanced(by: self.timers.lingerAfterFailure))
      return .acknowledgeAndDeliver
    case (.accepted, 200..<300): return .deliver
    case (.completed, 300...): return .acknowledge
    case (.accepted, _), (.completed, _), (.terminated, _): return .none
    }
  }

  /// A CANCEL was sent: without a final response within 64 × T1 the transaction ends (RFC 3261 §9.1).
  package mutating func cancelled(now: Instant) {
    switch self.state {
    case .proceeding(limit: nil): self.state = .proceeding(limit: now.advanced(by: self.timers.limit))
    case .calling, .proceeding, .accepted, .completed, .terminated: break
    }
  }

  package mutating func timeout(now: Instant) -> ClientTransactionAction {
    switch self.state {
    case .calling(_, let timerB) where timerB <= now:
      self.state = .terminated
      return .timedOut
    case .calling(var timerA?, let timerB):
      guard timerA.fires(at: now) else { return .none }
      self.state = .calling(timerA: timerA, timerB: timerB)
      return .retransmit
    case .proceeding(let limit?) where limit <= now:
      self.state = .terminated
      return .timedOut
    case .accepted(let end) where end <= now, .completed(let end) where end <= now:
      self.state = .terminated
      return .none
    case .calling, .proceeding, .accepted, .completed, .terminated: return .none
    }
  }

  /// The transport cannot reach the peer.
  package mutating func abandon() { self.state = .terminated }
}
