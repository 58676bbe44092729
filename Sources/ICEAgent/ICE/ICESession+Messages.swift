package import NetBase

/// What the network brings (RFC 8445 §7.3).
extension ICESession {
  /// Takes a datagram that came to one of the bases and looks like STUN (RFC 7983).
  package func receive(_ datagram: RawSpan, from source: SocketAddress, base: Int, now: Instant) {
    guard let message = STUNMessage(datagram) else {
      self.counters.malformed += 1
      return
    }
    guard message.method == STUNType.binding else {
      self.receive(fromRelay: message, from: source, base: base, now: now)
      return self.settle(now: now)
    }
    guard self.failure == nil, !self.isClosing, self.bases.indices.contains(base) else {
      self.counters.unexpected += 1
      return
    }
    switch message.messageClass {
    case .request: self.receive(request: message, from: source, base: base, now: now)
    case .success, .failure: self.receive(response: message, from: source, base: base, now: now)
    case .indication:
      // A keepalive; there is nothing in it to act on, whoever sent it.
      if self.isValidated(source) { self.counters.accepted += 1 } else { self.counters.strangers += 1 }
      return
    }
    self.settle(now: now)
  }

  // MARK: Requests

  private func receive(request: STUNMessage, from source: SocketAddress, base: Int, now: Instant) {
    // The name first: a stranger's request costs no hash. Who is to be known at a relay only answers nowhere else.
    guard request.hasIntegrity, !self.configuration.isRelayOnly || self.bases[base].relay != nil,
      let name = request.value(STUNType.username), let credentials = self.credentials(named: name)
    else {
      self.counters.strangers += 1
      return
    }
    guard request.isAuthentic(key: credentials.key, crypto: self.configuration.crypto) else {
      self.counters.unauthentic += 1
      return
    }
    guard self.takeCredit(now: now) else {
      self.counters.flooded += 1
      return
    }
    self.counters.accepted += 1
    let unknown = request.unknownAttributes
    guard unknown.isEmpty else {
      self.refuse(request, 420, "Unknown Attribute", unknown: unknown, credentials, to: source, base: base, now: now)
      return
    }
    guard let priority = request.uint32(STUNType.priority) else {
      self.refuse(request, 400, "Bad Request", credentials, to: source, base: base, now: now)
      return
    }
    guard self.settleRoles(request) else {
      self.refuse(request, 487, "Role Conflict", credentials, to: source, base: base, now: now)
      return
    }
    var answer = STUNWriter(.success, id: request.id)
    answer.addMapped(source)
    answer.addIntegrity(request.hasIntegritySHA256 ? .sha256 : .sha1, key: credentials.key, crypto: self.crypto)
    answer.addFingerprint()
    self.send(answer.bytes, base: base, to: source, now: now)
    self.validate(source)
    let nominates = request.has(STUNType.useCandidate)
    if credentials == self.expected, self.earlyExpected.count < Self.maximumEarly {
      self.earlyExpected.append((base, source, priority, nominates))
    }
    guard credentials == self.local else { return }
    guard self.remote != nil else {
      if self.early.count < Self.maximumEarly { self.early.append((base, source, priority, nominates)) }
      return
    }
    self.checked(base: base, source: source, priority: priority, nominates: nominates, now: now)
  }

  var crypto: STUNCrypto { self.configuration.crypto }

  /// `ours:theirs`; the part before the colon must be ours, of this generation, the one offered, or one before.
  private func credentials(named name: ArraySlice<UInt8>) -> ICECredentials? {
    guard let colon = name.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let fragment = name[..<colon]
    if fragment.elementsEqual(self.local.fragment.utf8) { return self.local }
    if let expected, fragment.elementsEqual(expected.fragment.utf8) { return expected }
    guard let place = self.former.firstIndex(where: { fragment.elementsEqual($0.fragment.utf8) }) else { return nil }
    self.former.insert(self.former.remove(at: place), at: 0)
    return self.former[0]
  }

  private func takeCredit(now: Instant) -> Bool {
    let earned = max(0, now.milliseconds(since: self.creditedAt)) * Self.requestRate / 1000
    if earned > 0 {
      self.requestCredit = min(Self.requestBurst, self.requestCredit + earned)
      // Not to the present: what is not a whole request yet is kept.
      self.creditedAt = self.creditedAt.advanced(byMilliseconds: earned * 1000 / Self.requestRate)
    }
    guard self.requestCredit > 0 else { return false }
    self.requestCredit -= 1
    return true
  }

  /// False: the peer is to change its role (RFC 8445 §7.3.1.1).
  private func settleRoles(_ request: STUNMessage) -> Bool {
    // Who is lite, or has a lite peer, has its role by that.
    guard !self.configuration.isLite, !self.isRemoteLite else { return true }
    switch self.role {
    case .controlling:
      guard let theirs = request.uint64(STUNType.controlling) else { return true }
      if self.tieBreaker >= theirs { return false }
    case .controlled:
      guard let theirs = request.uint64(STUNType.controlled) else { return true }
      if self.tieBreaker < theirs { return false }
    }
    self.change(role: self.role.other)
    return true
  }

  private func refuse(
    _ request: STUNMessage, _ code: Int, _ reason: String, unknown: [UInt16] = [], _ credentials: ICECredentials,
    to source: SocketAddress, base: Int, now: Instant
  ) {
    var answer = STUNWriter(.failure, id: request.id)
    answer.addError(code, reason)
    if !unknown.isEmpty {
      answer.add(STUNType.unknownAttributes, unknown.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] })
    }
    answer.addIntegrity(request.hasIntegritySHA256 ? .sha256 : .sha1, key: credentials.key, crypto: self.crypto)
    answer.addFingerprint()
    self.send(answer.bytes, base: base, to: source, now: now)
  }

  func takeEarly(now: Instant) {
    let early = self.early
    self.early = []
    for check in early {
      self.checked(
        base: check.base, source: check.source, priority: check.priority, nominates: check.nominates, now: now)
    }
  }

  /// An authenticated check came: it is answered by one of ours over the same pair (RFC 8445 §7.3.1.3 to §7.3.1.5).
  private func checked(base: Int, source: SocketAddress, priority: UInt32, nominates: Bool, now: Instant) {
    let component = self.bases[base].component
    guard component <= self.droppedAbove else { return }
    if !self.remoteCandidates.contains(where: {
      $0.component == component && ($0.address == source || $0.address == source.unscoped)
    }) {
      self.add(
        ICECandidate(
          foundation: "prflx\(self.remoteCandidates.count)", component: component,
          priority: priority, address: source, kind: .peerReflexive))
    }
    guard let index = self.pair(base, source) else { return }
    let pair = self.pairs[index]
    if self.configuration.isLite {
      self.pairs[index].state = .succeeded
      if nominates { self.nominated(index, now: now) }
      return
    }
    let isNomination = nominates && self.role == .controlled
    if isNomination { self.pairs[index].isNominatedByPeer = true }
    switch pair.state {
    case .succeeded: if isNomination { self.nominated(index, now: now) }
    case .inProgress:
      self.cancelChecks(of: pair.id, now: now)
      self.pairs[index].state = .waiting
      self.trigger(pair.id)
    case .waiting, .frozen, .failed:
      guard !self.hasNominated(pair.component) || isNomination else { return }
      self.pairs[index].state = .waiting
      self.trigger(pair.id)
    }
  }

  /// The pair that a check came over, made again where it had to give way to better ones.
  private func pair(_ base: Int, _ source: SocketAddress) -> Int? {
    if let index = self.pairs.firstIndex(where: { $0.base == base && $0.remote.address == source }) { return index }
    let component = self.bases[base].component
    let known = self.remoteCandidates.first {
      $0.component == component && ($0.address == source || $0.address == source.unscoped)
    }
    return known.flatMap { self.makePair(base, $0) }.flatMap { self.index(of: $0) }
  }

  // MARK: Responses

  private func receive(response: STUNMessage, from source: SocketAddress, base: Int, now: Instant) {
    guard let place = self.transactions.firstIndex(where: { $0.id == response.id }) else {
      self.counters.unexpected += 1
      return
    }
    let transaction = self.transactions[place]
    if case .gathering(let task) = transaction.purpose {
      guard source == transaction.destination, base == transaction.base else {
        self.counters.unexpected += 1
        return
      }
      self.receive(response, transaction, task: task, now: now)
      return
    }
    // A peer that our description has not reached yet knows no key (RFC 8489 §9.1.3): it is asked again.
    if response.errorCode == 401, !response.hasIntegrity, source == transaction.destination, base == transaction.base {
      self.counters.accepted += 1
      return
    }
    guard let key = transaction.key, key.opens(response, crypto: self.crypto) else {
      self.counters.unauthentic += 1
      return
    }
    guard !transaction.isAnswered else {
      self.counters.accepted += 1
      return
    }
    self.answered(place, now: now)
    // A way that is not the same both ways is no way (RFC 8445 §7.2.5.2.1).
    guard source == transaction.destination, base == transaction.base else {
      self.counters.unexpected += 1
      self.gaveUp(transaction)
      return
    }
    self.counters.accepted += 1
    switch transaction.purpose {
    case .check(let pair, let nominates, let role):
      if response.messageClass == .success {
        guard response.mappedAddress != nil else { return self.checkFailed(pair, nominates: nominates) }
        self.succeeded(pair, nominates: nominates, now: now)
      } else {
        self.refused(pair, response.errorCode, nominates: nominates, role: role)
      }
    case .consent(let component):
      if response.messageClass == .success { self.consentGiven(component, by: source, on: base, now: now) }
    case .gathering: break
    }
  }

  /// An answer has come; of what was sent more than once there may come another.
  func answered(_ place: Int, now: Instant) {
    guard self.transactions[place].sends > 1 else {
      self.transactions.remove(at: place)
      return
    }
    self.transactions[place].isAnswered = true
    self.cancel(place, now: now)
  }

  private func succeeded(_ id: Int, nominates: Bool, now: Instant) {
    guard let index = self.index(of: id) else { return }
    let isFirst = !self.pairs[index].isValid
    self.pairs[index].state = .succeeded
    let pair = self.pairs[index]
    self.validate(pair.remote.address)
    if self.firstValid[pair.component] == nil { self.firstValid[pair.component] = now }
    for other in self.pairs.indices
    where self.pairs[other].state == .frozen && self.pairs[other].foundation == pair.foundation {
      self.pairs[other].state = .waiting
    }
    if isFirst { self.actions.append(.validated(self.selectedPair(pair))) }
    self.consentGiven(pair.component, by: pair.remote.address, on: pair.base, now: now)
    let isOurs = nominates && self.role == .controlling && self.nominating[pair.component] == id
    if isOurs || pair.isNominatedByPeer { self.nominated(index, now: now) }
  }

  private func refused(_ id: Int, _ code: Int?, nominates: Bool, role: ICERole) {
    guard code == 487, let index = self.index(of: id) else { return self.checkFailed(id, nominates: nominates) }
    if role == self.role { self.change(role: role.other) }
    if !self.pairs[index].isValid { self.pairs[index].state = .waiting }
    self.trigger(id)
  }
}
