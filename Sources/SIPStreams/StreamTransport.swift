internal import Glibc
package import ModuleKit
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
package import NetBase
package import Runtime
package import SIPStack
internal import Synchronization

/// SIP over connections: TCP, TLS, and WebSocket on either. Lives on main; every connection on a thread of NIO's.
package final class StreamTransport: SIPTransport {
  package let kind: SIPTransportKind
  package private(set) var localAddress: NetBase.SocketAddress
  private let module: String
  private let main: Runtime.EventLoop
  private weak var receiver: (any SIPTransportReceiver)?
  private let settings: SIPTransportSettings
  private let limits: StreamLimits
  private let tls: StreamTLS?
  private let tally = StreamTally()
  private let reference: LoopBound<WeakStreamTransport>
  private var listener: (any Channel)?
  private var connections: [SIPFlow: StreamConnection] = [:]
  private var flows: [ObjectIdentifier: SIPFlow] = [:]
  private var byKey: [StreamConnection.Key: SIPFlow] = [:]
  private var counted = StreamCounters()
  private var isClosed = false

  /// Listens, if it is to.
  ///
  /// - Throws: when the port is taken, or a certificate can't be used.
  package init(
    _ kind: SIPTransportKind, module: String, settings: SIPTransportSettings, limits: StreamLimits,
    on main: Runtime.EventLoop, receiver: any SIPTransportReceiver
  ) throws(ModuleError) {
    self.kind = kind
    self.module = module
    self.main = main
    self.receiver = receiver
    self.settings = settings
    self.limits = limits
    self.tls = kind.isSecure ? StreamTLS(module: module, security: settings.security) : nil
    self.localAddress = settings.listen?.with(port: 0) ?? NetBase.SocketAddress(ipv4: 0, port: 0)
    self.reference = LoopBound(on: main)
    self.reference.put(WeakStreamTransport(transport: self))
    // What is wrong with a certificate is known before the first call.
    _ = try self.tls?.client(certificate: nil)
    let server = try self.tls?.server()
    if let listen = settings.listen, !kind.isSecure || server != nil { try self.listen(listen, server) }
  }

  package var counters: StreamCounters {
    var counters = self.counted
    self.tally.fill(&counters)
    return counters
  }

  /// How many connections there are, those on their way included.
  package var connectionCount: Int { self.connections.count }

  // MARK: SIPTransport

  package var counts: [(name: String, count: Int)] { self.counters.counts }

  package func send(_ bytes: [UInt8], to destination: SIPDestination) -> SIPSendResult {
    let connection: StreamConnection
    if let flow = destination.flow {
      guard let known = self.connections[flow] else { return .refused("the connection is closed") }
      connection = known
    } else {
      let key = StreamConnection.Key(
        address: destination.address, serverName: self.kind.isSecure ? destination.serverName : nil,
        certificate: destination.certificate)
      if let known = self.byKey[key].flatMap({ self.connections[$0] }) {
        connection = known
      } else {
        do throws(ModuleError) {
          connection = try self.connect(key, host: destination.serverName, from: destination.sourcePort)
        } catch { return .refused(error.message) }
      }
    }
    guard connection.send(bytes) else {
      self.counted.overflows += 1
      return .refused("the peer does not read what was sent")
    }
    self.counted.messagesSent += 1
    return .sent(connection.flow)
  }

  package func close(_ flow: SIPFlow) {
    guard let connection = self.connections[flow] else { return }
    self.forget(connection)
    if case .open(let channel) = connection.state { channel.close(promise: nil) }
  }

  package func ping(_ flow: SIPFlow) -> Bool {
    guard let connection = self.connections[flow], case .open(let channel) = connection.state else { return false }
    channel.triggerUserOutboundEvent(StreamPing(), promise: nil)
    return true
  }

  package func close() {
    self.isClosed = true
    self.listener?.close(promise: nil)
    self.listener = nil
    for flow in self.connections.keys { self.close(flow) }
  }

  // MARK: Connections

  func handle(_ event: StreamEvent, of link: StreamLink) {
    guard !self.isClosed else {
      if case .opened(let channel, peer: _, local: _) = event { channel.close(promise: nil) }
      return
    }
    switch event {
    case .opened(let channel, let peer, let local): self.opened(channel, peer: peer, local: local, link)
    case .messages(let messages): self.received(messages, link)
    case .pong: if let flow = self.flows[ObjectIdentifier(link)] { self.receiver?.ponged(flow, on: self) }
    case .closed(let reason): self.closed(reason, link)
    }
  }

  private func opened(
    _ channel: any Channel, peer: NetBase.SocketAddress, local: NetBase.SocketAddress, _ link: StreamLink
  ) {
    let connection: StreamConnection
    if link.isAccepted {
      // A request to where the peer comes from may go back on a connection that no name has to be checked on.
      let key = StreamConnection.Key(address: peer, serverName: nil, certificate: nil)
      let isFound = !self.kind.isSecure && self.byKey[key] == nil
      guard let flow = self.receiver?.newFlow() else { return channel.close(promise: nil) }
      connection = StreamConnection(
        flow: flow, link: link, key: isFound ? key : nil, peer: peer, local: local, state: .opening([]))
      self.add(connection)
    } else {
      // Closed here while it was on its way.
      guard let known = self.flows[ObjectIdentifier(link)].flatMap({ self.connections[$0] }) else {
        return channel.close(promise: nil)
      }
      connection = known
      connection.local = local
      self.counted.connected += 1
    }
    connection.open(channel)
    self.receiver?.opened(
      SIPConnection(flow: connection.flow, peer: peer, local: local, isAccepted: link.isAccepted), on: self)
  }

  private func received(_ messages: [[UInt8]], _ link: StreamLink) {
    for message in messages {
      guard let connection = self.flows[ObjectIdentifier(link)].flatMap({ self.connections[$0] }) else { return }
      self.counted.messagesReceived += 1
      let origin = SIPOrigin(connection.peer, local: connection.local, flow: connection.flow)
      message.withRawSpan { self.receiver?.received($0, from: origin, on: self) }
    }
    guard link.took(messages), let flow = self.flows[ObjectIdentifier(link)],
      case .open(let channel)? = self.connections[flow]?.state
    else { return }
    channel.triggerUserOutboundEvent(StreamResume(), promise: nil)
  }

  private func closed(_ reason: String, _ link: StreamLink) {
    guard let connection = self.flows[ObjectIdentifier(link)].flatMap({ self.connections[$0] }) else { return }
    if case .opening = connection.state { self.counted.failed += 1 }
    self.forget(connection)
    self.receiver?.closed(connection.flow, peer: connection.peer, reason: reason, on: self)
  }

  private func add(_ connection: StreamConnection) {
    self.connections[connection.flow] = connection
    self.flows[ObjectIdentifier(connection.link)] = connection.flow
    if let key = connection.key { self.byKey[key] = connection.flow }
  }

  private func forget(_ connection: StreamConnection) {
    self.connections[connection.flow] = nil
    self.flows[ObjectIdentifier(connection.link)] = nil
    if let key = connection.key, self.byKey[key] == connection.flow { self.byKey[key] = nil }
  }

  /// - Parameter port: that the connection leaves from; nil for any free one.
  private func connect(
    _ key: StreamConnection.Key, host: String?, from port: UInt16?
  ) throws(ModuleError) -> StreamConnection {
    let tls = try self.tls?.client(certificate: key.certificate)
    guard let flow = self.receiver?.newFlow(), let address = key.address.nio else {
      throw ModuleError(.unavailable, "there is no way to \(key.address)")
    }
    let link = self.makeLink(isAccepted: false)
    let connection = StreamConnection(
      flow: flow, link: link, key: key, peer: key.address, local: self.localAddress, state: .opening([]))
    self.add(connection)
    let kind = self.kind
    // TLS checks an address against the certificate by itself; only a name is told to it.
    let serverName = key.serverName.flatMap { NetBase.SocketAddress(host: $0, port: 0) == nil ? $0 : nil }
    let httpHost = host.map { "\($0):\(key.address.port)" } ?? "\(key.address)"
    var bootstrap = ClientBootstrap(group: StreamThreads.group)
      .connectTimeout(TimeAmount(self.limits.setup))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try StreamPipeline.connecting(
            kind, StreamState(link: link, channel: channel), tls: tls, serverName: serverName, host: httpHost)
        }
      }
    bootstrap = self.markTraffic(bootstrap, family: key.address.family)
    if let source = self.source(of: key.address.family, port: port)?.nio {
      // The port of a connection that has just ended may be used again.
      if port != nil { bootstrap = bootstrap.channelOption(.socketOption(.so_reuseaddr), value: 1) }
      bootstrap = bootstrap.bind(to: source)
    }
    bootstrap.connect(to: address).whenFailure { link.post(.closed(reason: StreamFailure.sentence($0))) }
    return connection
  }

  /// Where a connection leaves from; nil where the kernel may choose.
  private func source(of family: NetBase.SocketAddress.Family, port: UInt16?) -> NetBase.SocketAddress? {
    if let listen = self.settings.listen, !listen.isUnspecified, listen.family == family {
      return listen.with(port: port ?? 0)
    }
    return port.map {
      family == .ipv4 ? NetBase.SocketAddress(ipv4: 0, port: $0) : NetBase.SocketAddress(ipv6: 0, 0, port: $0)
    }
  }

  private func markTraffic(_ bootstrap: ClientBootstrap, family: NetBase.SocketAddress.Family) -> ClientBootstrap {
    bootstrap.channelOption(StreamSocketOption.trafficClass(family), value: .init(self.settings.typeOfService))
  }

  private func makeLink(isAccepted: Bool) -> StreamLink {
    StreamLink(
      limits: self.limits, tally: self.tally, isAccepted: isAccepted, main: self.main, owner: self.reference)
  }

  private func listen(_ address: NetBase.SocketAddress, _ tls: NIOSSLContext?) throws(ModuleError) {
    guard let nio = address.nio else { throw ModuleError(.configuration, "sip_listen \(address): not an address") }
    let (kind, tally, limits, main, owner) = (self.kind, self.tally, self.limits, self.main, self.reference)
    var bootstrap = ServerBootstrap(group: StreamThreads.group)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(
        StreamSocketOption.trafficClass(address.family), value: .init(self.settings.typeOfService)
      )
      .childChannelInitializer { channel in
        let before = tally.open.add(1, ordering: .relaxed).oldValue
        channel.closeFuture.whenComplete { _ in tally.open.subtract(1, ordering: .relaxed) }
        guard before < limits.connections else {
          tally.refused.add(1, ordering: .relaxed)
          return channel.close()
        }
        tally.accepted.add(1, ordering: .relaxed)
        let link = StreamLink(limits: limits, tally: tally, isAccepted: true, main: main, owner: owner)
        return channel.eventLoop.makeCompletedFuture {
          try StreamPipeline.accepted(kind, StreamState(link: link, channel: channel), tls: tls)
        }
      }
    if address.family == .ipv6 {
      bootstrap = bootstrap.serverChannelOption(StreamSocketOption.ipv6Only, value: 1)
    }
    do {
      let channel = try bootstrap.bind(to: nio).wait()
      self.listener = channel
      self.localAddress = channel.localAddress.flatMap(NetBase.SocketAddress.init) ?? address
    } catch {
      let code = (error as? IOError)?.errnoCode
      if code == EADDRNOTAVAIL {
        throw ModuleError.foreignAddress(address, module: self.module, keys: "sip_listen or net_interface")
      }
      let isTaken = code == EADDRINUSE
      let advice = isTaken ? "; choose another sip_listen" : ""
      throw ModuleError(
        .unavailable, "module \(self.module): cannot listen on \(address): \(StreamFailure.sentence(error))\(advice)")
    }
  }
}
