package import NetBase

/// One media section's connectivity checks (RFC 8445), full or lite: sans I/O, owned by whoever owns the sockets.
///
/// After each call the owner takes every action until nil, and calls `timeout` when `nextDeadline` has come. Network
/// input never traps; what is not authenticated changes nothing but a counter.
package final class ICESession {
  let configuration: ICEConfiguration
  var bases: [ICEBase]
  var random: any RandomNumberGenerator
  /// RFC 8445 §7.3.1.1.
  let tieBreaker: UInt64

  package internal(set) var role: ICERole
  package internal(set) var local: ICECredentials
  package internal(set) var remote: ICECredentials?
  package internal(set) var counters = ICECounters()
  /// What may be told to the peer.
  package internal(set) var localCandidates: [ICECandidate] = []
  package internal(set) var isGatheringEnded = false
  /// The pair in use of each component.
  package internal(set) var selected: [Int: ICESelectedPair] = [:]
  package internal(set) var isConnected = false
  package internal(set) var failure: String?

  var actions: [ICEAction] = []
  var nextAction = 0
  var isRemoteLite = false
  var remoteCandidates: [ICECandidate] = []
  var pairs: [ICEPair] = []
  var nextPair = 0
  var triggered: [(pair: Int, nominates: Bool)] = []
  var transactions: [ICETransaction] = []
  var tasks: [ICEGatheringTask] = []
  /// What TURN servers relay for us, for the session's life.
  var allocations: [TURNAllocation] = []
  var consents: [Int: ICEConsent] = [:]
  /// Credentials of the generations before, the last used first: the peer may not have heard of a newer one yet, or have
  /// found no pair of it, and asks for consent to go on with the old. Restarts may overtake each other.
  var former: [ICECredentials] = []
  /// Requests that outran the peer's description.
  var early: [(base: Int, source: SocketAddress, priority: UInt32, nominates: Bool)] = []
  /// What an offer of ours says, which asks for a restart and has no answer yet; and the checks that outran it.
  var expected: ICECredentials?
  var earlyExpected: [(base: Int, source: SocketAddress, priority: UInt32, nominates: Bool)] = []
  /// Addresses from which an authenticated check came, or to which one of ours was answered; each with the number that
  /// the last of these has.
  private(set) var validatedAddresses: [SocketAddress: UInt64] = [:]
  private var validations: UInt64 = 0
  /// When the next check may leave.
  var nextPace: Instant
  var gatheringEnd: Instant?
  /// When it is over if nothing is nominated (RFC 8863).
  var patienceEnd: Instant?
  /// When a component had its first valid pair: a better one is waited for, but not long.
  var firstValid: [Int: Instant] = [:]
  /// Components whose nomination is under way.
  var nominating: [Int: Int] = [:]
  var requestCredit: Int64
  var creditedAt: Instant
  var keepaliveAt: Instant?

  /// Milliseconds between two new checks (RFC 8445 §14.2).
  static let pace: Int64 = 50
  /// RFC 8863 §4: as long as a check can last.
  static let patience: Int64 = 39_500
  static let maximumPairs = 100
  static let maximumRemoteCandidates = 100
  static let maximumEarly = 32
  /// More than there can be restarts between two questions for consent, one a second.
  static let maximumFormer = 16
  static let maximumValidated = 128
  /// How long a better pair is waited for.
  static let nominationDelay: Int64 = 300
  /// Requests a second, and how many at once.
  static let requestRate: Int64 = 100
  static let requestBurst: Int64 = 200

  /// Begins to gather; what comes of it are actions.
  ///
  /// - Parameter local: what the description already says; nil draws others.
  package init(
    _ configuration: ICEConfiguration, bases: [ICEBase], role: ICERole, local: ICECredentials? = nil,
    random: some RandomNumberGenerator, now: Instant
  ) {
    self.configuration = configuration
    self.bases = bases
    self.role = role
    self.random = random
    self.tieBreaker = self.random.next()
    self.local = local ?? ICECredentials(using: &self.random)
    (self.nextPace, self.creditedAt) = (now, now)
    self.requestCredit = Self.requestBurst
    self.startGathering(now: now)
    self.settle(now: now)
  }

  /// What the peer's checks may name: the `ice-ufrag` that holds, and that of an offer of ours that asks for a restart.
  package var fragments: [String] { [self.local.fragment] + (self.expected.map { [$0.fragment] } ?? []) }

  /// The oldest action that is not taken yet.
  package func takeAction() -> ICEAction? {
    guard self.nextAction < self.actions.count else {
      self.actions.removeAll(keepingCapacity: true)
      self.nextAction = 0
      return nil
    }
    defer { self.nextAction += 1 }
    return self.actions[self.nextAction]
  }

  /// Whether an authenticated check vouches for `address`, of whichever component: nothing else may reach DTLS.
  package func isValidated(_ address: SocketAddress) -> Bool { self.validatedAddresses[address] != nil }

  /// Where a component's data may leave now: the pair in use, or the best that is valid.
  package func sendingPair(_ component: Int) -> ICESelectedPair? {
    if let pair = self.selected[component] { return pair }
    return self.bestValid(component).map { self.selectedPair($0) }
  }

  // MARK: The peer's description

  /// Takes the peer's description, and starts the checks; the same credentials again add candidates only.
  ///
  /// Other credentials than before are a restart of the peer's, which takes one of ours too: `restart` comes first.
  package func setRemote(_ remote: ICERemote, now: Instant) {
    guard self.failure == nil else { return }
    if self.remote != remote.credentials {
      if self.remote != nil { self.forgetChecks() }
      self.remote = remote.credentials
      self.patienceEnd = now.advanced(byMilliseconds: Self.patience)
    }
    self.isRemoteLite = remote.isLite
    if remote.isLite != self.configuration.isLite {
      // The full agent controls (RFC 8445 §6.1.1).
      self.change(role: remote.isLite ? .controlling : .controlled)
    }
    self.drop(componentsAbove: remote.components)
    self.releaseDropped(now: now)
    for candidate in remote.candidates { self.add(candidate) }
    self.takeEarly(now: now)
    if remote.isLite, self.configuration.isLite { self.selectWithoutChecks(now: now) }
    self.settle(now: now)
  }

  /// A candidate that the peer trickled (RFC 8838 §11).
  package func addRemote(_ candidate: ICECandidate, now: Instant) {
    guard self.failure == nil, self.remote != nil else { return }
    self.add(candidate)
    self.settle(now: now)
  }

  /// An offer says `local`, which is to hold after a restart: checks that outrun the answer are answered, and kept.
  package func expect(_ local: ICECredentials) {
    self.expected = local
    self.earlyExpected = []
  }

  /// Begins anew with other credentials; the pair in use stays until the next is nominated (RFC 8445 §9), or is lost.
  ///
  /// Also after a failure; then nothing is in use until a pair is nominated.
  ///
  /// - Parameter local: what the description already says; nil draws others.
  package func restart(local: ICECredentials? = nil, now: Instant) {
    if self.failure != nil { (self.failure, self.selected, self.consents) = (nil, [:], [:]) }
    self.former = Array(([self.local] + self.former).prefix(Self.maximumFormer))
    self.local = local ?? ICECredentials(using: &self.random)
    self.remote = nil
    self.forgetChecks()
    self.patienceEnd = nil
    if self.local == self.expected { self.early = self.earlyExpected }
    (self.expected, self.earlyExpected) = (nil, [])
    self.startGathering(now: now)
    self.settle(now: now)
  }

  /// The checks under way are repeated no more, as their pairs are gone; what answers them is still known.
  private func forgetChecks() {
    self.pairs = []
    self.triggered = []
    self.remoteCandidates = []
    self.early = []
    (self.firstValid, self.nominating) = ([:], [:])
    self.isConnected = false
  }

  /// The peer shares one component for both.
  private func drop(componentsAbove count: Int) {
    guard self.components.contains(where: { $0 > count }) else { return }
    self.droppedAbove = count
    let dropped = Set(self.pairs.filter { $0.component > count }.map(\.id))
    self.pairs.removeAll { dropped.contains($0.id) }
    self.triggered.removeAll { dropped.contains($0.pair) }
    for component in self.consents.keys where component > count { self.consents[component] = nil }
    for component in self.selected.keys where component > count { self.selected[component] = nil }
  }

  var droppedAbove = Int.max
  /// Nothing is checked any more, nor answered: relays are given back.
  var isClosing = false

  /// Whether a component has pairs of its own: not with rtcp-mux, nor where the peer has none.
  package func covers(_ component: Int) -> Bool { self.components.contains(component) }

  /// The components that need a pair.
  var components: Set<Int> { Set(self.bases.map(\.component).filter { $0 <= self.droppedAbove }) }

  // MARK: Pairs

  func add(_ candidate: ICECandidate) {
    var candidate = candidate
    // The largest that RFC 8445 §5.1.2 allows: a pair's priority is computed from it.
    candidate.priority = min(max(candidate.priority, 1), UInt32(Int32.max))
    guard self.components.contains(candidate.component), candidate.address.port != 0,
      !candidate.address.isUnspecified, !candidate.address.isMulticast
    else { return }
    if let known = self.remoteCandidates.firstIndex(where: {
      $0.address == candidate.address && $0.component == candidate.component
    }) {
      // What was found by itself is told late: its own priority and foundation count (RFC 8838 §11.1).
      guard self.remoteCandidates[known].kind == .peerReflexive, candidate.kind != .peerReflexive else { return }
      self.remoteCandidates[known] = candidate
      for index in self.pairs.indices
      where self.pairs[index].remote.address == candidate.address
        && self.pairs[index].component == candidate.component
      {
        self.pairs[index].remote = candidate
        self.pairs[index].setPriority(self.role)
      }
      return
    }
    guard self.remoteCandidates.count < Self.maximumRemoteCandidates else { return }
    self.remoteCandidates.append(candidate)
    for base in self.bases.indices { _ = self.makePair(base, candidate) }
  }

  /// Nil where the two don't go together.
  func makePair(_ base: Int, _ remote: ICECandidate) -> Int? {
    let local = self.bases[base]
    guard !self.configuration.isRelayOnly || local.relay != nil, local.component == remote.component,
      local.address.family == remote.address.family,
      local.address.isLinkLocal == remote.address.isLinkLocal
    else { return nil }
    var remote = remote
    if remote.address.isLinkLocal { remote.address.scope = local.address.scope }
    var pair = ICEPair(
      id: self.nextPair, base: base, remote: remote,
      localFoundation: self.foundation(of: local),
      localPriority: ICECandidate.priority(
        local.kind, localPreference: local.localPreference, component: local.component))
    self.nextPair += 1
    pair.setPriority(self.role)
    self.pairs.append(pair)
    self.limitPairs(keeping: pair.id)
    return self.pairs.contains { $0.id == pair.id } ? pair.id : nil
  }

  /// The least of those that have failed goes; else of those that were not checked yet (RFC 8445 §6.1.2.5).
  private func limitPairs(keeping newest: Int) {
    guard self.pairs.count > Self.maximumPairs else { return }
    let idle = self.pairs.indices.filter {
      [.frozen, .waiting, .failed].contains(self.pairs[$0].state) && !self.pairs[$0].isNominated
    }
    let failed = idle.filter { self.pairs[$0].state == .failed }
    let least = (failed.isEmpty ? idle : failed).min { self.pairs[$0].priority < self.pairs[$1].priority }
    guard let least else {
      self.pairs.removeAll { $0.id == newest }
      return
    }
    let id = self.pairs.remove(at: least).id
    self.triggered.removeAll { $0.pair == id }
  }

  func index(of pair: Int) -> Int? { self.pairs.firstIndex { $0.id == pair } }

  func selectedPair(_ pair: ICEPair) -> ICESelectedPair {
    ICESelectedPair(component: pair.component, base: pair.base, remote: pair.remote.address)
  }

  func bestValid(_ component: Int) -> ICEPair? {
    self.pairs.filter { $0.component == component && $0.isValid }.max { $0.priority < $1.priority }
  }

  func change(role: ICERole) {
    guard role != self.role else { return }
    self.role = role
    self.nominating = [:]
    self.triggered = self.triggered.map { ($0.pair, false) }
    for index in self.pairs.indices {
      self.pairs[index].setPriority(role)
      self.pairs[index].isNominatedByPeer = false
    }
    self.actions.append(.roleChanged(role))
  }

  /// Vouches for `address`. Where there are as many as may be, the oldest that is not in use goes: a peer may restart
  /// again and again, each time from another port.
  func validate(_ address: SocketAddress) {
    if self.validatedAddresses[address] == nil, self.validatedAddresses.count >= Self.maximumValidated {
      let inUse = self.selected.values.map(\.remote)
      let idle = self.validatedAddresses.filter { !inUse.contains($0.key) }
      if let oldest = idle.min(by: { $0.value < $1.value }) { self.validatedAddresses[oldest.key] = nil }
    }
    self.validations += 1
    self.validatedAddresses[address] = self.validations
  }

  func fail(_ reason: String) {
    guard self.failure == nil else { return }
    self.failure = reason
    self.transactions = []
    self.triggered = []
    self.actions.append(.failed(reason))
  }

  func send(_ bytes: [UInt8], base: Int, to address: SocketAddress, now: Instant) {
    if let relay = self.bases[base].relay {
      return self.allocations[relay].send(bytes, to: address, using: &self.random, now: now)
    }
    self.counters.sent += 1
    self.actions.append(.send(bytes, base: base, to: address))
  }

  // MARK: Time

  /// When `timeout` wants to be called; kept, for the packet path asks.
  package private(set) var nextDeadline: Instant?

  package func timeout(now: Instant) {
    guard !self.isClosing else {
      self.timeoutRelays(now: now)
      return self.settle(now: now)
    }
    guard self.failure == nil else { return }
    self.timeoutTransactions(now: now)
    self.timeoutGathering(now: now)
    self.timeoutRelays(now: now)
    self.timeoutConsent(now: now)
    if let end = self.patienceEnd, end <= now, !self.isConnected { self.fail(self.reasonOfFailure) }
    self.settle(now: now)
  }

  private var reasonOfFailure: String {
    let seconds = Self.patience / 1000
    if self.remoteCandidates.isEmpty { return "ICE: the peer named no address that can be tried, and sent no check" }
    if !self.pairs.contains(where: \.isValid) {
      return "ICE: none of \(self.pairs.count) pairs of addresses answered within \(seconds) s"
    }
    return "ICE: no pair of addresses was nominated for every component within \(seconds) s"
  }

  /// What every event ends with.
  func settle(now: Instant) {
    self.runRelays(now: now)
    guard !self.isClosing else {
      self.nextDeadline = self.allocations.compactMap(\.nextDeadline).min()
      return
    }
    if self.failure == nil {
      self.considerNomination(now: now)
      self.bindChannels(now: now)
      self.runChecks(now: now)
    }
    self.runRelays(now: now)
    guard self.failure == nil else {
      self.nextDeadline = nil
      return
    }
    var next: Instant?
    func note(_ instant: Instant?) {
      if let instant { next = min(next ?? instant, instant) }
    }
    if self.hasWork(now: now) { note(self.nextPace) }
    for transaction in self.transactions { note(transaction.due) }
    if !self.isGatheringEnded { note(self.gatheringEnd) }
    for task in self.tasks { note(task.keepalive) }
    for allocation in self.allocations { note(allocation.nextDeadline) }
    for consent in self.consents.values {
      note(min(consent.next, consent.lastAnswer.advanced(byMilliseconds: ICEConsent.expiry)))
    }
    if !self.isConnected { note(self.patienceEnd) }
    note(self.keepaliveAt)
    note(self.nominationDeadline)
    self.nextDeadline = next
  }
}
