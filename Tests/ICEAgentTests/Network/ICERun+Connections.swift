import NetBase

@testable import ICEAgent

/// Connections to servers: nothing of them is lost, and what comes is cut anywhere.
extension ICERun {
  final class Connection {
    let agent: Int
    let link: RelayLink
    let component: Int
    let address: SocketAddress
    let server: SocketAddress
    var reader = TURNStreamReader()
    /// Lengths of what was sent.
    var sent: [Int] = []

    init(_ link: RelayLink, of agent: Int, component: Int, from address: SocketAddress, to server: SocketAddress) {
      (self.link, self.agent, self.component) = (link, agent, component)
      (self.address, self.server) = (address, server)
    }
  }

  func connect(_ link: RelayLink, base: Int, to server: ICEServer, of index: Int) {
    guard let agent = self.agents[index] ?? nil else {
      return self.after(0) { run in run.connect(link, base: base, to: server, of: index) }
    }
    let base = agent.bases[base]
    let connection = Connection(
      link, of: index, component: base.component, from: base.address.with(port: self.nextConnection),
      to: server.address)
    self.nextConnection += 1
    self.connections.append(connection)
    self.after(2 * self.scenario.delay.upperBound) { run in
      if run.refusesConnections {
        run.disconnect(connection, "refuses the connection")
      } else {
        agent.session.connected(link, now: run.now)
      }
      run.drain(index)
    }
  }

  /// The server ends a connection, or something between the two does.
  func disconnect(_ connection: Connection, _ reason: String = "has closed the connection") {
    self.connections.removeAll { $0 === connection }
    self.agents[connection.agent]?.session.disconnected(connection.link, reason, now: self.now)
    self.drain(connection.agent)
  }

  func send(_ bytes: [UInt8], over link: RelayLink, of index: Int) {
    guard let connection = self.connections.first(where: { $0.link == link && $0.agent == index }) else { return }
    connection.sent.append(bytes.count)
    let nat = self.isOneNAT ? 0 : index
    let source = self.nats[nat]?.leave(connection.address, to: connection.server) ?? connection.address
    self.schedule(
      self.scenario.delay.upperBound, .arrives(bytes, from: source, at: connection.server))
  }

  /// False where it is for no connection.
  func arrive(_ bytes: [UInt8], overConnectionOf address: SocketAddress) -> Bool {
    guard let connection = self.connections.first(where: { $0.address == address }) else { return false }
    guard let agent = self.agents[connection.agent] else { return true }
    // A server pads what has no end of its own.
    let padding = (64..<80).contains(bytes[0]) ? (4 - bytes.count % 4) % 4 : 0
    let all = bytes + [UInt8](repeating: 0, count: padding)
    var messages: [[UInt8]] = []
    for half in [all[..<(all.count / 2)], all[(all.count / 2)...]] {
      _ = connection.reader.fill { room, offset in
        room.replaceSubrange(offset..<(offset + half.count), with: half)
        return half.count
      }
      while connection.reader.withNext({ messages.append($0.bytes.copied()) }) {}
    }
    for message in messages {
      switch message.withRawSpan({ agent.session.unwrap($0, over: connection.link) }) {
      case .refused: break
      case .notRelayed:
        agent.handed += 1
        message.withRawSpan { agent.session.receive($0, over: connection.link, now: self.now) }
      case .relayed(let datagram):
        let inner = Array(message[datagram.payload])
        if inner.first == 128 {
          agent.heard[connection.component] = datagram.peer
        } else {
          agent.handed += 1
          inner.withRawSpan {
            agent.session.receive($0, from: datagram.peer, base: datagram.base, now: self.now)
          }
        }
      }
      self.drain(connection.agent)
    }
    return true
  }
}
