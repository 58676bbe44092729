internal import NetBase

/// An address at a TURN server that relays for us, from the first request to the last (RFC 8656): sans I/O, told the time.
///
/// All that it sends and is sent crosses one socket of its session's, or a connection of its own. After each call its owner
/// takes every action.
struct TURNAllocation {
  enum State { case idle, connecting, asked, made, gone }

  let server: ICEServer
  /// The session's base that its socket is, or at whose host its connection begins.
  let base: Int
  /// Its connection, where the server is not asked over UDP.
  let link: RelayLink?
  /// The session's base that the relayed address is, once it is there.
  var relayBase: Int?
  private(set) var state = State.idle
  private(set) var relayed: SocketAddress?
  /// What the server sees of our socket.
  private(set) var mapped: SocketAddress?
  private let crypto: STUNCrypto
  private var credentials: LongTermCredentials?
  private var requests: [TURNRequest] = []
  /// Requests that were answered: the answer to what was sent twice comes twice.
  private var answered: [STUNTransactionID] = []
  private var permissions: [TURNPermission] = []
  private var channels: [TURNChannel] = []
  private var refreshAt: Instant?
  /// When the connection has to stand.
  private var connectionEnd: Instant?
  private var actions: [TURNAction] = []
  private(set) var counters = RelayCounters()
  /// Of the indications that data is framed in.
  private let framingID: STUNTransactionID

  /// Milliseconds. A permission lasts 300 s and a channel 600 s: each is renewed with time for a request to be repeated.
  static let permissionRefresh: Int64 = 240_000
  static let channelRefresh: Int64 = 540_000
  static let maximumPermissions = 64
  static let maximumChannels = 64
  /// As long as a request that is sent once waits for its answer (RFC 8489 §6.2.2).
  static let connectionPatience: Int64 = 10_000
  static let streamTimeout: Int64 = 39_500
  private static let maximumWaiting = 8
  private static let maximumAnswered = 32
  private static let maximumChallenges = 4

  init(
    _ server: ICEServer, base: Int, over link: RelayLink? = nil, crypto: STUNCrypto,
    using random: inout any RandomNumberGenerator
  ) {
    (self.server, self.base, self.link, self.crypto) = (server, base, link, crypto)
    self.credentials = server.credentials(crypto)
    self.framingID = STUNTransactionID(using: &random)
  }

  mutating func takeAction() -> TURNAction? { self.actions.isEmpty ? nil : self.actions.removeFirst() }

  mutating func start(using random: inout any RandomNumberGenerator, now: Instant) {
    guard self.state == .idle else { return }
    guard self.link == nil else {
      self.state = .connecting
      self.connectionEnd = now.advanced(byMilliseconds: Self.connectionPatience)
      return self.actions.append(.connect)
    }
    self.state = .asked
    self.request(.allocate, using: &random, now: now)
  }

  /// The connection stands.
  mutating func connected(using random: inout any RandomNumberGenerator, now: Instant) {
    guard self.state == .connecting else { return }
    self.connectionEnd = nil
    self.state = .asked
    self.request(.allocate, using: &random, now: now)
  }

  /// The connection is gone, or never was: the relay goes with it (RFC 8656 §7).
  ///
  /// - Parameter reason: what goes on a sentence about the server.
  mutating func disconnected(_ reason: String) {
    switch self.state {
    case .idle, .gone: self.requests = []
    case .connecting, .asked, .made:
      if self.state == .made { self.counters.lost += 1 }
      self.fail("\(self.server) \(reason)")
    }
  }

  /// Gives the address back (RFC 8656 §8): the last that is asked, again where it is lost or its nonce is stale. What may
  /// be granted yet is given back too.
  mutating func release(using random: inout any RandomNumberGenerator, now: Instant) {
    switch self.state {
    case .idle, .gone: break
    case .connecting:
      self.end()
      self.disconnect()
    case .asked, .made:
      self.end()
      self.request(.release, using: &random, now: now)
    }
  }

  /// Whether the server has not said yet that the address is given back.
  var isReleasing: Bool { self.state == .gone && !self.requests.isEmpty }

  private mutating func end() {
    self.state = .gone
    // What answers them still is no stranger's.
    self.answered += self.requests.map(\.id)
    self.counters.refused += self.permissions.reduce(0) { $0 + $1.waiting.count }
    (self.requests, self.permissions, self.channels) = ([], [], [])
    (self.refreshAt, self.connectionEnd) = (nil, nil)
  }

  // MARK: Data

  /// Sends a check or its answer to `peer`, as soon as the relay lets `peer` answer.
  mutating func send(
    _ bytes: [UInt8], to peer: SocketAddress, using random: inout any RandomNumberGenerator, now: Instant
  ) {
    guard self.state == .made else {
      self.counters.refused += 1
      return
    }
    guard let place = self.permissions.firstIndex(where: { $0.host.isSameHost(as: peer) }) else {
      guard self.permissions.count < Self.maximumPermissions else {
        self.counters.full += 1
        return
      }
      let host = peer.with(port: 0)
      self.permissions.append(TURNPermission(host: host, waiting: [(bytes, peer)]))
      return self.request(.permission(host), using: &random, now: now)
    }
    switch self.permissions[place].state {
    case .given: self.pass(bytes, to: peer)
    case .asked:
      guard self.permissions[place].waiting.count < Self.maximumWaiting else {
        self.counters.full += 1
        return
      }
      self.permissions[place].waiting.append((bytes, peer))
    case .refused: self.counters.refused += 1
    }
  }

  private mutating func pass(_ bytes: [UInt8], to peer: SocketAddress) {
    let framing = self.framing(for: peer)
    var room = [UInt8](repeating: 0, count: bytes.count + 64)
    let count = bytes.withRawSpan { bytes in
      room.withPacket(count: 0) { packet in framing.frame(bytes, in: &packet) ? packet.count : 0 }
    }
    if count > 0 { self.actions.append(.send(Array(room[..<count]))) }
  }

  func framing(for peer: SocketAddress) -> TURNFraming {
    let channel = self.channels.first { $0.isBound && $0.peer == peer }
    return TURNFraming(
      server: self.server.address, peer: peer, channel: channel?.number, over: self.link, id: self.framingID)
  }

  /// Wants a channel for the peer that media goes to.
  mutating func bind(_ peer: SocketAddress, using random: inout any RandomNumberGenerator, now: Instant) {
    guard self.state == .made, self.channels.count < Self.maximumChannels,
      !self.channels.contains(where: { $0.peer == peer })
    else { return }
    let number = 0x4000 + UInt16(self.channels.count)
    self.channels.append(TURNChannel(number: number, peer: peer))
    self.request(.channel(number, peer), using: &random, now: now)
  }

  /// Whom a payload is from, and where it is; nil, and counted, for what the relay should not have let through. What was
  /// asked for may be answered later than it is used.
  mutating func open(_ payload: RelayedPayload) -> (peer: SocketAddress, range: Range<Int>)? {
    switch payload {
    case .from(let peer, let range):
      // RFC 8656 §11.4.
      let isPermitted = self.permissions.contains { $0.state != .refused && $0.host.isSameHost(as: peer) }
      guard isPermitted else {
        self.counters.unpermitted += 1
        return nil
      }
      return (peer, range)
    case .onChannel(let number, let range):
      guard let channel = self.channels.first(where: { $0.number == number }) else {
        self.counters.unbound += 1
        return nil
      }
      return (channel.peer, range)
    }
  }

  // MARK: Requests

  private mutating func request(
    _ purpose: TURNRequest.Purpose, challenges: Int = 0, using random: inout any RandomNumberGenerator, now: Instant
  ) {
    let id = STUNTransactionID(using: &random)
    var message = STUNWriter(.request, method: purpose.method, id: id)
    switch purpose {
    case .allocate:
      // UDP.
      message.add(STUNType.requestedTransport, UInt32(17) << 24)
      if self.server.address.family == .ipv6 { message.add(STUNType.requestedAddressFamily, UInt32(2) << 24) }
    case .refresh: break
    case .release: message.add(STUNType.lifetime, UInt32(0))
    case .permission(let host): message.add(STUNType.xorPeerAddress, host)
    case .channel(let number, let peer):
      message.add(STUNType.channelNumber, UInt32(number) << 16)
      message.add(STUNType.xorPeerAddress, peer)
    }
    let key = self.credentials?.sign(&message)
    message.addFingerprint()
    var request = TURNRequest(
      purpose: purpose, id: id, bytes: message.bytes, key: key, challenges: challenges,
      due: now.advanced(byMilliseconds: ICETransaction.initialTimeout))
    if self.link != nil {
      // A connection repeats what is lost (RFC 8489 §6.2.2).
      request.sends = ICETransaction.maximumSends
      request.due = now.advanced(byMilliseconds: Self.streamTimeout)
    }
    self.requests.append(request)
    self.actions.append(.send(message.bytes))
  }

  enum Receipt { case accepted, unauthentic, unexpected }

  /// Takes a response from the server.
  mutating func receive(
    _ response: STUNMessage, using random: inout any RandomNumberGenerator, now: Instant
  ) -> Receipt {
    guard let place = self.requests.firstIndex(where: { $0.id == response.id }) else {
      return self.answered.contains(response.id) ? .accepted : .unexpected
    }
    let request = self.requests[place]
    guard response.method == request.purpose.method else { return .unexpected }
    // A challenge can't be authenticated, for it says what with (RFC 8489 §9.2.5).
    let isChallenge = response.messageClass == .failure && [401, 438].contains(response.errorCode)
    if let key = request.key, !isChallenge, !key.opens(response, crypto: self.crypto) { return .unauthentic }
    self.requests.remove(at: place)
    self.answered.append(request.id)
    if self.answered.count > Self.maximumAnswered { self.answered.removeFirst() }
    if response.messageClass == .success {
      self.succeeded(request.purpose, response, using: &random, now: now)
    } else if isChallenge, request.challenges < Self.maximumChallenges, self.credentials?.take(response) == true {
      self.request(request.purpose, challenges: request.challenges + 1, using: &random, now: now)
    } else {
      self.refused(request.purpose, response.errorCode, now: now)
    }
    return .accepted
  }

  private mutating func succeeded(
    _ purpose: TURNRequest.Purpose, _ response: STUNMessage, using random: inout any RandomNumberGenerator,
    now: Instant
  ) {
    switch purpose {
    case .allocate:
      guard let relayed = response.address(STUNType.xorRelayedAddress), !relayed.isUnspecified, relayed.port != 0 else {
        return self.fail("\(self.server) grants a relay and does not say where")
      }
      self.state = .made
      (self.relayed, self.mapped) = (relayed, response.mappedAddress)
      self.granted(response, now: now)
      self.actions.append(.made(relayed: relayed, mapped: self.mapped))
    case .refresh: self.granted(response, now: now)
    case .release: self.disconnect()
    case .permission(let host):
      guard let place = self.permissions.firstIndex(where: { $0.host == host }) else { return }
      self.permissions[place].state = .given
      self.permissions[place].refreshAt = now.advanced(byMilliseconds: Self.permissionRefresh)
      let waiting = self.permissions[place].waiting
      self.permissions[place].waiting = []
      for datagram in waiting { self.pass(datagram.bytes, to: datagram.peer) }
    case .channel(let number, _):
      guard let place = self.channels.firstIndex(where: { $0.number == number }) else { return }
      self.channels[place].refreshAt = now.advanced(byMilliseconds: Self.channelRefresh)
      guard !self.channels[place].isBound else { return }
      self.channels[place].isBound = true
      self.actions.append(.bound)
    }
  }

  /// LIFETIME: renewed a minute before its end, or half-way where it is short.
  private mutating func granted(_ response: STUNMessage, now: Instant) {
    let lifetime = min(response.uint32(STUNType.lifetime) ?? 600, 3_600)
    guard lifetime > 0 else { return self.fail("\(self.server) has ended the relay") }
    let seconds = Int64(lifetime)
    self.refreshAt = now.advanced(byMilliseconds: max(seconds * 500, (seconds - 60) * 1_000))
  }

  /// - Parameter code: nil where no answer came.
  private mutating func refused(_ purpose: TURNRequest.Purpose, _ code: Int?, now: Instant) {
    switch purpose {
    case .allocate, .refresh:
      switch code {
      case nil: self.fail("\(self.server) does not answer")
      case 401, 438:
        self.fail(
          self.credentials == nil
            ? "\(self.server) asks for a user and a password: set stunuser and stunpass"
            : "\(self.server) refuses the user or the password")
      case .some(let code): self.fail("\(self.server) refuses to relay: error \(code)")
      }
    // It is gone, or ends by itself.
    case .release: self.disconnect()
    // The server has forgotten the allocation, or was started anew.
    case .permission where code == 437, .channel where code == 437:
      self.fail("\(self.server) has no allocation of ours any more")
    case .permission(let host):
      guard let place = self.permissions.firstIndex(where: { $0.host == host }) else { return }
      self.permissions[place].state = .refused
      self.counters.refused += self.permissions[place].waiting.count
      self.permissions[place].waiting = []
      self.permissions[place].refreshAt = nil
    case .channel(let number, _):
      guard let place = self.channels.firstIndex(where: { $0.number == number }) else { return }
      // Data goes on in indications.
      self.channels[place].refreshAt = nil
      guard self.channels[place].isBound else { return }
      self.channels[place].isBound = false
      self.actions.append(.bound)
    }
  }

  private mutating func fail(_ reason: String) {
    let wasMade = self.state == .made && self.relayBase != nil
    self.end()
    self.disconnect()
    self.actions.append(wasMade ? .lost(reason) : .failed(reason))
  }

  private mutating func disconnect() { if self.link != nil { self.actions.append(.disconnect) } }

  // MARK: Time

  mutating func timeout(using random: inout any RandomNumberGenerator, now: Instant) {
    for index in self.requests.indices.reversed() where self.requests[index].due <= now {
      guard self.requests[index].sends < ICETransaction.maximumSends else {
        let purpose = self.requests.remove(at: index).purpose
        self.refused(purpose, nil, now: now)
        // Nothing is left where that has ended it.
        guard self.state != .gone else { return }
        continue
      }
      self.requests[index].sends += 1
      self.requests[index].timeout *= 2
      let isLast = self.requests[index].sends == ICETransaction.maximumSends
      self.requests[index].due = now.advanced(
        byMilliseconds: isLast ? ICETransaction.lastWait : self.requests[index].timeout)
      self.actions.append(.send(self.requests[index].bytes))
    }
    if let due = self.connectionEnd, due <= now { return self.fail("\(self.server) does not answer") }
    if let due = self.refreshAt, due <= now {
      self.refreshAt = nil
      self.request(.refresh, using: &random, now: now)
    }
    for index in self.permissions.indices {
      guard let due = self.permissions[index].refreshAt, due <= now else { continue }
      self.permissions[index].refreshAt = nil
      self.request(.permission(self.permissions[index].host), using: &random, now: now)
    }
    for index in self.channels.indices {
      guard let due = self.channels[index].refreshAt, due <= now else { continue }
      self.channels[index].refreshAt = nil
      self.request(.channel(self.channels[index].number, self.channels[index].peer), using: &random, now: now)
    }
  }

  var nextDeadline: Instant? {
    let deadlines =
      self.requests.map(\.due) + self.permissions.compactMap(\.refreshAt) + self.channels.compactMap(\.refreshAt)
      + [self.refreshAt, self.connectionEnd].compactMap { $0 }
    return deadlines.min()
  }
}
