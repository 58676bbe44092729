internal import ICEAgent
package import NetBase
internal import ice

/// A STUN and TURN server on the open network, which grants nothing that was not asked for in time (RFC 8489, RFC 8656).
package struct ModelledServer: Sendable {
  package struct Datagram {
    package let bytes: [UInt8]
    package let source: SocketAddress
    package let destination: SocketAddress
  }

  package struct Allocation: Sendable {
    package let client: SocketAddress
    let server: SocketAddress
    package let relayed: SocketAddress
    /// Of the request that made it, which may come again (RFC 8656 §7.2).
    let request: STUNTransactionID
    var end: Instant
    /// By host: until when.
    var permissions: [SocketAddress: Instant] = [:]
    var channels: [UInt16: (peer: SocketAddress, end: Instant)] = [:]
  }

  package static let ipv4 = SocketAddress(ipv4: 0xC633_6401, port: 3478)
  package static let ipv6 = SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 0x53, port: 3478)
  package static let user = "apus"
  package static let password = "secret"
  package static let realm = "example.org"

  /// Whether a Binding request needs credentials; all else does.
  package var asksForBinding = false
  /// Whether it offers SHA-256 and wants the name hashed, or is of RFC 5389's time.
  package var isModern = true
  package var isSilent = false
  /// Seconds that an allocation is granted.
  package var lifetime: UInt32 = 600
  /// Milliseconds that a nonce is good for.
  package var nonceLifetime: Int64 = 600_000
  package private(set) var allocations: [Allocation] = []
  /// Requests that were granted, by method.
  package private(set) var granted: [UInt16: Int] = [:]
  package private(set) var staleNonces = 0
  /// Datagrams of clients and peers that nothing let through.
  package private(set) var refused = 0
  /// Datagrams of clients that it passed on, by how they came.
  package private(set) var (passedOnChannels, passedInIndications) = (0, 0)
  private var nextPort: UInt16 = 50_000

  package init() {}

  /// Forgets its clients, as after a crash.
  package mutating func forget() { self.allocations = [] }

  package func isHere(_ address: SocketAddress) -> Bool {
    address.isSameHost(as: Self.ipv4) || address.isSameHost(as: Self.ipv6)
  }

  package mutating func receive(
    _ bytes: [UInt8], from source: SocketAddress, at destination: SocketAddress, now: Instant
  ) -> [Datagram] {
    guard !self.isSilent else { return [] }
    self.allocations.removeAll { $0.end <= now }
    guard destination == Self.ipv4 || destination == Self.ipv6 else {
      return self.pass(bytes, from: source, to: destination, now: now)
    }
    let mine = self.allocations.firstIndex { $0.client == source && $0.server == destination }
    if (64..<80).contains(bytes.first ?? 0) { return self.relay(onChannel: bytes, mine, now: now) }
    guard let message = bytes.withRawSpan({ STUNMessage($0) }) else { return [] }
    if message.messageClass == .indication, message.method == STUNType.send {
      guard let mine, let peer = message.address(STUNType.xorPeerAddress), let data = message.value(STUNType.dataValue),
        let end = self.allocations[mine].permissions[peer.with(port: 0)], end > now
      else {
        self.refused += 1
        return []
      }
      self.passedInIndications += 1
      return [Datagram(bytes: Array(data), source: self.allocations[mine].relayed, destination: peer)]
    }
    guard message.messageClass == .request else { return [] }
    let answer = self.answer(message, from: source, at: destination, mine, now: now)
    return [Datagram(bytes: answer, source: destination, destination: source)]
  }

  /// From a peer to an address that it relays.
  private mutating func pass(
    _ bytes: [UInt8], from peer: SocketAddress, to relayed: SocketAddress, now: Instant
  ) -> [Datagram] {
    guard let allocation = self.allocations.first(where: { $0.relayed == relayed }),
      let end = allocation.permissions[peer.with(port: 0)], end > now
    else {
      self.refused += 1
      return []
    }
    if let channel = allocation.channels.first(where: { $0.value.peer == peer && $0.value.end > now }) {
      let head = [channel.key >> 8, channel.key & 255, UInt16(bytes.count) >> 8, UInt16(bytes.count) & 255]
      return [
        Datagram(bytes: head.map { UInt8($0) } + bytes, source: allocation.server, destination: allocation.client)
      ]
    }
    var message = STUNWriter(.indication, method: STUNType.data, id: STUNTransactionID(high: 1, low: UInt64(peer.port)))
    message.add(STUNType.xorPeerAddress, peer)
    message.add(STUNType.dataValue, bytes)
    return [Datagram(bytes: message.bytes, source: allocation.server, destination: allocation.client)]
  }

  private mutating func relay(onChannel bytes: [UInt8], _ mine: Int?, now: Instant) -> [Datagram] {
    let number = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    let count = Int(bytes[2]) << 8 | Int(bytes[3])
    guard let mine, bytes.count >= 4 + count, let channel = self.allocations[mine].channels[number], channel.end > now,
      let end = self.allocations[mine].permissions[channel.peer.with(port: 0)], end > now
    else {
      self.refused += 1
      return []
    }
    self.passedOnChannels += 1
    return [
      Datagram(
        bytes: Array(bytes[4..<(4 + count)]), source: self.allocations[mine].relayed, destination: channel.peer)
    ]
  }

  // MARK: Requests

  private mutating func answer(
    _ request: STUNMessage, from client: SocketAddress, at server: SocketAddress, _ mine: Int?, now: Instant
  ) -> [UInt8] {
    if request.method == STUNType.binding, !self.asksForBinding {
      var answer = STUNWriter(.success, id: request.id)
      answer.addMapped(client)
      answer.addFingerprint()
      return answer.bytes
    }
    if let code = self.challenge(to: request, now: now) {
      if code == 438 { self.staleNonces += 1 }
      var answer = STUNWriter(.failure, method: request.method, id: request.id)
      answer.addError(code, "")
      answer.add(STUNType.realm, Self.realm)
      answer.add(STUNType.nonce, self.nonce(now))
      if self.isModern { answer.add(STUNType.passwordAlgorithms, [0, 1, 0, 0, 0, 2, 0, 0]) }
      answer.addFingerprint()
      return answer.bytes
    }
    var answer = STUNWriter(.success, method: request.method, id: request.id)
    let error = self.grant(request, from: client, at: server, mine, &answer, now: now)
    if let error {
      answer = STUNWriter(.failure, method: request.method, id: request.id)
      answer.addError(error, "")
    } else {
      self.granted[request.method, default: 0] += 1
    }
    answer.addIntegrity(self.isModern ? .sha256 : .sha1, key: self.key, crypto: .openSSL)
    answer.addFingerprint()
    return answer.bytes
  }

  /// What the server says instead of yes.
  private mutating func grant(
    _ request: STUNMessage, from client: SocketAddress, at server: SocketAddress, _ mine: Int?,
    _ answer: inout STUNWriter, now: Instant
  ) -> Int? {
    let peer = request.address(STUNType.xorPeerAddress)
    switch request.method {
    case STUNType.binding: answer.addMapped(client)
    case STUNType.allocate:
      if let mine {
        guard self.allocations[mine].request == request.id else { return 437 }
        answer.add(STUNType.xorRelayedAddress, self.allocations[mine].relayed)
        answer.add(STUNType.lifetime, self.lifetime)
        answer.addMapped(client)
        return nil
      }
      guard request.uint32(STUNType.requestedTransport) == 17 << 24 else { return 442 }
      let isIPv6 = request.uint32(STUNType.requestedAddressFamily) == 2 << 24
      guard isIPv6 == (server.family == .ipv6) else { return 440 }
      let allocation = Allocation(
        client: client, server: server, relayed: server.with(port: self.nextPort),
        request: request.id, end: now.advanced(byMilliseconds: Int64(self.lifetime) * 1000))
      self.nextPort += 1
      self.allocations.append(allocation)
      answer.add(STUNType.xorRelayedAddress, allocation.relayed)
      answer.add(STUNType.lifetime, self.lifetime)
      answer.addMapped(client)
    case STUNType.refresh:
      guard let mine else { return 437 }
      let asked = min(request.uint32(STUNType.lifetime) ?? self.lifetime, self.lifetime)
      self.allocations[mine].end = now.advanced(byMilliseconds: Int64(asked) * 1000)
      if asked == 0 { self.allocations.remove(at: mine) }
      answer.add(STUNType.lifetime, asked)
    case STUNType.createPermission:
      guard let mine, let peer else { return mine == nil ? 437 : 400 }
      self.allocations[mine].permissions[peer.with(port: 0)] = now.advanced(byMilliseconds: 300_000)
    case STUNType.channelBind:
      guard let mine, let peer, let number = request.uint32(STUNType.channelNumber).map({ UInt16($0 >> 16) }),
        (0x4000...0x4FFF).contains(number),
        self.allocations[mine].channels.allSatisfy({ ($0.key == number) == ($0.value.peer == peer) })
      else { return mine == nil ? 437 : 400 }
      self.allocations[mine].channels[number] = (peer, now.advanced(byMilliseconds: 600_000))
      self.allocations[mine].permissions[peer.with(port: 0)] = now.advanced(byMilliseconds: 300_000)
    default: return 400
    }
    return nil
  }

  /// Password algorithms and hashed names are what its nonces ask for, where it is modern.
  private func nonce(_ now: Instant) -> String {
    let number = now.nanoseconds / 1_000_000 / self.nonceLifetime
    return self.isModern ? "obMatJos2AAAD\(number)" : "nonce\(number)"
  }

  private var key: [UInt8] {
    Array("\(Self.user):\(Self.realm):\(Self.password)".utf8).hashed(self.isModern ? .sha256 : .md5)
  }

  private func challenge(to request: STUNMessage, now: Instant) -> Int? {
    guard request.hasIntegrity, let nonce = request.text(STUNType.nonce),
      request.text(STUNType.realm) == Self.realm
    else { return 401 }
    if self.isModern {
      let name = Array("\(Self.user):\(Self.realm)".utf8).hashed(.sha256)
      guard request.hasIntegritySHA256, request.value(STUNType.userhash).map(Array.init) == name,
        request.value(STUNType.passwordAlgorithms).map(Array.init) == [0, 1, 0, 0, 0, 2, 0, 0],
        request.value(STUNType.passwordAlgorithm).map(Array.init) == [0, 2, 0, 0]
      else { return 401 }
    } else {
      guard !request.hasIntegritySHA256, request.text(STUNType.username) == Self.user else { return 401 }
    }
    guard request.isAuthentic(key: self.key, crypto: .openSSL) else { return 401 }
    return nonce == self.nonce(now) ? nil : 438
  }
}
