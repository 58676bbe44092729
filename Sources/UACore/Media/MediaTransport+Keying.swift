internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SRTPEngine

/// How a transport gets its keys, and the paths that new associations bring.
extension MediaTransport {
  /// A path that was replaced is closed by then, whatever the peer does.
  private static let longestLinger: Int64 = 30_000
  /// As many as there are old generations of keys.
  private static let maximumFormerPaths = 3

  // MARK: Commands

  func obey(_ command: consuming KeyingCommand) {
    let now = self.context.now
    if command.meaning.contains(.beginsKeys) { self.keyChanges += 1 }
    do {
      switch consume command {
      case .plain:
        self.security = .plain
        self.outputIsReady(now: now)
        self.drainParked(of: self.path, now: now)
      case .installInbound(let material, let continuity):
        self.security = .encrypted
        try self.keys.installInbound(material, continuity, for: .rtp, now: now)
        self.drainParked(of: self.path, now: now)
      case .installOutbound(let material, let continuity, let switchNow):
        self.security = .encrypted
        try self.keys.installOutbound(material, continuity, for: .rtp, switchNow: switchNow)
        self.reportSecure()
      case .switchOutbound: try self.keys.switchOutbound()
      case .expectInbound(let isOpen):
        self.keys.expectsInbound = isOpen
        if !isOpen { self.drainParked(of: self.path, now: now) }
      case .makeKeyExchange(let make):
        self.security = .encrypted
        (self.nextPath ?? self.path).associations.add(try make(), now: now)
      case .startKeyExchange(let remote):
        self.security = .encrypted
        let path = self.nextPath ?? self.path
        path.pendingHandshake = remote
        self.startHandshake(on: path, now: now)
      case .withdrawKeyExchange: self.withdrawNextAssociation(of: self.nextPath ?? self.path, now: now)
      }
    } catch let error as ModuleError {
      self.fail(error)
    } catch {
      self.fail(ModuleError(.peer, "\(error)"))
    }
  }

  // MARK: Key exchange

  /// Starts the handshake that the descriptions agreed on, once there is a way for it.
  func startHandshake(on path: MediaPath, now: Instant) {
    guard let remote = path.takeHandshake() else { return }
    guard path.claimHandshake(with: remote) else { return self.fail(Self.isAnothers(remote.rtpAddress)) }
    self.keys.isPerComponent = remote.rtcpAddress != nil
    guard let exchange = path.associations.next ?? path.associations.current else { return }
    self.expectKeys(on: path)
    exchange.start(remote, now: now)
    self.run(exchange, of: path, now: now)
  }

  private static func isAnothers(_ address: SocketAddress) -> ModuleError {
    ModuleError(
      .unavailable,
      "another call has DTLS with \(address) on this port (rtp_single_port), and what comes could be of either: "
        + "set \"rtp_single_port no\", or have calls with that peer use mediaenc srtp")
  }

  func run(_ exchange: any KeyExchange, of path: MediaPath, now: Instant) {
    while let action = exchange.nextAction() {
      switch consume action {
      case .send(let datagram, let address, let component):
        // Whose consent is gone is sent nothing.
        guard let address = path.handshakeDestination(address, component) else {
          self.sendFailures += 1
          continue
        }
        datagram.withRawSpan { self.send($0, to: address, on: path, component) }
      case .secured(let component, let inbound, let outbound, let by):
        self.secured(path, exchange, component, inbound, outbound, by, now: now)
      case .failed(let reason): self.failed(path, exchange, ModuleError(.peer, reason), now: now)
      case .closed: if path === self.path, exchange === path.associations.current { self.outbox.post(.peerLeft) }
      }
    }
    path.noteDeadline()
  }

  /// Inbound first: nothing may be sent under a new key before the peer's packets under it can be read. A client sends
  /// under its new key at once, for the server has it; the server when it hears the client under its own, which tells
  /// that the client has our last flight.
  private func secured(
    _ path: MediaPath, _ exchange: any KeyExchange, _ component: Component, _ inbound: consuming SRTPKeyMaterial,
    _ outbound: consuming SRTPKeyMaterial, _ by: SecuredBy, now: Instant
  ) {
    guard !self.isOvertaken(path, component) else { return }
    let isNext = path === self.nextPath
    let follows = path.associations.follows(exchange)
    // Where RTP's new keys are in use already, nothing more comes to tell that RTCP's may be.
    let isLate = path.associations.hasSecured(.rtp, by: exchange) && !self.keys.isRekeying
    let components: [Component] = self.keys.isPerComponent ? [.rtp, .rtcp] : [.rtp]
    let isNewest = path.associations.secure(component, by: exchange, of: components, now: now)
    defer {
      self.expectKeys(on: path)
      self.drainParked(of: path, now: now)
    }
    guard isNewest else {
      // What the peer sent before it had the newer ones may be here, or on its way.
      do { try self.keys.installFormerInbound(inbound, for: component, now: now) } catch {
        self.fail(ModuleError(.peer, "\(error)"))
      }
      return
    }
    do {
      try self.keys.installInbound(inbound, .fresh, for: component, now: now)
      try self.keys.installOutbound(
        outbound, .fresh, for: component, switchNow: !(isNext || follows) || by.isClient || isLate)
    } catch {
      self.fail(ModuleError(.peer, "\(error)"))
      return
    }
    path.secure(component)
    path.learn(by.source, component, now: now)
    self.securedBy = by
    if case .rtp = component {
      if isNext, by.isClient { self.switchPaths() }
      self.reportSecure()
    }
  }

  /// On the same path RTCP under the new keys may be here before them: the server can't know that we have its last flight.
  private func expectKeys(on path: MediaPath) {
    self.keys.expectsInbound = path.associations.isHandshaking
  }

  private func failed(_ path: MediaPath, _ exchange: any KeyExchange, _ error: ModuleError, now: Instant) {
    if path === self.nextPath {
      // The old keys stay at work.
      self.closeNext()
      self.outbox.post(.rekeyFailed(error))
    } else if exchange === path.associations.next {
      self.withdrawNextAssociation(of: path, now: now)
      if path === self.path { self.outbox.post(.rekeyFailed(error)) }
    } else if exchange !== path.associations.current {
      path.associations.remove(exchange)
      self.formerIsGone(from: path, now: now)
    } else if path === self.path {
      self.fail(error)
    }
  }

  /// The next association on this path will not be: its offer was refused, or its handshake failed.
  private func withdrawNextAssociation(of path: MediaPath, now: Instant) {
    guard path.associations.next != nil else { return }
    path.associations.withdrawNext()
    path.pendingHandshake = nil
    self.expectKeys(on: path)
    self.drainParked(of: path, now: now)
    path.noteDeadline()
  }

  /// A former association was let go: when it was the last whose keys could still come, none are expected any more.
  private func formerIsGone(from path: MediaPath, now: Instant) {
    guard path === self.path else { return }
    self.expectKeys(on: path)
    self.drainParked(of: path, now: now)
  }

  /// Whether a newer association has its keys already: those of a handshake that was under way for so long must not take
  /// their place, for the peer uses the newer ones.
  private func isOvertaken(_ path: MediaPath, _ component: Component) -> Bool {
    if path === self.nextPath { return false }
    return path !== self.path || self.nextPath?.isSecured(component) == true
  }

  func reportSecure() {
    guard !self.hasReportedSecure, let profile = self.keys.profile else { return }
    self.hasReportedSecure = true
    self.outputIsReady(now: self.context.now)
    self.outbox.post(.secured(SecurityReport(profile: profile, dtlsVersion: self.securedBy?.version)))
  }

  /// Whether packets that come to `path` can be opened. Those that outrun a new association's keys are parked: to the
  /// old keys they would be forgeries.
  func hasKeys(for path: MediaPath, _ component: Component) -> Bool {
    guard let owner = self.keys.inboundOwner(for: component) else { return false }
    return path.isSecured(owner) || path.associations.isEmpty
  }

  // MARK: Paths

  /// Every path that is open, the newest last.
  var paths: [MediaPath] { self.formerPaths + [self.path] + (self.nextPath.map { [$0] } ?? []) }

  func open(_ path: MediaPath) {
    path.open(in: self.context) { socket, port in { self.receive(on: path, socket, port) } }
    if self.delays != nil { path.stampArrivals(in: self.context) }
  }

  /// Listens on what the next association runs over; before the description leaves, for the peer may be quick.
  func openNext(_ ports: consuming MediaPorts) {
    self.closeNext()
    self.withdrawNextAssociation(of: self.path, now: self.context.now)
    let pair = ports.pair.take()
    let path = MediaPath(pair, further: ports.further.take())
    self.nextPath = path
    self.open(path)
  }

  /// Goes on with other sockets, to where the peer is now; keys that signalling brought don't mind.
  func move(to ports: consuming MediaPorts) {
    let pair = ports.pair.take()
    let path = MediaPath(pair, further: ports.further.take())
    (path.rtpSource, path.rtcpSource) = (self.path.rtpSource, self.path.rtcpSource)
    // What was checked was the way from the old ones.
    if self.path.connectivity != nil { path.awaitChecks() }
    self.close(self.path)
    self.path = path
    self.open(path)
  }

  /// The offer was refused, or the handshake failed: what is in force stays.
  func closeNext() {
    guard let path = self.nextPath else { return }
    self.nextPath = nil
    self.close(path)
  }

  /// A packet was authenticated that came to `path`.
  func heard(on path: MediaPath) {
    guard let nextPath, path === nextPath else { return }
    self.isUnsettled = true
    if !self.keys.hasPending { self.switchPaths() }
  }

  private func switchPaths() {
    guard let next = self.nextPath else { return }
    self.path.end = self.context.now.advanced(byMilliseconds: Self.longestLinger)
    self.formerPaths.append(self.path)
    self.path = next
    self.nextPath = nil
    if self.formerPaths.count > Self.maximumFormerPaths { self.close(self.formerPaths.removeFirst()) }
  }

  /// The newest keys are in use both ways: what is under way on older paths has three round trips left.
  func peerUsesNewKeys(now: Instant) {
    let grace = min(max((self.keys.roundTrip ?? .zero) * 3, .milliseconds(500)), .seconds(3))
    for path in self.formerPaths { path.end = min(path.end ?? now, now.advanced(by: grace)) }
    self.path.associations.endFormer(within: grace, now: now)
    self.path.noteDeadline()
  }

  private func close(_ path: MediaPath) {
    self.releaseRelays(of: path, now: self.context.now)
    path.close(in: self.context)
    path.countUnkeyed(in: &self.drops)
    self.drops.noKey += path.waiting
    self.closedUnsent += path.unsent
    self.closedExchanges.add(path.associations.counters)
    if let counters = path.connectivity?.counters { self.closedChecks.add(counters) }
  }

  func timeoutPaths(now: Instant) {
    self.timeout(self.path, now: now)
    if let next = self.nextPath { self.timeout(next, now: now) }
    guard !self.formerPaths.isEmpty else { return }
    for path in self.formerPaths { self.timeout(path, now: now) }
    while let oldest = self.formerPaths.first, let end = oldest.end, end <= now {
      self.close(self.formerPaths.removeFirst())
    }
  }

  private func timeout(_ path: MediaPath, now: Instant) {
    guard let deadline = path.nextDeadline, deadline <= now else { return }
    for exchange in path.associations.all {
      guard let deadline = exchange.nextDeadline, deadline <= now else { continue }
      exchange.timeout(now: now)
      self.run(exchange, of: path, now: now)
    }
    if path.associations.timeout(now: now) { self.formerIsGone(from: path, now: now) }
    if let deadline = path.connectivity?.nextDeadline, deadline <= now {
      path.connectivity?.timeout(now: now)
      self.runChecks(of: path, now: now)
    }
    path.timeoutParked(now: now)
  }

  var pathDeadline: Instant? {
    var next = self.path.nextDeadline
    if let deadline = self.nextPath?.nextDeadline { next = min(next ?? deadline, deadline) }
    for path in self.formerPaths {
      if let deadline = path.nextDeadline { next = min(next ?? deadline, deadline) }
    }
    return next
  }

  var exchangeCounters: KeyExchangeCounters {
    var sum = self.closedExchanges
    for path in self.paths { sum.add(path.associations.counters) }
    return sum
  }

  func drainParked(of path: MediaPath, now: Instant) {
    guard self.isConfigured, path.waiting > 0 else { return }
    for component in Component.allCases {
      var waiting = path.takeParked(component)
      waiting.drain(now: now) { packet, source, arrival in
        // A round trip is reckoned from when a report came, not from when its key did.
        let isReport = PacketClass(packet.bytes) == .rtcp
        // Which pair it came to is of no interest to anything but checks, and these are not parked.
        self.receive(&packet, from: source, on: path, MediaSocket(component), now: isReport ? arrival : now)
      }
      self.drops.add(waiting.counters)
    }
  }
}
