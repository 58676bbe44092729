internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import Runtime

/// Relays that are asked over a connection: what comes over it is treated as what comes to the path's sockets.
extension MediaTransport {
  func connect(_ link: RelayLink, _ connection: RelayConnection, of path: MediaPath, now: Instant) {
    do throws(ModuleError) {
      try path.connect(link, connection, in: self.context) {
        self.read(path, link)
        self.settle()
      }
    } catch { path.connectivity?.disconnected(link, error.message, now: now) }
  }

  /// Reads what there is, within reason: the loop calls again where that was not all.
  func read(_ path: MediaPath, _ link: RelayLink) {
    var reads = 0
    while self.isRunning, path.isOpen, let stream = path.stream(link) {
      let step = stream.step(isReading: reads < 8)
      reads += 1
      let now = self.context.now
      // Between the receive and its first packet, as with a socket.
      self.obey()
      switch step {
      case .idle: return
      case .read: self.take(from: stream, on: path, link, now: now)
      case .connected: path.connectivity?.connected(link, now: now)
      case .ended(let reason):
        path.disconnect(link)
        path.connectivity?.disconnected(link, reason, now: now)
      }
      if self.isClosing { self.sendRelease(of: path) } else { self.runChecks(of: path, now: now) }
    }
  }

  private func take(from stream: RelayStream, on path: MediaPath, _ link: RelayLink, now: Instant) {
    var isWhole = true
    while isWhole, self.isRunning, path.isOpen, path.stream(link) === stream {
      isWhole = stream.withMessage { self.receive(&$0, on: path, over: link, stream.component, now: now) }
    }
    let tooLong = stream.takeTooLong()
    self.received += tooLong
    self.drops.unknown += tooLong
  }

  private func receive(
    _ message: inout Packet, on path: MediaPath, over link: RelayLink, _ component: Component, now: Instant
  ) {
    let isOwn = if case .stun = PacketClass(message.bytes) { true } else { false }
    // What is not a server's own comes too late, as on a closed socket.
    guard !self.isClosing || isOwn else { return }
    self.received += 1
    guard let connectivity = path.connectivity else {
      self.drops.unknown += 1
      return
    }
    guard !self.isClosing else { return connectivity.receive(message.bytes, over: link, now: now) }
    switch connectivity.unwrap(message.bytes, over: link) {
    case .relayed(let datagram): self.receive(datagram, within: &message, on: path, MediaSocket(component), now: now)
    case .refused: break
    case .notRelayed where isOwn: connectivity.receive(message.bytes, over: link, now: now)
    case .notRelayed: self.drops.unknown += 1
    }
  }
}
