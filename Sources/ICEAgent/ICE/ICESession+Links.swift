package import NetBase

/// Relays that are asked over a connection (RFC 8656 §3.1), which the session's owner makes, secures and cuts into messages.
extension ICESession {
  /// A connection that was asked for stands, and is secured where the server wants that.
  package func connected(_ link: RelayLink, now: Instant) {
    guard self.allocations.indices.contains(link.allocation) else { return }
    self.allocations[link.allocation].connected(using: &self.random, now: now)
    self.settle(now: now)
  }

  /// A connection is gone, or never was. What was relayed over it fails.
  ///
  /// - Parameter reason: goes on a sentence that begins with the server, for example "has closed the connection".
  package func disconnected(_ link: RelayLink, _ reason: String, now: Instant) {
    guard self.allocations.indices.contains(link.allocation) else { return }
    self.allocations[link.allocation].disconnected(reason)
    self.settle(now: now)
  }

  /// Takes a message of the server's own that came over a connection.
  package func receive(_ message: RawSpan, over link: RelayLink, now: Instant) {
    guard let message = STUNMessage(message) else {
      self.counters.malformed += 1
      return
    }
    guard self.allocations.indices.contains(link.allocation) else {
      self.counters.unexpected += 1
      return
    }
    switch message.messageClass {
    case .request: self.counters.unexpected += 1
    // An ICMP error that the server has got (RFC 8656 §11.5), or what has nothing in it.
    case .indication: self.counters.accepted += 1
    case .success, .failure:
      self.count(self.allocations[link.allocation].receive(message, using: &self.random, now: now))
    }
    self.settle(now: now)
  }

  /// What a relay passes on in a message that came over a connection. Allocates nothing.
  package func unwrap(_ message: RawSpan, over link: RelayLink) -> RelayReading {
    guard self.allocations.indices.contains(link.allocation) else { return .notRelayed }
    return self.unwrap(message, by: link.allocation)
  }
}
