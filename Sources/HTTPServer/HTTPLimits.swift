internal import Synchronization

/// What one peer may cost.
package struct HTTPLimits: Sendable {
  /// Connections at the same time; more are closed at once.
  package var connections = 64
  /// Bytes of a request's body.
  package var bodyLength = 65_536
  /// Milliseconds for a request to arrive whole, from the first of its connection or from the response before.
  package var requestTime = 10_000

  package init() {}
}

/// What was not served, by reason.
package struct HTTPCounters: Equatable, Sendable {
  /// Connections above the limit.
  package var refused = 0
  /// Requests that were too long.
  package var oversize = 0
  /// Connections whose request did not arrive in time.
  package var slow = 0
  /// Connections with what is no HTTP, or no TLS.
  package var malformed = 0

  package init() {}
}

/// The counters as connections add to them, each on its thread.
final class HTTPTally: Sendable {
  let connections = Atomic<Int>(0)
  let refused = Atomic<Int>(0)
  let oversize = Atomic<Int>(0)
  let slow = Atomic<Int>(0)
  let malformed = Atomic<Int>(0)

  var counters: HTTPCounters {
    var counters = HTTPCounters()
    counters.refused = self.refused.load(ordering: .relaxed)
    counters.oversize = self.oversize.load(ordering: .relaxed)
    counters.slow = self.slow.load(ordering: .relaxed)
    counters.malformed = self.malformed.load(ordering: .relaxed)
    return counters
  }
}
