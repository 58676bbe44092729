internal import NetBase
internal import SIPStack

/// One connection between two agents: in order and without loss until it breaks.
final class FlowConnection {
  let flow: SIPFlow
  /// Who opened it, and who accepted.
  let ends: [(agent: Int, generation: UInt64, address: SocketAddress)]
  /// Whether each end takes it for open.
  var isOpen = [true, true]
  /// Nothing arrives any more, whatever the ends think.
  var isBroken = false
  /// When the last message to each end arrives.
  var lastArrival = [Instant(nanoseconds: 0), Instant(nanoseconds: 0)]

  init(_ flow: SIPFlow, _ ends: [(agent: Int, generation: UInt64, address: SocketAddress)]) {
    (self.flow, self.ends) = (flow, ends)
  }
}

extension FlowNetwork {
  /// Sends one message over a connection: the one that the path names, one that is open, or a new one.
  func stream(_ bytes: [UInt8], _ path: SIPPath, from sender: FlowAgent) {
    guard let (connection, end) = self.connection(path, of: sender) else { return }
    guard !connection.isBroken else { return }
    let other = 1 - end
    let spread = self.dice.roll(0...self.faults.jitter)
    let arrival = max(connection.lastArrival[other], self.now.advanced(byMilliseconds: Int64(5 + spread)))
    connection.lastArrival[other] = arrival
    self.push(arrival) { [unowned self] in
      guard !connection.isBroken, connection.isOpen[other], let agent = self.live(connection, other) else { return }
      agent.receive(bytes, self.path(connection, other))
    }
    if self.faults.breaks, self.dice.chance(2) { self.sever(connection, tells: true) }
  }

  /// The agent at one end, if it is the one that had the connection.
  private func live(_ connection: FlowConnection, _ end: Int) -> FlowAgent? {
    let agent = self.agents[connection.ends[end].agent]
    return agent.isDead || agent.generation != connection.ends[end].generation ? nil : agent
  }

  private func path(_ connection: FlowConnection, _ end: Int) -> SIPPath {
    let own = connection.ends[end]
    let agent = self.agents[own.agent]
    return SIPPath(
      peer: connection.ends[1 - end].address, local: agent.traits.listens ? agent.address : own.address,
      transport: .tcp, flow: connection.flow)
  }

  private func connection(_ path: SIPPath, of sender: FlowAgent) -> (FlowConnection, end: Int)? {
    for connection in self.connections {
      for end in [0, 1] where connection.isOpen[end] && self.live(connection, end) === sender {
        let isMeant =
          path.flow.map { $0 == connection.flow } ?? (connection.ends[1 - end].address == path.peer)
        if isMeant { return (connection, end) }
      }
    }
    if path.flow != nil {
      self.after(0) { [unowned self] in
        if !sender.isDead { sender.endpoint.flowFailed(path, error: "closed", now: self.now) }
      }
      return nil
    }
    guard let peer = self.agent(at: path.peer) else {
      let generation = sender.generation
      self.after(self.dice.roll(1...3_000)) { [unowned self] in
        guard !sender.isDead, sender.generation == generation else { return }
        sender.endpoint.transportFailed(to: path.peer, transport: .tcp, error: "refused", now: self.now)
      }
      return nil
    }
    let number = self.connections.count + 1
    let local = sender.address.with(port: UInt16(40_000 + number % 20_000))
    let connection = FlowConnection(
      SIPFlow(number: UInt64(number)),
      [(sender.index, sender.generation, local), (peer.index, peer.generation, peer.address)])
    self.connections.append(connection)
    return (connection, 0)
  }

  /// Closes the connections that a path means, at an agent's end; the other is told in its own time.
  func close(_ path: SIPPath, of agent: FlowAgent) {
    for connection in self.connections {
      for end in [0, 1] where connection.isOpen[end] && self.live(connection, end) === agent {
        let isMeant = path.flow.map { $0 == connection.flow } ?? (connection.ends[1 - end].address == path.peer)
        guard isMeant else { continue }
        connection.isOpen[end] = false
        self.sever(connection, tells: true)
      }
    }
  }

  /// Breaks a connection; each end is told in its own time, or never.
  func sever(_ connection: FlowConnection, tells: Bool) {
    connection.isBroken = true
    guard tells else { return }
    for end in [0, 1] {
      self.after(self.dice.roll(0...3_000)) { [unowned self] in
        guard connection.isOpen[end] else { return }
        connection.isOpen[end] = false
        guard let agent = self.live(connection, end) else { return }
        agent.endpoint.flowFailed(self.path(connection, end), error: "reset", now: self.now)
      }
    }
  }
}
