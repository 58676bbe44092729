package import NetBase

/// One connection of a stream transport, as long as it is open. Whoever owns the transports numbers them and never uses
/// a number again; UDP has none.
package struct SIPFlow: Hashable, Sendable, CustomStringConvertible {
  package let number: UInt64
  package init(number: UInt64) { self.number = number }
  package var description: String { "flow \(self.number)" }
}

/// Where messages of a session or a transaction travel.
package struct SIPPath: Hashable, Sendable {
  package var peer: SocketAddress
  /// Our address, as Via and Contact have it.
  package var local: SocketAddress
  package var transport: SIPTransportKind
  /// The connection; nil for UDP, and where none is known yet.
  package var flow: SIPFlow?
  /// The name that the peer's certificate must bear, and SNI; nil when the peer was named by its address.
  package var serverName: String?

  package init(
    peer: SocketAddress, local: SocketAddress, transport: SIPTransportKind, flow: SIPFlow? = nil,
    serverName: String? = nil
  ) {
    (self.peer, self.local, self.transport) = (peer, local, transport)
    (self.flow, self.serverName) = (flow, serverName)
  }

  /// Its connection is gone: another one is made, to that port of the peer's.
  mutating func leaveFlow(port: UInt16) {
    self.flow = nil
    self.peer = self.peer.with(port: port)
  }

  /// Whether it has another end, here or there, or another transport.
  func isElsewhere(than other: SIPPath) -> Bool {
    self.peer != other.peer || self.local != other.local || self.transport != other.transport
  }
}

/// One place where a request may be sent: what RFC 3263 finds for a URI, an ordered list of these.
package struct SIPTarget: Hashable, Sendable {
  package var address: SocketAddress
  package var transport: SIPTransportKind
  /// The name in the URI, which the certificate must bear (RFC 5922 §7); nil when the URI has an address.
  package var serverName: String?
  /// Our address towards this one, where it differs from the request's own: another family, another interface.
  package var local: SocketAddress?
  /// The connection to be used, as of a registration with outbound (RFC 5626 §4.3); mostly nil.
  package var flow: SIPFlow?

  package init(
    address: SocketAddress, transport: SIPTransportKind = .udp, serverName: String? = nil,
    local: SocketAddress? = nil, flow: SIPFlow? = nil
  ) {
    (self.address, self.transport, self.serverName) = (address, transport, serverName)
    (self.local, self.flow) = (local, flow)
  }

  func path(local: SocketAddress) -> SIPPath {
    SIPPath(
      peer: self.address, local: self.local ?? local, transport: self.transport, flow: self.flow,
      serverName: self.serverName)
  }
}
