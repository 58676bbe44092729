internal import NetBase

/// The base values from which every transaction timer follows (RFC 3261 §17.1.1.1, table 4).
package struct TransactionTimers: Hashable, Sendable {
  /// Round-trip estimate.
  package var t1: Duration
  /// The longest interval between retransmissions.
  package var t2: Duration
  /// How long a message may stay in the network.
  package var t4: Duration
  /// Whether the transport retransmits by itself; then no transaction does, and none lingers for duplicates.
  package var isReliable: Bool

  package init(
    t1: Duration = .milliseconds(500), t2: Duration = .seconds(4), t4: Duration = .seconds(5), isReliable: Bool = false
  ) {
    (self.t1, self.t2, self.t4, self.isReliable) = (t1, t2, t4, isReliable)
  }

  /// 64 × T1: timers B, F, H, J, L and M.
  package var limit: Duration { self.t1 * 64 }

  /// Timer D: 32 s at least over UDP, nothing over a reliable transport.
  var lingerAfterFailure: Duration { self.isReliable ? .zero : max(.seconds(32), self.limit) }
}

/// A retransmission schedule: the interval doubles each time, up to `cap`.
struct Backoff: Hashable, Sendable {
  private(set) var next: Instant
  private var interval: Duration
  private let cap: Duration?

  init(_ interval: Duration, cap: Duration?, now: Instant) {
    (self.next, self.interval, self.cap) = (now.advanced(by: interval), interval, cap)
  }

  /// Whether it is time; if so, the next time is set.
  mutating func fires(at now: Instant) -> Bool {
    guard self.next <= now else { return false }
    self.interval = self.cap.map { min(self.interval * 2, $0) } ?? self.interval * 2
    self.next = now.advanced(by: self.interval)
    return true
  }

  /// Goes on at `interval`, counted from the time that was set last.
  mutating func slow(to interval: Duration) { self.interval = interval }
}

/// What the endpoint does for a client transaction after an event.
package enum ClientTransactionAction: Hashable, Sendable {
  case none
  /// Send the request again.
  case retransmit
  /// Hand the response to the transaction's user.
  case deliver
  /// Send the ACK for a failure, then hand the response over (RFC 3261 §17.1.1.3).
  case acknowledgeAndDeliver
  /// The failure came again: send its ACK again.
  case acknowledge
  /// No final response came in time.
  case timedOut
}

/// What the endpoint does for a server transaction after an event.
package enum ServerTransactionAction: Hashable, Sendable {
  case none
  /// Send the last response again.
  case retransmit
  /// Hand the ACK to the transaction's user.
  case deliver
  /// The ACK never came.
  case timedOut
}
