internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import SIPStack

/// One path's checks: an `ICESession` whose bases are the path's sockets.
///
/// `confined`: made by its transport's executor and used nowhere else.
final class ICEPathAgent: ConnectivityAgent {
  private let session: ICESession
  /// Pair by pair, the path's own first.
  private let sockets: [MediaSockets]
  /// Whether there is anything to tell that main does not know.
  private let isGathering: Bool
  private let components: Int
  /// What connections are secured with, or why they can't be; nil where no server wants that.
  private let tls: Result<RelayTLSContext, ModuleError>?
  /// Datagrams that came to a socket that has no part in it.
  private var strays = 0

  /// - Parameter components: for how many sockets of each pair candidates are wanted.
  init(
    _ sockets: MediaSockets, further: [MediaSockets], _ local: ICECredentials, _ configuration: ICEConfiguration,
    components: Int, role: ICERole, tls: Result<RelayTLSContext, ModuleError>? = nil, random: SeededGenerator,
    now: Instant
  ) {
    self.sockets = [sockets] + further
    self.tls = tls
    self.components = components
    self.isGathering = !configuration.servers.isEmpty
    self.session = ICESession(
      configuration, bases: self.sockets.bases(components: components), role: role, local: local, random: random,
      now: now)
  }

  func receive(
    _ datagram: RawSpan, from source: SocketAddress, on socket: MediaSocket, in relayed: RelayedDatagram?,
    now: Instant
  ) {
    guard let base = relayed?.base ?? self.base(of: socket) else {
      self.strays += 1
      return
    }
    self.session.receive(datagram, from: source, base: base, now: now)
  }

  func unwrap(_ datagram: RawSpan, from source: SocketAddress, on socket: MediaSocket) -> RelayReading {
    guard let base = self.base(of: socket) else { return .notRelayed }
    return self.session.unwrap(datagram, from: source, base: base)
  }

  /// Nil for a socket that has no part in it.
  private func base(of socket: MediaSocket) -> Int? {
    guard socket.component.number <= self.components else { return nil }
    return socket.pair * self.components + socket.component.rawValue
  }

  /// The socket that is a base, or that a relayed one's datagrams leave.
  private func socket(of base: Int) -> MediaSocket {
    let (pair, place) = self.session.socket(of: base).quotientAndRemainder(dividingBy: self.components)
    return MediaSocket(place == 0 ? .rtp : .rtcp, of: pair)
  }

  func connected(_ link: RelayLink, now: Instant) { self.session.connected(link, now: now) }

  func disconnected(_ link: RelayLink, _ reason: String, now: Instant) {
    self.session.disconnected(link, reason, now: now)
  }

  func receive(_ message: RawSpan, over link: RelayLink, now: Instant) {
    self.session.receive(message, over: link, now: now)
  }

  func unwrap(_ message: RawSpan, over link: RelayLink) -> RelayReading { self.session.unwrap(message, over: link) }

  func setRemote(_ remote: ICERemote, now: Instant) { self.session.setRemote(remote, now: now) }

  func expect(_ local: ICECredentials) { self.session.expect(local) }

  func restart(_ local: ICECredentials, _ remote: ICERemote, now: Instant) {
    self.session.restart(local: local, now: now)
    self.session.setRemote(remote, now: now)
  }

  var fragments: [String] { self.session.fragments }

  func timeout(now: Instant) { self.session.timeout(now: now) }

  var nextDeadline: Instant? { self.session.nextDeadline }

  func nextAction() -> ConnectivityAction? {
    while let action = self.session.takeAction() {
      switch action {
      case .send(let bytes, let base, let address):
        return .send(datagram: bytes, to: address, on: self.socket(of: base))
      case .connect(let link, let base, let server):
        return .connect(link, self.connection(to: server, base: base))
      case .sendOver(let link, let bytes): return .sendOver(link, bytes)
      case .disconnect(let link): return .disconnect(link)
      case .validated, .selected, .unselected, .framingChanged: return .routeChanged
      case .connected:
        return .connected(
          ConnectivityReport(
            isControlling: self.session.role == .controlling, rtp: self.route(.rtp)?.peer,
            rtcp: self.route(.rtcp)?.peer, local: self.route(.rtp).map { self.sockets[$0.pair].rtp },
            localRTCP: self.route(.rtcp).map { self.sockets[$0.pair].rtcp }))
      case .failed(let reason): return .failed(reason)
      case .gatheringEnded:
        guard self.isGathering else { continue }
        return .gathered(
          GatheringReport(
            sockets: self.sockets[0], candidates: self.session.localCandidates,
            problems: self.session.gatheringProblems))
      // The report has them all.
      case .localCandidate, .roleChanged: continue
      }
    }
    return nil
  }

  private func connection(to server: ICEServer, base: Int) -> RelayConnection {
    let (socket, tls) = (self.socket(of: base), server.transport == .tls ? self.tls : nil)
    let local = self.sockets[socket.pair][socket.component]
    return RelayConnection(socket.component, from: local, to: server.address) { () throws(ModuleError) in
      guard let tls else { return nil }
      return try RelayCipher(try tls.get(), name: server.name)
    }
  }

  func isValidated(_ source: SocketAddress) -> Bool { self.session.isValidated(source) }

  func route(_ component: Component) -> MediaRoute? {
    // Whose consent is gone is sent nothing (RFC 7675 §5.1).
    guard self.session.failure == nil else { return nil }
    return self.session.sendingPair(component.number).map {
      MediaRoute(peer: $0.remote, relay: self.session.framing($0), pair: self.socket(of: $0.base).pair)
    }
  }

  func close(now: Instant) { self.session.close(now: now) }

  var isReleasing: Bool { self.session.isReleasing }

  func covers(_ component: Component) -> Bool { self.session.covers(component.number) }

  var counters: ConnectivityCounters {
    ConnectivityCounters(
      accepted: self.session.counters.accepted, refused: self.session.counters.dropped + self.strays,
      relays: self.session.relayCounters)
  }
}

extension [MediaSockets] {
  /// What a session's checks leave from, pair by pair and in the order of `Component`. The first pair is the best, and
  /// what a description waits for.
  func bases(components: Int = Component.allCases.count) -> [ICEBase] {
    self.enumerated().flatMap { place, sockets -> [ICEBase] in
      // The steps leave room for what a relay's way to its server takes off.
      let preference = UInt16(65_535 - 16 * place)
      return Component.allCases.prefix(components).map { component in
        ICEBase(
          component: component.number, address: sockets[component], localPreference: preference, isAwaited: place == 0)
      }
    }
  }
}

extension Component {
  /// RFC 8445 §13.
  fileprivate var number: Int { self.rawValue + 1 }
}
