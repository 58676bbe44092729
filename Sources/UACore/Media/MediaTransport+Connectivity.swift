internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SRTPEngine

/// Connectivity checks: whatever else a path carries waits for them.
extension MediaTransport {
  func obey(_ command: consuming ConnectivityCommand) {
    let now = self.context.now
    let path = self.nextPath ?? self.path
    switch consume command {
    case .begin(let make): path.begin(make(now))
    case .remote(let remote): path.check(remote, now: now)
    case .expect(let local): path.connectivity?.expect(local)
    case .restart(let local, let remote): path.connectivity?.restart(local, remote, now: now)
    case .withdraw:
      self.releaseRelays(of: path, now: now)
      if let counters = path.connectivity?.counters { self.closedChecks.add(counters) }
      path.endChecks(in: self.context)
      self.startHandshake(on: path, now: now)
    }
    path.claimFragments()
    self.runChecks(of: path, now: now)
  }

  /// A relay's datagram has the peer's within, or is dropped and counted by the checks; false for all else.
  func receiveRelayed(
    _ packet: inout Packet, from source: SocketAddress, on path: MediaPath, _ socket: MediaSocket, now: Instant
  ) -> Bool {
    let relayed: RelayedDatagram
    switch path.connectivity?.unwrap(packet.bytes, from: source, on: socket) {
    case nil, .notRelayed: return false
    case .refused: return true
    case .relayed(let datagram): relayed = datagram
    }
    self.receive(relayed, within: &packet, on: path, socket, now: now)
    return true
  }

  /// What a relay has passed on, in the packet that it came in.
  func receive(
    _ relayed: RelayedDatagram, within packet: inout Packet, on path: MediaPath, _ socket: MediaSocket, now: Instant
  ) {
    packet.narrow(to: relayed.payload)
    switch PacketClass(packet.bytes) {
    case .stun: self.receiveCheck(packet, from: relayed.peer, on: path, socket, in: relayed, now: now)
    case .turnChannel, .unknown: self.drops.unknown += 1
    case .dtls, .rtp, .rtcp: self.receive(&packet, from: relayed.peer, on: path, socket, now: now)
    }
  }

  func receiveCheck(
    _ packet: borrowing Packet, from source: SocketAddress, on path: MediaPath, _ socket: MediaSocket,
    in relayed: RelayedDatagram? = nil, now: Instant
  ) {
    guard let connectivity = path.connectivity else {
      self.drops.unknown += 1
      return
    }
    connectivity.receive(packet.bytes, from: source, on: socket, in: relayed, now: now)
    if relayed == nil, socket.pair == 0 { path.claimValidated(source) }
    self.runChecks(of: path, now: now)
  }

  func runChecks(of path: MediaPath, now: Instant) {
    while let action = path.connectivity?.nextAction() {
      switch action {
      case .send, .sendOver, .connect, .disconnect: self.carryOut(action, on: path, now: now)
      case .routeChanged: self.follow(path, now: now)
      case .gathered(let report): self.outbox.post(.gathered(report))
      case .connected(let report): self.outbox.post(.connected(report))
      case .failed(let reason):
        path.followChecks()
        if path === self.path {
          self.fail(ModuleError(.peer, reason))
        } else if path === self.nextPath {
          // The old way stays in use.
          self.closeNext()
          self.outbox.post(.rekeyFailed(ModuleError(.peer, reason)))
        }
      }
    }
    path.noteDeadline()
  }

  /// Gives back what servers relay for a path that ends.
  func releaseRelays(of path: MediaPath, now: Instant) {
    path.connectivity?.close(now: now)
    self.sendRelease(of: path)
  }

  /// An answer of a server's, after `releaseRelays`; all else comes too late, and is as if nobody listened.
  func receiveRelease(
    _ packet: borrowing Packet, from source: SocketAddress, on path: MediaPath, _ socket: MediaSocket, now: Instant
  ) {
    guard case .stun = PacketClass(packet.bytes), let connectivity = path.connectivity else { return }
    self.received += 1
    connectivity.receive(packet.bytes, from: source, on: socket, in: nil, now: now)
    self.sendRelease(of: path)
  }

  func timeoutRelease(of path: MediaPath, now: Instant) {
    guard let deadline = path.connectivity?.nextDeadline, deadline <= now else { return }
    path.connectivity?.timeout(now: now)
    self.sendRelease(of: path)
  }

  func sendRelease(of path: MediaPath) {
    while let action = path.connectivity?.nextAction() { self.carryOut(action, on: path, now: self.context.now) }
  }

  /// What asks for nothing but to be sent, and where.
  private func carryOut(_ action: ConnectivityAction, on path: MediaPath, now: Instant) {
    switch action {
    case .send(let datagram, let address, let socket):
      datagram.withRawSpan { self.sendCheck($0, to: address, on: path, socket) }
    case .sendOver(let link, let message): self.note(message.withRawSpan { path.send($0, over: link) })
    case .connect(let link, let connection): self.connect(link, connection, of: path, now: now)
    case .disconnect(let link): path.disconnect(link)
    case .routeChanged, .gathered, .connected, .failed: break
    }
  }

  /// There is a way, or another one.
  private func follow(_ path: MediaPath, now: Instant) {
    path.followChecks()
    self.startHandshake(on: path, now: now)
    if path === self.path { self.outputIsReady(now: now) }
  }

  var checkCounters: ConnectivityCounters {
    var sum = self.closedChecks
    for path in self.paths {
      if let counters = path.connectivity?.counters { sum.add(counters) }
    }
    return sum
  }
}
