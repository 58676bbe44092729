import ICEAgent
import NetBase
import TestSupport
import ice

/// A session of ICE with a server that relays and a peer, of whom the input has what is genuine, changed and forged.
final class RelayedSession {
  private static let own = SocketAddress(ipv4: 0x0A00_0001, port: 4000)
  private static let peer = SocketAddress(ipv4: 0x0A00_0002, port: 4000)
  private static let stranger = SocketAddress(ipv4: 0x0A00_0003, port: 4000)
  private static let peerCredentials: ICECredentials = {
    var random = SplitMix(state: 2)
    return ICECredentials(using: &random)
  }()

  private let session: ICESession
  private var server = ModelledServer()
  private var now = Instant(nanoseconds: 0)
  /// The session's connection to the server, where it has one.
  private var link: RelayLink?
  /// What the session has sent to the server, and to the peer from which address, and nobody has answered.
  private var requests: [[UInt8]] = []
  private var checks: [(bytes: [UInt8], source: SocketAddress)] = []
  private var given = 0

  /// The first byte says what session it is; then come commands, each with a piece.
  static func run(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let session = RelayedSession(reader.byte())
    var steps = 0
    while !reader.isAtEnd, steps < 48 {
      steps += 1
      session.take(reader.byte(), reader.piece())
      session.drain()
    }
    session.conclude()
  }

  private init(_ choice: UInt8) {
    var configuration = ICEConfiguration(crypto: .openSSL)
    configuration.isLite = choice & 3 == 3
    if !configuration.isLite {
      configuration.servers = [
        ICEServer(
          choice & 3 == 2 ? .stun : .turn, over: choice & 3 == 1 ? .tcp : .udp, address: ModelledServer.ipv4,
          username: ModelledServer.user, password: STUNSecret(ModelledServer.password))
      ]
    }
    self.server.isModern = choice & 4 == 0
    self.server.asksForBinding = choice & 8 != 0
    self.session = ICESession(
      configuration, bases: [ICEBase(component: 1, address: Self.own)],
      role: choice & 16 == 0 ? .controlling : .controlled, random: SplitMix(state: 1), now: self.now)
    self.drain()
    self.setRemote()
  }

  private func setRemote() {
    let candidate = ICECandidate(
      foundation: "1", component: 1, priority: 2_130_706_431, address: Self.peer, kind: .host)
    self.session.setRemote(ICERemote(credentials: Self.peerCredentials, candidates: [candidate]), now: self.now)
    self.drain()
  }

  private func take(_ command: UInt8, _ piece: [UInt8]) {
    switch command & 7 {
    case 0: self.give(piece, from: command & 8 == 0 ? Self.peer : Self.stranger)
    case 1: self.giveFromServer(piece)
    case 2:
      guard !self.requests.isEmpty else { return }
      self.pass(self.requests.removeFirst(), from: Self.own, to: ModelledServer.ipv4, changes: piece)
    case 3: self.answerCheck(changes: piece)
    case 4: self.sendFromPeer(self.check(nominates: command & 8 != 0), overRelay: command & 16 != 0, changes: piece)
    case 5: self.sendFromPeer(piece, overRelay: true, changes: [])
    case 6:
      if let candidate = try? ICECandidate(parsing: String(decoding: piece, as: UTF8.self)) {
        self.session.addRemote(candidate, now: self.now)
      } else if piece.isEmpty {
        self.session.restart(now: self.now)
        self.setRemote()
      }
    default:
      let due = command & 8 == 0 ? self.session.nextDeadline : nil
      self.now = max(self.now, due ?? self.now.advanced(byMilliseconds: Int64(command >> 4) * 500))
      self.session.timeout(now: self.now)
    }
  }

  // MARK: What comes to the session

  private func give(_ datagram: [UInt8], from source: SocketAddress, base: Int = 0) {
    self.given += 1
    datagram.withRawSpan { self.session.receive($0, from: source, base: base, now: self.now) }
  }

  /// What the owner of the socket, or of the connection, does with what the server sends.
  private func giveFromServer(_ datagram: [UInt8]) {
    let reading = datagram.withRawSpan { span -> RelayReading in
      guard let link = self.link else { return self.session.unwrap(span, from: ModelledServer.ipv4, base: 0) }
      return self.session.unwrap(span, over: link)
    }
    switch reading {
    case .refused: return
    case .relayed(let inner):
      require(inner.payload.upperBound <= datagram.count, "what was relayed reaches beyond its datagram")
      self.give(Array(datagram[inner.payload]), from: inner.peer, base: inner.base)
    case .notRelayed:
      guard let link = self.link else { return self.give(datagram, from: ModelledServer.ipv4) }
      self.given += 1
      datagram.withRawSpan { self.session.receive($0, over: link, now: self.now) }
    }
  }

  /// What the server makes of a datagram.
  private func pass(
    _ datagram: [UInt8], from source: SocketAddress, to destination: SocketAddress, changes: [UInt8]
  ) {
    for passed in self.server.receive(datagram, from: source, at: destination, now: self.now) {
      if passed.destination == Self.own {
        self.giveFromServer(Self.changed(passed.bytes, by: changes))
      } else if passed.destination == Self.peer {
        self.checks.append((passed.bytes, passed.source))
      }
    }
  }

  // MARK: The peer

  private func answerCheck(changes: [UInt8]) {
    guard !self.checks.isEmpty else { return }
    let (bytes, source) = self.checks.removeFirst()
    guard let check = bytes.withRawSpan({ STUNMessage($0) }), check.messageClass == .request else { return }
    var answer = STUNWriter(.success, id: check.id)
    answer.addMapped(source)
    answer.addIntegrity(key: Array(Self.peerCredentials.password.utf8), crypto: .openSSL)
    answer.addFingerprint()
    self.sendFromPeer(answer.bytes, overRelay: source != Self.own, changes: changes)
  }

  private func check(nominates: Bool) -> [UInt8] {
    let own = self.session.local
    var check = STUNWriter(.request, id: STUNTransactionID(high: 1, low: UInt64(self.given)))
    check.add(STUNType.username, "\(own.fragment):\(Self.peerCredentials.fragment)")
    check.add(STUNType.priority, UInt32(1_862_270_975))
    check.add(self.session.role == .controlling ? STUNType.controlled : STUNType.controlling, UInt64(1))
    if nominates { check.add(STUNType.useCandidate, [UInt8]()) }
    check.addIntegrity(key: Array(own.password.utf8), crypto: .openSSL)
    check.addFingerprint()
    return check.bytes
  }

  private func sendFromPeer(_ datagram: [UInt8], overRelay: Bool, changes: [UInt8]) {
    guard overRelay else { return self.give(Self.changed(datagram, by: changes), from: Self.peer) }
    guard let relayed = self.session.localCandidates.first(where: { $0.kind == .relayed }) else { return }
    self.pass(Self.changed(datagram, by: changes), from: Self.peer, to: relayed.address, changes: [])
  }

  /// The changes are a list of places and values.
  private static func changed(_ datagram: [UInt8], by changes: [UInt8]) -> [UInt8] {
    guard !datagram.isEmpty else { return datagram }
    var datagram = datagram
    for change in stride(from: 0, to: max(0, changes.count - 2), by: 3) {
      datagram[(Int(changes[change]) << 8 | Int(changes[change + 1])) % datagram.count] ^= changes[change + 2]
    }
    return datagram
  }

  // MARK: What the session wants

  private func drain() {
    while let action = self.session.takeAction() {
      switch action {
      case .send(let bytes, _, let destination):
        if destination == ModelledServer.ipv4 {
          self.requests.append(bytes)
        } else if destination == Self.peer {
          self.checks.append((bytes, Self.own))
        }
      case .sendOver(_, let bytes): self.requests.append(bytes)
      case .connect(let link, _, _):
        self.link = link
        self.session.connected(link, now: self.now)
      case .disconnect: self.link = nil
      case .localCandidate, .gatheringEnded, .validated, .selected, .unselected, .connected, .roleChanged,
        .framingChanged, .failed:
        break
      }
    }
  }

  private func conclude() {
    require(self.session.counters.received == self.given, "a datagram is not counted: \(self.session.counters)")
    require(!self.session.isValidated(Self.stranger), "someone who knows no password is vouched for")
    let remotes = self.session.selected.values.map(\.remote)
    require(remotes.allSatisfy { self.session.isValidated($0) }, "data goes where nobody has answered")
  }
}
