import NetBase
import SIPStack
import ice

@testable import ICEAgent

/// Two agents, their NATs, a STUN server and the way between them, on one virtual clock.
final class ICERun {
  final class Agent {
    let bases: [ICEBase]
    let session: ICESession
    var actions: [ICEAction] = []
    var candidates: [ICECandidate] = []
    var remoteSetAt: Instant?
    var endedAt: Instant?
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

  static let server4 = SocketAddress(ipv4: 0xC633_6401, port: 3478)
  static let server6 = SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 0x53, port: 3478)
  static let userPassword = ("apus", "secret")

  let scenario: ICEScenario
  private(set) var now = Instant(nanoseconds: 1_000_000_000)
  var agents: [Agent?] = [nil, nil]
  var nats: [ModelledNAT?] = [nil, nil]
  var dice: SeededGenerator
  var isCut = false
  private var happenings: [(at: Instant, number: Int, what: Happening)] = []
  private var number = 0
  /// Each datagram that leaves, before the network loses it.
  var onSend: ((_ agent: Int, _ bytes: [UInt8], _ to: SocketAddress) -> Void)?

  init(_ scenario: ICEScenario, seed: UInt64) {
    self.scenario = scenario
    self.dice = SeededGenerator(seed: seed)
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

  private func schedule(_ milliseconds: Int64, _ what: Happening) {
    self.number += 1
    self.happenings.append((self.now.advanced(byMilliseconds: milliseconds), self.number, what))
  }

  // MARK: Agents

  func makeAgent(_ index: Int) -> Agent {
    let side = self.scenario.sides[index]
    let host =
      side.nat == .none
      ? 0xC000_0201 + UInt32(index) : self.isOneNAT ? 0x0A00_0002 + UInt32(index) : 0x0A00_0002 + UInt32(index) << 16
    var bases: [ICEBase] = []
    for component in 1...self.scenario.components {
      let port = UInt16(5_000 + 2 * index + component)
      bases.append(
        ICEBase(component: component, address: SocketAddress(ipv4: host, port: port), localPreference: 65_534))
      if side.hasIPv6 {
        bases.append(
          ICEBase(
            component: component, address: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, UInt64(index + 1), port: port)))
      }
    }
    var configuration = ICEConfiguration(crypto: .openSSL)
    configuration.isLite = side.isLite
    configuration.tellsHostCandidates = side.tellsHostCandidates
    if side.hasServer {
      let (user, password) = Self.userPassword
      configuration.servers = [Self.server4, Self.server6].map {
        ICEServer(address: $0, username: user, password: password)
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
      case .localCandidate(let candidate): agent.candidates.append(candidate)
      case .connected, .failed: agent.endedAt = self.now
      case .gatheringEnded, .validated, .selected, .roleChanged: break
      }
    }
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
    if destination == Self.server4 || destination == Self.server6 {
      return self.serve(bytes, from: source, at: destination)
    }
    var inside = destination
    for nat in self.nats.compactMap({ $0 }) where destination.isSameHost(as: nat.address) {
      guard let found = nat.enter(destination, from: source) else { return }
      inside = found
    }
    for index in 0..<2 {
      guard let agent = self.agents[index], let base = agent.bases.firstIndex(where: { $0.address == inside }) else {
        continue
      }
      if bytes.first == 128 {
        agent.heard[agent.bases[base].component] = source
      } else {
        agent.handed += 1
        bytes.withRawSpan { agent.session.receive($0, from: source, base: base, now: self.now) }
        self.drain(index)
      }
    }
  }

  private func serve(_ bytes: [UInt8], from source: SocketAddress, at server: SocketAddress) {
    guard let request = bytes.withRawSpan({ STUNMessage($0) }), request.messageClass == .request else { return }
    let (user, password) = Self.userPassword
    let realm = "example.org"
    let text = Array("\(user):\(realm):\(password)".utf8)
    let key = text.withRawSpan { STUNCrypto.openSSL.digest(.sha256, $0) }
    var answer: STUNWriter
    if self.scenario.needsCredentials, !request.isAuthentic(key: key, crypto: .openSSL) {
      answer = STUNWriter(.failure, id: request.id)
      answer.addError(401, "Unauthenticated")
      answer.add(STUNType.realm, realm)
      answer.add(STUNType.nonce, "obMatJos2AAAAA")
      answer.add(STUNType.passwordAlgorithms, [0, 1, 0, 0, 0, 2, 0, 0])
    } else {
      answer = STUNWriter(.success, id: request.id)
      answer.addMapped(source)
      if self.scenario.needsCredentials { answer.addIntegrity(.sha256, key: key, crypto: .openSSL) }
    }
    answer.addFingerprint()
    self.send(answer.bytes, from: server, of: nil, to: source)
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
