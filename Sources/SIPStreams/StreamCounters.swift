internal import Synchronization

/// What the connections of one transport have seen, sent and closed.
package struct StreamCounters: Hashable, Sendable {
  package var accepted = 0
  package var connected = 0
  /// Connections of ours that did not come to be.
  package var failed = 0
  /// Connections that were one too many.
  package var refused = 0
  /// Connections of peers that are open now, those included that are about to be refused.
  package var open = 0
  package var messagesReceived = 0
  package var messagesSent = 0
  package var pings = 0
  package var pongs = 0
  /// Connections closed because a message was too long or had no sound Content-Length.
  package var unframed = 0
  /// Connections closed because they took too long, for whatever.
  package var expired = 0
  /// How often reading stopped because main was behind.
  package var pauses = 0
  /// Messages refused, and pings not answered, because the peer does not read.
  package var overflows = 0

  package init() {}
}

extension StreamCounters {
  /// All of them, by the names that people are shown.
  var counts: [(name: String, count: Int)] {
    [
      ("accepted", self.accepted), ("refused", self.refused), ("open", self.open), ("connected", self.connected),
      ("failed", self.failed), ("expired", self.expired), ("unframed", self.unframed),
      ("messages received", self.messagesReceived), ("sent", self.messagesSent), ("not taken", self.overflows),
      ("pings", self.pings), ("pongs", self.pongs), ("pauses", self.pauses),
    ]
  }
}

/// The counters that a connection's thread touches, while others read.
final class StreamTally: Sendable {
  let accepted = Atomic<Int>(0)
  let refused = Atomic<Int>(0)
  let pings = Atomic<Int>(0)
  let pongs = Atomic<Int>(0)
  let unframed = Atomic<Int>(0)
  let expired = Atomic<Int>(0)
  let pauses = Atomic<Int>(0)
  let overflows = Atomic<Int>(0)
  let open = Atomic<Int>(0)

  func fill(_ counters: inout StreamCounters) {
    counters.accepted = self.accepted.load(ordering: .relaxed)
    counters.refused = self.refused.load(ordering: .relaxed)
    counters.open = self.open.load(ordering: .relaxed)
    counters.pings = self.pings.load(ordering: .relaxed)
    counters.pongs = self.pongs.load(ordering: .relaxed)
    counters.unframed = self.unframed.load(ordering: .relaxed)
    counters.expired = self.expired.load(ordering: .relaxed)
    counters.pauses = self.pauses.load(ordering: .relaxed)
    counters.overflows += self.overflows.load(ordering: .relaxed)
  }
}
