import NetBase
import SIPStack
import TestSupport
import ice

@testable import ICEAgent

/// Two agents, their NATs, a STUN and TURN server and the way between them, on one virtual clock.
final class ICERun {
  final class Agent {
    let bases: [ICEBase]
    let session: ICESession
    var actions: [ICEAction] = []
    var candidates: [ICECandidate] = []
    var remoteSetAt: Instant?
    var endedAt: Instant?
    var gatheredAt: Instant?
    /// Datagrams that were handed to the session.
    var handed = 0
    /// What came of the other's data, by component.
    var heard: [Int: SocketAddress] = [:]

    init(bases: [ICEBase], session: ICESession) { (self.bases, self.session) = (bases, session) }
  }

  enum Happening {
    case arrives([UInt8], from: SocketAddress, at: SocketAddress)
    case does((ICERun) -> Void)
  }

  let scenario: ICEScenario
  private(set) var now = Instant(nanoseconds: 1_000_000_000)
  var agents: [Agent?] = [nil, nil]
  var nats: [ModelledNAT?] = [nil, nil]
  var dice: SeededGenerator
  var isCut = false
  /// To servers, in the order of their ports.
  var connections: [Connection] = []
  var nextConnection: UInt16 = 20_000
  var refusesConnections = false
  /// How often each host got another address.
  var moves: [UInt32] = [0, 0]
  var server = ModelledServer()
  private var happenings: [(at: Instant, number: Int, what: Happening)] = []
  private var number = 0
  /// Each datagram that leaves, before the network loses it.
  var onSend: ((_ agent: Int, _ bytes: [UInt8], _ to: SocketAddress) -> Void)?

  init(_ scenario: ICEScenario, seed: UInt64) {
    self.scenario = scenario
    self.dice = SeededGenerator(seed: seed)
    self.server.asksForBinding = scenario.needsCredentials
    self.server.isModern = scenario.hasModernServer
    for index in 0..<2 {
      let kind = scenario.sides[index].nat
      guard kind != .none, kind != .blocked else { continue }
      self.nats[index] = ModelledNAT(
        kind: kind, address: SocketAddress(ipv4: 0xCB00_7101 + UInt32(index), port: 0),
        isHairpinning: scenario.isHairpinning)
    }
  }

  var isOneNAT: Bool { self.scenario.place != .apart }
  private func natIndex(_ agent: Int) -> Int { self.isOneNAT ? 0 : agent }

  func after(_ milliseconds: Int64, _ body: @escaping (ICERun) -> Void) {
    self.schedule(milliseconds, .does(body))
  }

  func schedule(_ milliseconds: Int64, _ what: Happening) {
    self.number += 1
    self.happenings.append((self.now.advanced(byMilliseconds: milliseconds), self.number, what))
  }

  // MARK: Agents

  func makeAgent(_ index: Int) -> Agent {
    let side = self.scenario.sides[index]
    let place = UInt32(index) + self.moves[index] * 16
    let host =
      side.nat == .none
      ? 0xC000_0201 + place : 0x0A00_0002 + place + (self.isOneNAT ? 0 : UInt32(index) << 16)
    var bases: [ICEBase] = []
    for component in 1...self.scenario.components {
      let port = UInt16(5_000 + 2 * index + component)
      bases.append(
        ICEBase(component: component, address: SocketAddress(ipv4: host, port: port), localPreference: 65_534))
      if side.hasIPv6 {
        bases.append(
          ICEBase(
            component: component, address: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, UInt64(place + 1), port: port)))
      }
    }
    var configuration = ICEConfiguration(crypto: .openSSL)
    configuration.isLite = side.isLite
    configuration.tellsHostCandidates = side.tellsHostCandidates
    configuration.isRelayOnly = side.isRelayOnly
    if side.hasRelay { configuration.gatheringLimit = side.gatheringLimit }
    if side.hasServer {
      configuration.servers = [ModelledServer.ipv4, ModelledServer.ipv6].map {
        ICEServer(
          side.hasRelay ? .turn : .stun, over: side.transport, address: $0, username: ModelledServer.user,
          password: STUNSecret(side.password))
      }
    }
    let agent = Agent(
      bases: bases,
      session: ICESession(
        configuration, bases: bases, role: self.scenario.roles[index], random: SeededGenerator(seed: self.dice.next()),
        now: self.now))
    self.agents[index] = agent
    self.drain(index)
    return agent
  }

  func drain(_ index: Int) {
    guard let agent = self.agents[index] else { return }
    while let action = agent.session.takeAction() {
      agent.actions.append(action)
      switch action {
      case .send(let bytes, let base, let destination):
        self.onSend?(index, bytes, destination)
        self.send(bytes, from: agent.bases[base].address, of: index, to: destination)
      case .connect(let link, let base, let server): self.connect(link, base: base, to: server, of: index)
      case .sendOver(let link, let bytes): self.send(bytes, over: link, of: index)
      case .disconnect(let link): self.connections.removeAll { $0.link == link && $0.agent == index }
      case .localCandidate(let candidate): agent.candidates.append(candidate)
      case .connected, .failed: agent.endedAt = self.now
      case .gatheringEnded: agent.gatheredAt = self.now
      case .validated, .selected, .unselected, .roleChanged, .framingChanged: break
      }
    }
  }

  /// Sends a datagram of media over a pair, by its relay where it has one.
  func send(_ bytes: [UInt8], over pair: ICESelectedPair, of index: Int) {
    guard let agent = self.agents[index] else { return }
    guard let framing = agent.session.framing(pair) else {
      return self.send(bytes, from: agent.bases[pair.base].address, of: index, to: pair.remote)
    }
    var room = [UInt8](repeating: 0, count: 2048)
    let count = bytes.withRawSpan { bytes in
      room.withPacket(count: 0) { packet in framing.frame(bytes, in: &packet) ? packet.count : 0 }
    }
    if let link = framing.link { return self.send(Array(room[..<count]), over: link, of: index) }
    let socket = agent.bases[self.socket(of: pair, agent)]
    self.send(Array(room[..<count]), from: socket.address, of: index, to: framing.server)
  }

  /// The socket that a relayed pair's datagrams leave.
  private func socket(of pair: ICESelectedPair, _ agent: Agent) -> Int {
    let family = agent.session.bases[pair.base].address.family
    return agent.bases.firstIndex { $0.component == pair.component && $0.address.family == family } ?? 0
  }

  // MARK: The network

  /// - Parameter index: whose socket it leaves; nil for someone on the open network.
  func send(_ bytes: [UInt8], from source: SocketAddress, of index: Int?, to destination: SocketAddress) {
    guard !self.isCut, Int.random(in: 0..<1000, using: &self.dice) >= self.scenario.loss else { return }
    let delay = Int64.random(in: self.scenario.delay, using: &self.dice)
    guard destination.family == .ipv4, let index else {
      return self.schedule(delay, .arrives(bytes, from: source, at: destination))
    }
    guard self.scenario.sides[index].nat != .blocked else { return }
    let nat = self.natIndex(index)
    guard self.nats[nat] != nil, self.scenario.sides[index].nat != .none else {
      // A private address leads nowhere on the open network.
      guard destination.high >> 56 != 10 else { return }
      return self.schedule(delay, .arrives(bytes, from: source, at: destination))
    }
    if destination.high >> 56 == 10 {
      guard self.scenario.place == .sameNetwork else { return }
      return self.schedule(delay, .arrives(bytes, from: source, at: destination))
    }
    if let address = self.nats[nat]?.address, destination.isSameHost(as: address), !self.scenario.isHairpinning {
      return
    }
    guard let outside = self.nats[nat]?.leave(source, to: destination) else { return }
    self.schedule(delay, .arrives(bytes, from: outside, at: destination))
  }

  private func arrive(_ bytes: [UInt8], from source: SocketAddress, at destination: SocketAddress) {
    if self.server.isHere(destination) {
      for datagram in self.server.receive(bytes, from: source, at: destination, now: self.now) {
        self.send(datagram.bytes, from: datagram.source, of: nil, to: datagram.destination)
      }
      return
    }
    var inside = destination
    for nat in self.nats.compactMap({ $0 }) where destination.isSameHost(as: nat.address) {
      guard let found = nat.enter(destination, from: source) else { return }
      inside = found
    }
    if self.arrive(bytes, overConnectionOf: inside) { return }
    for index in 0..<2 {
      guard let agent = self.agents[index], let base = agent.bases.firstIndex(where: { $0.address == inside }) else {
        continue
      }
      var relayed: RelayedDatagram?
      switch bytes.withRawSpan({ agent.session.unwrap($0, from: source, base: base) }) {
      case .notRelayed: break
      case .refused: return
      case .relayed(let datagram): relayed = datagram
      }
      let inner = relayed.map { Array(bytes[$0.payload]) } ?? bytes
      let sender = relayed?.peer ?? source
      if inner.first == 128 {
        agent.heard[agent.bases[base].component] = sender
      } else {
        agent.handed += 1
        inner.withRawSpan { agent.session.receive($0, from: sender, base: relayed?.base ?? base, now: self.now) }
        self.drain(index)
      }
    }
  }

  // MARK: Time

  /// Jumps to whatever comes next, until `end` or nothing is left.
  func run(milliseconds: Int64, until isDone: () -> Bool = { false }) {
    let end = self.now.advanced(byMilliseconds: milliseconds)
    while !isDone() {
      var next = end
      for agent in self.agents { if let due = agent?.session.nextDeadline { next = min(next, due) } }
      let happening = self.happenings.indices.min {
        (self.happenings[$0].at, self.happenings[$0].number) < (self.happenings[$1].at, self.happenings[$1].number)
      }
      if let happening { next = min(next, self.happenings[happening].at) }
      self.now = max(self.now, next)
      guard self.now < end else { return }
      if let happening, self.happenings[happening].at <= self.now {
        switch self.happenings.remove(at: happening).what {
        case .arrives(let bytes, let source, let destination): self.arrive(bytes, from: source, at: destination)
        case .does(let body): body(self)
        }
        continue
      }
      for index in 0..<2 {
        guard let agent = self.agents[index], let due = agent.session.nextDeadline, due <= self.now else { continue }
        agent.session.timeout(now: self.now)
        self.drain(index)
      }
    }
  }
}
