internal import NetBase

/// Candidates of our own: the bases themselves, what servers see of them, and relays (RFC 8445 §5.1).
extension ICESession {
  /// Milliseconds between two signs of life that keep a NAT's binding while no pair is selected (RFC 8445 §5.1.1.4).
  static let bindingRefresh: Int64 = 15_000
  /// Milliseconds that servers have for bases that are not awaited, once those that are have theirs: from some of a
  /// host's addresses no server may be reached.
  static let patienceForOthers: Int64 = 500

  func startGathering(now: Instant) {
    self.localCandidates = []
    self.isGatheringEnded = false
    for index in self.transactions.indices {
      guard case .gathering = self.transactions[index].purpose else { continue }
      self.transactions[index].isAnswered = true
      self.cancel(index, now: now)
    }
    self.tasks = []
    for (index, base) in self.bases.enumerated() where base.relay == nil && base.component <= self.droppedAbove {
      if self.configuration.isLite || self.configuration.tellsHostCandidates && !self.configuration.isRelayOnly {
        self.tell(Self.host(base))
      }
      guard !self.configuration.isLite, !base.address.isLinkLocal else { continue }
      let asksForRelays = self.isFirstOfItsFamily(index)
      for (place, server) in self.configuration.servers.enumerated()
      where server.address.family == base.address.family {
        var task = ICEGatheringTask(server: place, base: index, isAwaited: base.isAwaited)
        if server.kind == .turn, asksForRelays {
          task.allocation = self.allocation(at: server, base: index)
        } else {
          // A TURN server says what it sees, too, where it is asked from the socket itself.
          guard !self.configuration.isRelayOnly, server.transport == .udp else { continue }
          task.credentials = server.credentials(self.crypto)
        }
        self.tasks.append(task)
      }
    }
    // Where no server has the family of those that are awaited, the others are all there is.
    if !self.tasks.contains(where: \.isAwaited) {
      for index in self.tasks.indices { self.tasks[index].isAwaited = true }
    }
    self.tellRelays()
    self.gatheringEnd = now.advanced(byMilliseconds: self.configuration.gatheringLimit)
    self.endGatheringIfDone(now: now)
  }

  /// One relay a server, for each component and family: more addresses of ours would lead from it to the same places.
  private func isFirstOfItsFamily(_ index: Int) -> Bool {
    let base = self.bases[index]
    return !self.bases[..<index].contains {
      $0.relay == nil && $0.component == base.component && $0.address.family == base.address.family
        && !$0.address.isLinkLocal
    }
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

  func tell(_ candidate: ICECandidate) {
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
    if let allocation = task.allocation {
      return self.allocations[allocation].start(using: &self.random, now: now)
    }
    let server = self.configuration.servers[task.server]
    let id = STUNTransactionID(using: &self.random)
    var message = STUNWriter(.request, id: id)
    let key = task.credentials?.sign(&message)
    message.addFingerprint()
    self.start(message.bytes, id, .gathering(index), base: task.base, to: server.address, key: key, now: now)
  }

  func receive(_ response: STUNMessage, _ transaction: ICETransaction, task index: Int, now: Instant) {
    // A challenge can't be authenticated, for there is no key yet (RFC 8489 §9.2.4).
    let isChallenge = response.messageClass == .failure && [401, 438].contains(response.errorCode)
    if let key = transaction.key, !isChallenge, !key.opens(response, crypto: self.configuration.crypto) {
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
      let server = self.configuration.servers[self.tasks[index].server]
      // 401 once; 438 as often as nonces go stale, within reason.
      if isChallenge, self.tasks[index].attempts < 4, self.tasks[index].credentials?.take(response) == true {
        self.tasks[index].state = .waiting
      } else {
        self.tasks[index].state = .failed
        self.tasks[index].failure =
          isChallenge
          ? "\(server) refuses the user or the password"
          : "\(server) does not say what it sees: error \(response.errorCode ?? 0)"
      }
      return
    }
    self.tasks[index].state = .done
    if !self.isConnected { self.tasks[index].keepalive = now.advanced(byMilliseconds: Self.bindingRefresh) }
    self.tellReflexive(mapped, of: self.bases[self.tasks[index].base], by: self.tasks[index].server)
  }

  /// What a server sees of a base.
  func tellReflexive(_ mapped: SocketAddress, of base: ICEBase, by server: Int) {
    guard !mapped.isUnspecified, mapped.port != 0, !self.configuration.isRelayOnly else { return }
    self.tell(
      ICECandidate(
        foundation: Self.foundation(
          .serverReflexive, base.address, server: self.configuration.servers[server].address),
        component: base.component,
        priority: ICECandidate.priority(
          .serverReflexive, localPreference: base.localPreference, component: base.component), address: mapped,
        kind: .serverReflexive, related: self.related(base.address)))
  }

  /// What may be told of an address that only helps to understand a candidate (RFC 8839 §5.1).
  func related(_ address: SocketAddress) -> SocketAddress {
    if self.configuration.tellsHostCandidates, !self.configuration.isRelayOnly { return address }
    return address.family == .ipv4 ? SocketAddress(ipv4: 0, port: 9) : SocketAddress(ipv6: 0, 0, port: 9)
  }

  /// What a description has waited for and could not be gathered, a sentence each.
  package var gatheringProblems: [String] {
    var problems: [String] = []
    for task in self.tasks where task.isAwaited && task.state != .done {
      let server = self.configuration.servers[task.server]
      let limit = Double(self.configuration.gatheringLimit) / 1000
      let problem = task.failure ?? "\(server) has not answered within \(limit) s"
      if !problems.contains(problem) { problems.append(problem) }
    }
    return problems
  }

  func endGatheringIfDone(now: Instant) {
    guard !self.isGatheringEnded else { return }
    if !self.tasks.contains(where: { $0.isAwaited && !$0.isOver }) {
      let end = now.advanced(byMilliseconds: Self.patienceForOthers)
      self.gatheringEnd = min(self.gatheringEnd ?? end, end)
    }
    guard self.tasks.allSatisfy(\.isOver) || (self.gatheringEnd.map { $0 <= now } ?? false) else { return }
    self.isGatheringEnded = true
    // What is seen of these later would be told to nobody, and their questions would hold up checks.
    for index in self.tasks.indices
    where !self.tasks[index].isAwaited && !self.tasks[index].isOver && self.tasks[index].allocation == nil {
      self.tasks[index].state = .failed
    }
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
        to: self.configuration.servers[self.tasks[index].server].address, now: now)
    }
  }
}
