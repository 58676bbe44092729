package import NetBase

/// Which address the peer sends from and is sent to: symmetric RTP with a latching rule.
///
/// What signalling says holds until the peer is heard. With encryption a packet that authenticates moves the address,
/// whoever sent it. In the clear the peer is believed to be where signalling says as soon as it is heard there; the first
/// media packet from elsewhere moves the address only while nothing was heard, and later only after five seconds of silence,
/// so that a stranger can't take a call over. What is under way from where the peer was before the last description is
/// played, and moves nothing.
package struct RemoteSource {
  // What every packet touches comes first.
  package private(set) var address: SocketAddress?
  private var lastHeard: Instant?
  /// Whether connectivity checks choose the address: neither signalling nor a packet moves it then.
  private var isPinned = false
  private var signalled: SocketAddress?
  /// Where the peer was heard before the last description, and since when it is heard there after that.
  private var former: (address: SocketAddress, since: Instant?)?

  package static let silence: Int64 = 5_000
  /// Milliseconds that a packet may have been under way.
  private static let flight: Int64 = 500

  package init() {}

  /// A description came; the same address again changes nothing.
  package mutating func signal(_ address: SocketAddress?) {
    guard !self.isPinned, self.signalled != address else { return }
    self.former = self.lastHeard == nil ? nil : self.address.map { ($0, nil) }
    self.signalled = address
    self.address = address
    self.lastHeard = nil
  }

  /// An authenticated packet came from `source`.
  package mutating func authenticated(_ source: SocketAddress, now: Instant) {
    guard !self.isPinned else { return }
    self.lastHeard = now
    self.address = source
  }

  /// Whether a packet from `source` moves nothing.
  package func isAt(_ source: SocketAddress) -> Bool { self.isPinned || self.address == source }

  /// A plain packet came from `source`; false when it must be dropped.
  package mutating func accepts(_ source: SocketAddress, now: Instant) -> Bool {
    guard !self.isPinned else { return true }
    if source != self.address {
      if self.isUnderWay(from: source, now: now) { return true }
      if source != self.signalled, let lastHeard, now.milliseconds(since: lastHeard) < Self.silence { return false }
      self.address = source
    }
    self.lastHeard = now
    return true
  }

  private mutating func isUnderWay(from source: SocketAddress, now: Instant) -> Bool {
    guard let former, former.address == source else { return false }
    let since = former.since ?? now
    guard now.milliseconds(since: since) < Self.flight else {
      self.former = nil
      return false
    }
    self.former = (source, since)
    return true
  }

  /// Checks have found `address`, or as yet none; whoever calls this sees to it that nothing else is taken from elsewhere.
  package mutating func pin(_ address: SocketAddress?) {
    self.isPinned = true
    self.address = address
  }

  /// There are no checks any more: what signalling says holds again, from the next description on.
  package mutating func unpin() {
    guard self.isPinned else { return }
    self = RemoteSource()
  }
}
