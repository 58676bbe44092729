internal import NetBase

/// The checks themselves: which goes next, again, and when it is over (RFC 8445 §6.1.4, §7.2).
extension ICESession {
  /// Milliseconds for which a check holds back others of its foundation.
  static let longestHold: Int64 = 1_000

  /// Whether something would leave if the pace allowed it.
  func hasWork(now: Instant) -> Bool {
    if self.tasks.contains(where: { $0.state == .waiting }) { return true }
    guard self.remote != nil, !self.configuration.isLite else { return false }
    return !self.triggered.isEmpty || self.nextOrdinaryCheck(now: now) != nil
  }

  func runChecks(now: Instant) {
    while self.nextPace <= now, self.runOne(now: now) { self.nextPace = now.advanced(byMilliseconds: Self.pace) }
  }

  /// A description waits for some questions, and a call for checks; what nothing waits for is asked when neither goes.
  private func runOne(now: Instant) -> Bool {
    if let task = self.tasks.firstIndex(where: { $0.state == .waiting && $0.isAwaited }) {
      self.ask(task, now: now)
      return true
    }
    if self.remote != nil, !self.configuration.isLite, self.checkOne(now: now) { return true }
    guard let task = self.tasks.firstIndex(where: { $0.state == .waiting }) else { return false }
    self.ask(task, now: now)
    return true
  }

  private func checkOne(now: Instant) -> Bool {
    while !self.triggered.isEmpty {
      let next = self.triggered.removeFirst()
      guard let index = self.index(of: next.pair) else { continue }
      self.check(index, nominates: next.nominates, now: now)
      return true
    }
    guard let index = self.nextOrdinaryCheck(now: now) else { return false }
    self.check(index, nominates: false, now: now)
    return true
  }

  /// The best that waits; else a frozen one, where nothing of its foundation is under way (RFC 8445 §6.1.4.2).
  ///
  /// What has been under way for a second holds nothing back: where candidates are trickled, one side may have begun with
  /// one component and its peer with the other, and each would wait for what the other's NAT does not let through.
  private func nextOrdinaryCheck(now: Instant) -> Int? {
    let open = self.pairs.indices.filter { self.selected[self.pairs[$0].component] == nil || !self.isConnected }
    let waiting = open.filter { self.pairs[$0].state == .waiting && !self.hasNominated(self.pairs[$0].component) }
    if let best = waiting.max(by: { self.pairs[$0].priority < self.pairs[$1].priority }) { return best }
    let busy = Set(
      self.pairs.filter {
        $0.state == .waiting
          || $0.state == .inProgress && now.milliseconds(since: $0.startedAt) < Self.longestHold
      }.map(\.foundation))
    return open.filter {
      self.pairs[$0].state == .frozen && !busy.contains(self.pairs[$0].foundation)
        && !self.hasNominated(self.pairs[$0].component)
    }.max {
      let (left, right) = (self.pairs[$0], self.pairs[$1])
      return left.component != right.component ? left.component > right.component : left.priority < right.priority
    }
  }

  func hasNominated(_ component: Int) -> Bool {
    self.pairs.contains { $0.component == component && $0.isNominated }
  }

  /// What an incoming check asks for (RFC 8445 §7.3.1.4).
  func trigger(_ pair: Int, nominates: Bool = false) {
    if let queued = self.triggered.firstIndex(where: { $0.pair == pair }) {
      if nominates { self.triggered[queued].nominates = true }
      return
    }
    self.triggered.append((pair, nominates))
  }

  private func check(_ index: Int, nominates: Bool, now: Instant) {
    guard let remote else { return }
    let pair = self.pairs[index]
    let id = STUNTransactionID(using: &self.random)
    let bytes = self.request(id, base: pair.base, local: self.local, remote: remote, nominates: nominates)
    if !pair.isValid { self.pairs[index].state = .inProgress }
    self.pairs[index].startedAt = now
    self.start(
      bytes, id, .check(pair: pair.id, nominates: nominates, role: self.role), base: pair.base,
      to: pair.remote.address, key: STUNKey(of: remote), now: now)
  }

  /// A check's request (RFC 8445 §7.2.2), which also asks for consent.
  func request(
    _ id: STUNTransactionID, base: Int, local: ICECredentials, remote: ICECredentials, nominates: Bool = false
  ) -> [UInt8] {
    let base = self.bases[base]
    var message = STUNWriter(.request, id: id)
    message.add(STUNType.username, "\(remote.fragment):\(local.fragment)")
    message.add(
      STUNType.priority,
      ICECandidate.priority(.peerReflexive, localPreference: base.localPreference, component: base.component))
    message.add(self.role == .controlling ? STUNType.controlling : STUNType.controlled, self.tieBreaker)
    if nominates { message.add(STUNType.useCandidate, []) }
    message.addIntegrity(key: remote.key, crypto: self.configuration.crypto)
    message.addFingerprint()
    return message.bytes
  }

  func start(
    _ bytes: [UInt8], _ id: STUNTransactionID, _ purpose: ICETransaction.Purpose, base: Int,
    to destination: SocketAddress, key: STUNKey?, now: Instant
  ) {
    // RFC 8445 §14.3: the more checks are under way, the slower each is repeated.
    let busy = self.pairs.count { $0.state == .waiting || $0.state == .inProgress }
    let timeout = max(ICETransaction.initialTimeout, Self.pace * Int64(busy))
    self.transactions.append(
      ICETransaction(
        id: id, purpose: purpose, bytes: bytes, base: base, destination: destination, key: key,
        due: now.advanced(byMilliseconds: timeout), timeout: timeout))
    self.send(bytes, base: base, to: destination, now: now)
  }

  func timeoutTransactions(now: Instant) {
    var ended: [ICETransaction] = []
    for index in self.transactions.indices.reversed() where self.transactions[index].due <= now {
      var transaction = self.transactions[index]
      if transaction.isCancelled || transaction.sends >= ICETransaction.maximumSends {
        ended.append(self.transactions.remove(at: index))
        continue
      }
      guard self.isWanted(transaction) else {
        ended.append(transaction)
        self.cancel(index, now: now)
        continue
      }
      transaction.sends += 1
      transaction.timeout *= 2
      let isLast = transaction.sends == ICETransaction.maximumSends
      transaction.due = now.advanced(byMilliseconds: isLast ? ICETransaction.lastWait : transaction.timeout)
      self.transactions[index] = transaction
      self.counters.retransmissions += 1
      self.send(transaction.bytes, base: transaction.base, to: transaction.destination, now: now)
    }
    for transaction in ended where !transaction.isCancelled { self.gaveUp(transaction) }
  }

  /// Once a component has its pair, only what could be better goes on (RFC 8445 §8.1.2).
  private func isWanted(_ transaction: ICETransaction) -> Bool {
    switch transaction.purpose {
    case .check(let pair, let nominates, _):
      guard let index = self.index(of: pair) else { return false }
      return nominates || !self.hasNominated(self.pairs[index].component) || self.pairs[index].isNominatedByPeer
    case .consent: return false
    case .gathering(let task): return self.tasks[task].state == .inProgress
    }
  }

  func gaveUp(_ transaction: ICETransaction) {
    switch transaction.purpose {
    case .check(let pair, let nominates, _): self.checkFailed(pair, nominates: nominates)
    case .consent: break
    case .gathering(let task):
      self.tasks[task].state = .failed
      self.tasks[task].failure = "\(self.configuration.servers[self.tasks[task].server]) does not answer"
    }
  }

  func checkFailed(_ id: Int, nominates: Bool) {
    guard let index = self.index(of: id) else { return }
    let component = self.pairs[index].component
    if nominates, self.nominating[component] == id { self.nominating[component] = nil }
    guard nominates || !self.pairs[index].isValid else { return }
    // Another check of the pair may be under way, as after a change of roles.
    guard !self.triggered.contains(where: { $0.pair == id }), !self.isUnderWay(id) else { return }
    if !self.pairs[index].isNominated { self.pairs[index].state = .failed }
  }

  private func isUnderWay(_ id: Int) -> Bool {
    self.transactions.contains { transaction in
      guard case .check(id, _, _) = transaction.purpose else { return false }
      return !transaction.isCancelled
    }
  }

  func cancelChecks(of pair: Int, now: Instant) {
    for index in self.transactions.indices {
      guard case .check(pair, false, _) = self.transactions[index].purpose else { continue }
      self.cancel(index, now: now)
    }
  }

  /// Sends it no more, and waits for what may still answer it.
  func cancel(_ transaction: Int, now: Instant) {
    self.transactions[transaction].isCancelled = true
    self.transactions[transaction].due = max(
      self.transactions[transaction].due, now.advanced(byMilliseconds: ICETransaction.lastWait))
  }
}
