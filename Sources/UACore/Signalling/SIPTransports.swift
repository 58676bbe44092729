package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// Who owns the SIP transports: told, on main, of what arrives and of what can't be sent.
package protocol SIPTransportsOwner: AnyObject {
  /// A message came; the path leads back to its sender.
  func received(_ bytes: RawSpan, over path: SIPPath)
  /// What was sent on `path`, or a connection, failed.
  func failed(_ path: SIPPath, reason: String)
  /// The peer answered a keepalive (RFC 5626 §4.4.1).
  func ponged(_ flow: SIPFlow)
}

/// All open SIP transports of one agent, by kind and address family, and the connections on them; lives on main.
package final class SIPTransports {
  private weak var owner: (any SIPTransportsOwner)?
  private let main: EventLoop
  private var open: [any SIPTransport] = []
  private var paths: [SIPFlow: SIPPath] = [:]
  private var lastFlow: UInt64 = 0
  /// Client certificates by the name of the server that they are shown to (an account's `cert`).
  package var certificates: [String: String] = [:]
  /// Ports that connections leave from, by the name or address of the server (an account's `tcpsrcport`).
  package var sourcePorts: [String: UInt16] = [:]
  /// The name that stands for our address in Via and Contact over WebSocket (RFC 7118 §5.1).
  package let webSocketHost: String
  /// Whose addresses are ours; nil for those of all.
  private let interface: String?

  /// - Parameters:
  ///   - webSocketHost: a name of nobody's, below `.invalid`.
  ///   - interface: the name of the network interface whose addresses are told to peers; nil for any.
  package init(owner: any SIPTransportsOwner, on main: EventLoop, webSocketHost: String, interface: String? = nil) {
    self.interface = interface
    self.owner = owner
    self.main = main
    self.webSocketHost = webSocketHost
  }

  /// Opens one transport.
  ///
  /// - Throws: when it can't listen, or a certificate can't be used.
  package func open(_ provider: any SIPTransportProvider, _ settings: SIPTransportSettings) throws(ModuleError) {
    self.open.append(try provider.open(settings, on: self.main, receiver: self))
  }

  package var all: [any SIPTransport] { self.open }

  /// The kinds that messages can be sent over, in the order in which they were opened.
  package var kinds: [SIPTransportKind] {
    self.open.reduce(into: []) { if !$0.contains($1.kind) { $0.append($1.kind) } }
  }

  /// The transport over which `peer` is reached; nil where none of that kind and family is open.
  package func transport(_ kind: SIPTransportKind, towards peer: SocketAddress) -> (any SIPTransport)? {
    let some = self.open.filter { $0.kind == kind && $0.reaches(peer.family) }
    // Of several addresses the one that the kernel would take itself, else the first.
    guard some.count > 1, let source = routeSource(to: peer.with(port: 9), by: self.interface) else {
      return some.first
    }
    return some.first { $0.localAddress.isSameHost(as: source) } ?? some.first
  }

  /// Our address towards `peer`, as Via and Contact have it.
  ///
  /// - Throws: when no transport of that kind is open, or no network interface leads there.
  package func localAddress(_ kind: SIPTransportKind, towards peer: SocketAddress) throws(ModuleError) -> SocketAddress
  {
    guard let transport = self.transport(kind, towards: peer) else {
      throw ModuleError(.configuration, self.isNotOpen(kind, peer))
    }
    var local = transport.localAddress
    if local.port == 0 { local.port = kind.defaultPort }
    guard local.isUnspecified else { return local }
    guard let source = routeSource(to: peer.with(port: 9), by: self.interface) else {
      throw ModuleError(.unavailable, "there is no route to \(peer.host): \(Self.isUnreachable(by: self.interface))")
    }
    return source.with(port: local.port)
  }

  /// Why there is no address of ours for a peer.
  static func isUnreachable(by interface: String?) -> String {
    interface.map { "net_interface \($0) has no address for it" } ?? "no network interface leads there"
  }

  private func isNotOpen(_ kind: SIPTransportKind, _ peer: SocketAddress) -> String {
    let family = peer.family == .ipv4 ? "IPv4" : "IPv6"
    if self.kinds.contains(kind) {
      return "SIP over \(kind.rawValue) is not open here for \(family) (sip_listen, net_interface, net_af, -4, -6)"
    }
    let open = self.kinds.map(\.name).joined(separator: ", ")
    return "SIP over \(kind.rawValue) and \(family) is not open here; there are: \(open) (sip_transports, net_af)"
  }

  // MARK: Sending

  /// Sends one message the way that `path` says; what goes wrong later is told to the owner.
  ///
  /// - Returns: why it was refused; nil when it is on its way.
  package func send(_ bytes: [UInt8], _ path: SIPPath) -> String? {
    guard let transport = self.transport(path.transport, towards: path.peer) else {
      return self.isNotOpen(path.transport, path.peer)
    }
    // Line ends are no WebSocket message: each kind of connection asks in its own way, and tells of the answer.
    if bytes == SIPEndpoint.ping, path.transport.isReliable, let flow = path.flow {
      return self.ping(flow) ? nil : "the connection is closed"
    }
    let certificate = path.transport.isSecure ? path.serverName.flatMap { self.certificates[$0.lowercased()] } : nil
    var destination = SIPDestination(
      path.peer, flow: path.flow, serverName: path.serverName, certificate: certificate)
    destination.sourcePort = self.sourcePorts[(path.serverName ?? path.peer.host).lowercased()]
    switch transport.send(bytes, to: destination) {
    case .sent(let flow):
      if let flow, self.paths[flow] == nil {
        var known = path
        known.flow = flow
        self.paths[flow] = known
      }
      return nil
    case .refused(let reason): return reason
    }
  }

  /// Asks the peer of a connection for a sign of life.
  @discardableResult
  package func ping(_ flow: SIPFlow) -> Bool { self.open.contains { $0.ping(flow) } }

  /// Where a connection leads; nil when it is closed.
  package func path(of flow: SIPFlow) -> SIPPath? { self.paths[flow] }

  package func close(_ flow: SIPFlow) {
    self.paths[flow] = nil
    for transport in self.open { transport.close(flow) }
  }

  /// Closes the connection of a path; of one that names none, each to the same peer and transport. The owner is not
  /// told.
  package func close(_ path: SIPPath) {
    if let flow = path.flow { return self.close(flow) }
    let some = self.paths.filter { $1.peer == path.peer && $1.transport == path.transport }
    for flow in some.keys.sorted(by: { $0.number < $1.number }) { self.close(flow) }
  }

  /// Closes the connections that left from an address that we no longer have; the owner is told of each.
  package func addressesChanged(_ addresses: Set<String>) {
    let gone = self.paths.filter { _, path in
      !path.local.isUnspecified && !path.local.isLoopback && !addresses.contains(path.local.host)
    }
    for (flow, path) in gone.sorted(by: { $0.key.number < $1.key.number }) {
      self.close(flow)
      self.owner?.failed(path, reason: "our address \(path.local.host) is gone")
    }
  }

  /// Closes every transport of a kind, with its connections; the owner is told of each.
  package func close(_ kind: SIPTransportKind) {
    for (flow, path) in self.paths.filter({ $1.transport == kind }).sorted(by: { $0.key.number < $1.key.number }) {
      self.close(flow)
      self.owner?.failed(path, reason: "SIP over \(kind.name) was switched off")
    }
    for transport in self.open where transport.kind == kind { transport.close() }
    self.open.removeAll { $0.kind == kind }
  }

  package func close() {
    for transport in self.open { transport.close() }
    self.open = []
    self.paths = [:]
  }
}

extension SIPTransport {
  /// One that listens nowhere and is bound to no address connects to either family.
  fileprivate func reaches(_ family: SocketAddress.Family) -> Bool {
    self.localAddress.family == family || self.localAddress.isUnspecified && self.localAddress.port == 0
  }

  /// What Via and Contact say of a connection: its address, and the port where new ones are accepted.
  fileprivate func advertised(_ local: SocketAddress) -> SocketAddress {
    self.localAddress.port == 0 ? local : local.with(port: self.localAddress.port)
  }
}

extension SIPTransports: SIPTransportReceiver {
  package func newFlow() -> SIPFlow {
    self.lastFlow += 1
    return SIPFlow(number: self.lastFlow)
  }

  package func received(_ bytes: RawSpan, from origin: SIPOrigin, on transport: any SIPTransport) {
    let known = origin.flow.flatMap { self.paths[$0] }
    let path = SIPPath(
      peer: origin.source, local: transport.advertised(origin.local), transport: transport.kind, flow: origin.flow,
      serverName: known?.serverName)
    self.owner?.received(bytes, over: path)
  }

  package func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {
    self.owner?.failed(
      SIPPath(peer: address, local: transport.localAddress, transport: transport.kind), reason: reason)
  }

  package func opened(_ connection: SIPConnection, on transport: any SIPTransport) {
    var path = SIPPath(
      peer: connection.peer, local: transport.advertised(connection.local), transport: transport.kind,
      flow: connection.flow)
    path.serverName = self.paths[connection.flow]?.serverName
    self.paths[connection.flow] = path
  }

  package func closed(_ flow: SIPFlow, peer: SocketAddress, reason: String, on transport: any SIPTransport) {
    let known = self.paths.removeValue(forKey: flow)
    let path = SIPPath(
      peer: peer, local: known?.local ?? transport.localAddress, transport: transport.kind, flow: flow,
      serverName: known?.serverName)
    self.owner?.failed(path, reason: "\(peer): \(reason)")
  }

  package func ponged(_ flow: SIPFlow, on transport: any SIPTransport) { self.owner?.ponged(flow) }
}
