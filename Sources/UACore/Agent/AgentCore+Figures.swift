package import SIPStack

extension AgentCore {
  /// What SIP has seen, sent and dropped: each datagram that came is one of `requestsReceived`, `responsesReceived`,
  /// `malformed` and `keepAlives`.
  package var signallingCounters: SIPCounters { self.endpoint.counters }

  /// What SIP holds at this moment.
  package var signallingCensus: SIPCensus { self.endpoint.census }

  /// Whether nothing is left of any call; SIP's transactions may outlive them for half a minute.
  package var isIdle: Bool {
    self.calls.isEmpty && self.bySession.isEmpty && self.abandoned.isEmpty && self.eventPorts.isEmpty
  }
}
