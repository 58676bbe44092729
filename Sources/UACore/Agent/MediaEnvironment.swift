package import ModuleKit
package import NetBase
package import Runtime
internal import SIPStack

/// What the calls of one agent share; lives on main.
package final class MediaEnvironment {
  package let registry: ModuleRegistry
  package let planner: StagePlanner
  package let configuration: Configuration
  private let main: EventLoop
  private let loops: TransportLoops
  private var ports: PortAllocator
  private(set) var sharedPorts = SharedPorts()
  private var generator: SeededGenerator
  private let listen: SocketAddress
  private let hosts: HostAddresses
  private let loss: Double
  private let delays: MediaDelays?
  private let decodesAudio: Bool
  private var transports = 0
  private let wallClockOffset: Int64

  package init(
    settings: AgentSettings, registry: ModuleRegistry, main: EventLoop, loops: TransportLoops, seed: UInt64,
    wallClockOffset: Int64
  ) throws(ModuleError) {
    self.registry = registry
    self.configuration = settings.configuration
    self.main = main
    self.loops = loops
    self.listen = settings.listen
    self.hosts = HostAddresses(settings)
    self.loss = settings.loss
    (self.delays, self.decodesAudio) = (settings.delays, settings.decodesAudio)
    self.wallClockOffset = wallClockOffset
    self.generator = SeededGenerator(seed: seed)
    self.planner = StagePlanner(
      registry: registry, mode: settings.configuration.rxMode, policy: settings.configuration.rxPolicy, main: main)
    guard let transport = settings.datagrams ?? registry.datagrams else {
      throw ModuleError(.configuration, "no module for media transport is active: add \"module udp\"")
    }
    self.ports = PortAllocator(
      transport: transport, range: settings.configuration.rtpPorts, typeOfService: settings.configuration.rtpTOS,
      start: self.generator.next())
  }

  package func random() -> UInt64 { self.generator.next() }

  /// Whether transports have their sockets in common with the others of their loop.
  var sharesPorts: Bool { self.configuration.usesSinglePort && self.configuration.rxMode != .thread }

  /// This host has lost these addresses: no more transports share sockets there.
  func forget(_ gone: [SocketAddress]) { self.sharedPorts.forget(gone) }

  /// The address that media towards `peer` leaves from: the one that SIP listens on, where that is a certain one.
  package func localAddress(towards peer: SocketAddress) throws(ModuleError) -> SocketAddress {
    if !self.listen.isUnspecified, self.listen.family == peer.family { return self.listen.with(port: 0) }
    let interface = self.configuration.interfaceName
    guard let source = routeSource(to: peer.with(port: 9), by: interface) else {
      throw ModuleError(
        .unavailable, "there is no route to \(peer.host): \(SIPTransports.isUnreachable(by: interface))")
    }
    return source.with(port: 0)
  }

  /// The same after a change of network.
  ///
  /// - Parameter listening: where SIP listens now.
  package func localAddress(
    towards peer: SocketAddress, listening: SocketAddress
  ) throws(ModuleError) -> SocketAddress {
    if !self.listen.isUnspecified, listening.family == peer.family { return listening.with(port: 0) }
    return try self.localAddress(towards: peer)
  }

  /// Bound sockets for a transport; its part of those that its loop has for all, where it may share them. Where
  /// `connectivity` has a use for further addresses of this host, there are sockets at these, too.
  ///
  /// - Parameters:
  ///   - loop: where the transport is; nil while it is not there.
  ///   - warn: told of an address that can't be had, in a sentence.
  package func openPorts(
    on address: SocketAddress, for connectivity: (any MediaNATSession)?, isShared: Bool = false,
    in loop: EventLoop? = nil, _ warn: (String) -> Void
  ) throws(ModuleError) -> MediaPorts {
    let others = connectivity?.furtherAddresses.map { self.hosts.further(beside: address, $0) } ?? []
    func leaveOut(_ other: SocketAddress, _ error: ModuleError) {
      warn("\(other.host) is not named to the peer: \(error.message); the call goes on without it")
    }
    guard isShared, self.sharesPorts,
      let loop = loop ?? self.loops.nextShared(mode: self.configuration.rxMode)
    else { return try self.ports.open(on: address, and: others, leftOut: leaveOut) }
    return try self.sharedPorts.ports(on: address, and: others, in: loop, from: &self.ports, leftOut: leaveOut)
  }

  package func startTransport(
    _ ports: consuming MediaPorts, stream: StreamID, ssrc: UInt32, canonicalName: String,
    announce: @escaping @Sendable () -> Void
  ) throws(ModuleError) -> TransportHandle {
    let configuration = self.configuration
    // As the pool counts, so that the transports of one worker share their counters with no other thread.
    self.transports += 1
    let settings = TransportSettings(
      stream: stream,
      jitterBuffer: JitterBufferSettings(
        kind: configuration.jitterBufferType, delay: configuration.jitterBufferDelay,
        size: configuration.jitterBufferSize),
      receiveTimeout: (configuration.rtpTimeout ?? 0) * 1000, canonicalName: canonicalName, ssrc: ssrc,
      seed: self.random(), wallClockOffset: self.wallClockOffset, loss: self.loss,
      srtpTransform: configuration.srtpTransform,
      keyLimit: configuration.keyLimit, delays: self.delays?.counters(for: self.transports),
      decodes: self.decodesAudio)
    let place: (loop: EventLoop, isOwn: Bool)
    if let loop = ports.loop {
      place = (loop, false)
    } else {
      place = try self.loops.next(mode: configuration.rxMode, stream: stream)
    }
    return TransportHandle(
      on: place.loop, ownsLoop: place.isOwn, settings: settings, ports: ports, announce: announce)
  }
}
