package import SIPStack

extension AgentCore {
  /// What SIP has seen, sent and dropped: each datagram that came is one of `requestsReceived`, `responsesReceived`,
  /// `malformed` and `keepAlives`.
  package var signallingCounters: SIPCounters { self.endpoint.counters }

  /// What SIP holds at this moment.
  package var signallingCensus: SIPCensus { self.endpoint.census }

  /// What stands now, added up; each call's figures are those of the last time that its part was asked.
  ///
  /// - Parameter part: which of `parts` is asked now for the next time, so that many calls cost no one a moment's silence; nil
  ///   asks none.
  package func callTotals(asking part: Int? = nil, of parts: Int = 1) -> CallTotals {
    var totals = CallTotals()
    for (id, call) in self.calls {
      if let part, id.number % UInt64(parts) == UInt64(part) { self.refreshStatistics(id) }
      if call.state == .established { totals.established += 1 }
      totals.lost += call.statistics.lost
      totals.dropped += call.statistics.drops.total
    }
    return totals
  }

  /// Whether nothing is left of any call; SIP's transactions may outlive them for half a minute.
  package var holdsNothing: Bool {
    self.calls.isEmpty && self.bySession.isEmpty && self.abandoned.isEmpty && self.eventPorts.isEmpty
  }
}

/// The calls that stand, at one moment.
package struct CallTotals: Sendable {
  package var established = 0
  /// Packets that did not come, and datagrams that were dropped.
  package var lost = 0
  package var dropped = 0

  package init() {}
}
