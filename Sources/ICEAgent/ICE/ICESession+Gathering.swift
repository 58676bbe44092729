internal import NetBase

/// Candidates of our own: the bases themselves, and what STUN servers see of them (RFC 8445 §5.1).
extension ICESession {
  /// Milliseconds between two signs of life that keep a NAT's binding while no pair is selected (RFC 8445 §5.1.1.4).
  static let bindingRefresh: Int64 = 15_000

  func startGathering(now: Instant) {
    self.localCandidates = []
    self.isGatheringEnded = false
    for index in self.transactions.indices {
      guard case .gathering = self.transactions[index].purpose else { continue }
      self.transactions[index].isAnswered = true
      self.cancel(index, now: now)
    }
    self.tasks = []
    for (index, base) in self.bases.enumerated() {
      if self.configuration.tellsHostCandidates || self.configuration.isLite { self.tell(Self.host(base)) }
      guard !self.configuration.isLite, !base.address.isLinkLocal else { continue }
      for server in self.configuration.servers.indices
      where self.configuration.servers[server].address.family == base.address.family {
        self.tasks.append(ICEGatheringTask(server: server, base: index))
      }
    }
    self.gatheringEnd = now.advanced(byMilliseconds: self.configuration.gatheringLimit)
    self.endGatheringIfDone(now: now)
  }

  /// The base itself as a candidate, for a description that is written before there is a session.
  package static func host(_ base: ICEBase) -> ICECandidate {
    ICECandidate(
      foundation: Self.foundation(.host, base.address, server: nil), component: base.component,
      priority: ICECandidate.priority(.host, localPreference: base.localPreference, component: base.component),
      address: base.address, kind: .host)
  }

  /// Equal for what is of one type, address and server (RFC 8445 §5.1.1.3).
  static func foundation(_ kind: ICECandidate.Kind, _ address: SocketAddress, server: SocketAddress?) -> String {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    let words = [
      UInt64(kind.preference), address.high, address.low, server?.high ?? 0, server?.low ?? 0,
      UInt64(server?.port ?? 0),
    ]
    for word in words {
      for shift in stride(from: UInt64(0), to: 64, by: 8) { sum = (sum ^ (word >> shift & 255)) &* 0x100_0000_01B3 }
    }
    return String(UInt32(truncatingIfNeeded: sum ^ sum >> 32), radix: 16)
  }

  private func tell(_ candidate: ICECandidate) {
    let isKnown = self.localCandidates.contains {
      $0.address == candidate.address && $0.component == candidate.component
    }
    guard !isKnown else { return }
    self.localCandidates.append(candidate)
    self.actions.append(.localCandidate(candidate))
  }

  func ask(_ index: Int, now: Instant) {
    self.tasks[index].state = .inProgress
    self.tasks[index].attempts += 1
    let task = self.tasks[index]
    let server = self.configuration.servers[task.server]
    let id = STUNTransactionID(using: &self.random)
    var message = STUNWriter(.request, id: id)
    var key: [UInt8]?
    if let realm = task.realm, let nonce = task.nonce, let username = server.username {
      message.add(STUNType.username, username)
      message.add(STUNType.realm, realm)
      message.add(STUNType.nonce, nonce)
      if task.usesSHA256 { message.add(STUNType.passwordAlgorithm, [0, 2, 0, 0]) }
      let text = Array("\(username):\(realm):\(server.password ?? "")".utf8)
      let made = text.withRawSpan { self.configuration.crypto.digest(task.usesSHA256 ? .sha256 : .md5, $0) }
      message.addIntegrity(task.usesSHA256 ? .sha256 : .sha1, key: made, crypto: self.configuration.crypto)
      key = made
    }
    message.addFingerprint()
    self.start(message.bytes, id, .gathering(index), base: task.base, to: server.address, key: key, now: now)
  }

  func receive(_ response: STUNMessage, _ transaction: ICETransaction, task index: Int, now: Instant) {
    // A challenge can't be authenticated, for there is no key yet (RFC 8489 §9.2.4).
    let isChallenge = response.messageClass == .failure && [401, 438].contains(response.errorCode)
    if let key = transaction.key, !isChallenge, !response.isAuthentic(key: key, crypto: self.configuration.crypto) {
      self.counters.unauthentic += 1
      return
    }
    self.counters.accepted += 1
    guard !transaction.isAnswered, let place = self.transactions.firstIndex(where: { $0.id == transaction.id }) else {
      return
    }
    self.answered(place, now: now)
    guard self.tasks[index].state == .inProgress else { return }
    defer { self.endGatheringIfDone(now: now) }
    guard response.messageClass == .success, let mapped = response.mappedAddress else {
      self.tasks[index].state = .failed
      if isChallenge { self.answer(challenge: response, task: index) }
      return
    }
    self.tasks[index].state = .done
    if !self.isConnected { self.tasks[index].keepalive = now.advanced(byMilliseconds: Self.bindingRefresh) }
    let base = self.bases[self.tasks[index].base]
    let server = self.configuration.servers[self.tasks[index].server].address
    guard !mapped.isUnspecified, mapped.port != 0 else { return }
    self.tell(
      ICECandidate(
        foundation: Self.foundation(.serverReflexive, base.address, server: server), component: base.component,
        priority: ICECandidate.priority(
          .serverReflexive, localPreference: base.localPreference, component: base.component), address: mapped,
        kind: .serverReflexive,
        related: self.configuration.tellsHostCandidates
          ? base.address
          : base.address.family == .ipv4 ? SocketAddress(ipv4: 0, port: 9) : SocketAddress(ipv6: 0, 0, port: 9)))
  }

  /// 401 once; 438 as often as nonces go stale, within reason.
  private func answer(challenge: STUNMessage, task index: Int) {
    guard let realm = challenge.text(STUNType.realm), let nonce = challenge.text(STUNType.nonce),
      self.configuration.servers[self.tasks[index].server].username != nil, self.tasks[index].attempts < 4,
      challenge.errorCode == 438 || self.tasks[index].realm == nil
    else { return }
    self.tasks[index].realm = realm
    self.tasks[index].nonce = nonce
    self.tasks[index].usesSHA256 = Self.offersSHA256(challenge)
    self.tasks[index].state = .waiting
  }

  /// PASSWORD-ALGORITHMS (RFC 8489 §14.11): pairs of an algorithm and the length of its parameters.
  private static func offersSHA256(_ challenge: STUNMessage) -> Bool {
    guard let list = challenge.value(STUNType.passwordAlgorithms).map(Array.init) else { return false }
    var offset = 0
    while offset + 4 <= list.count {
      if list[offset] == 0, list[offset + 1] == 2 { return true }
      offset += 4 + (Int(list[offset + 2]) << 8 | Int(list[offset + 3]) + 3) / 4 * 4
    }
    return false
  }

  private func endGatheringIfDone(now: Instant) {
    guard !self.isGatheringEnded else { return }
    let isDone = self.tasks.allSatisfy { $0.state == .done || $0.state == .failed }
    guard isDone || (self.gatheringEnd.map { $0 <= now } ?? false) else { return }
    self.isGatheringEnded = true
    self.actions.append(.gatheringEnded)
  }

  func timeoutGathering(now: Instant) {
    self.endGatheringIfDone(now: now)
    for index in self.tasks.indices {
      guard let due = self.tasks[index].keepalive, due <= now else { continue }
      self.tasks[index].keepalive = now.advanced(byMilliseconds: Self.bindingRefresh)
      var message = STUNWriter(.indication, id: STUNTransactionID(using: &self.random))
      message.addFingerprint()
      self.send(
        message.bytes, base: self.tasks[index].base,
        to: self.configuration.servers[self.tasks[index].server].address)
    }
  }
}
