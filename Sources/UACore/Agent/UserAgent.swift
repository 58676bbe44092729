package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// A user agent: an actor whose executor is its main loop.
///
/// An instance, never a global: several live in one process, each on a loop of its own.
package actor UserAgent {
  package nonisolated let main: EventLoop
  /// What happens to the agent's calls, in order; for one reader.
  package nonisolated let events: AsyncStream<AgentEvent>
  private nonisolated let announce: AsyncStream<AgentEvent>.Continuation
  private let settings: AgentSettings
  private let pool: LoopPool?
  private let ownsPool: Bool
  private var core: AgentCore?
  private var waiters: [CheckedContinuation<Void, Never>] = []
  /// Whether the agent ends: then nobody waits only until no call is left, but until the peers know it.
  private var isLeaving = false

  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe self.main.asUnownedSerialExecutor()
  }

  /// - Parameter pool: workers to share with other agents; nil makes the agent's own where the mode needs them.
  package init(_ settings: AgentSettings, pool: LoopPool? = nil, name: String = "main") {
    self.settings = settings
    self.main = EventLoop.start(name: name)
    (self.events, self.announce) = AsyncStream.makeStream(of: AgentEvent.self)
    let configuration = settings.configuration
    self.ownsPool = pool == nil && configuration.rxMode == .pool
    self.pool =
      self.ownsPool ? LoopPool(count: configuration.rxWorkers ?? processorCount(), name: "rtp-pool") : pool
  }

  /// Makes the modules and opens the SIP transports. Whoever calls at that moment finds the accounts there.
  ///
  /// - Throws: `ModuleError` or `AdmissionError`; then the agent is of no further use but for `shutDown`.
  package func start(accounts: [CallSettings] = []) throws {
    let core = try self.makeCore()
    try core.start()
    self.core = core
    // Before the loop turns again: nothing that came in was read yet.
    if !accounts.isEmpty { try self.setAccounts(accounts) }
  }

  private func makeCore() throws -> AgentCore {
    guard !self.isLeaving else { throw ModuleError(.unavailable, "the agent has ended") }
    return try self.main.withContext { context in
      try AgentCore(
        settings: self.settings, main: self.main, context: context,
        loops: TransportLoops(main: self.main, pool: self.pool),
        wallClockOffset: wallClockNanoseconds() - context.now.nanoseconds,
        emit: { [weak self] event in self?.assumeIsolated { $0.take(event) } })
    }
  }

  /// What `start` would throw, of the modules or of an account, with nothing opened; then the agent is of no further use but
  /// for `shutDown`.
  package func rehearse(accounts: [CallSettings]) -> [(account: Int?, error: any Error)] {
    do {
      let core = try self.makeCore()
      return accounts.enumerated().compactMap { index, account in
        do { try core.validate(account) } catch { return (index, error) }
        return nil
      }
    } catch { return [(nil, error)] }
  }

  /// Where SIP listens.
  package var listenAddress: SocketAddress? { self.core?.listenAddress }

  /// Where each kind of SIP transport listens; those that listen nowhere are left out.
  package var listenAddresses: [SIPTransportKind: SocketAddress] {
    let listening = (self.core?.transports.all ?? []).filter { $0.localAddress.port != 0 }
    return Dictionary(listening.map { ($0.kind, $0.localAddress) }) { first, _ in first }
  }

  /// Who answers calls that come in, the first one also those for no one else; empty refuses them.
  ///
  /// - Throws: what is wrong with one of them.
  package func setAccounts(_ accounts: [CallSettings]) throws {
    for account in accounts { try self.core?.validate(account) }
    self.core?.accounts = accounts
  }

  /// Calls `target`: `sip:user@host[:port]`, or `user@host`.
  ///
  /// - Throws: `ModuleError` or `AdmissionError`, before anything is sent.
  package func call(_ target: String, settings: CallSettings) async throws -> CallID {
    let text =
      target.contains(":") && (target.hasPrefix("sip:") || target.hasPrefix("sips:")) ? target : "sip:\(target)"
    guard let uri = try? SIPURI(text), !uri.host.isEmpty else {
      throw ModuleError(.configuration, "\(target) is not a SIP URI: write sip:user@host")
    }
    let targets = try await self.locate(uri)
    return try self.running().call(uri, at: targets, settings: settings)
  }

  /// A call whose descriptions the program carries.
  package func connect(_ peer: String, settings: CallSettings) throws -> CallID {
    try self.running().connect(peer, settings: settings)
  }

  package func makeOffer(_ id: CallID) async throws -> [UInt8] {
    let core = try self.running()
    return try await withCheckedThrowingContinuation { continuation in
      core.makeOffer(id) { continuation.resume(with: $0) }
    }
  }

  package func makeAnswer(_ id: CallID, to offer: [UInt8]) async throws -> [UInt8] {
    let core = try self.running()
    return try await withCheckedThrowingContinuation { continuation in
      core.makeAnswer(id, to: offer) { continuation.resume(with: $0) }
    }
  }

  package func takeAnswer(_ id: CallID, _ answer: [UInt8]) throws { try self.running().takeAnswer(id, answer) }
  package func add(candidates: [String], of fragment: String?, for mediaID: String?, to id: CallID) throws {
    try self.running().add(candidates: candidates, of: fragment, for: mediaID, to: id)
  }
  package func rollback(_ id: CallID) throws { try self.running().rollback(id) }
  package func restartConnectivity(of id: CallID) throws -> Bool { try self.running().requestRestart(id) }

  private func running() throws(ModuleError) -> AgentCore {
    guard let core else { throw ModuleError(.unavailable, "the agent is not running") }
    return core
  }

  /// Where requests for `uri` go, in order.
  private func locate(_ uri: SIPURI) async throws -> [SIPTarget] {
    let core = try self.running()
    return try await withCheckedThrowingContinuation { continuation in
      core.locate(uri) { continuation.resume(with: $0) }
    }
  }

  /// Carries out a line as people type it: `/name parameters`, a key with its parameters behind it, or digits.
  package func execute(_ line: String) -> CommandResult {
    self.core?.execute(line: line) ?? CommandResult(isOK: false, text: "the agent is not running")
  }

  /// What pressing a key means now, where no Enter is needed.
  package func meaning(ofKey key: Character) -> KeyMeaning { self.core?.meaning(ofKey: key) ?? .nothing }

  package func answer(_ id: CallID) { self.core?.answer(id) }
  package func reject(_ id: CallID) { self.core?.reject(id) }
  package func hangUp(_ id: CallID) { self.core?.hangUp(id) }
  package func setHold(_ id: CallID, _ isHeld: Bool) { self.core?.setHold(id, isHeld) }
  package func mute(_ id: CallID, _ isMuted: Bool) { self.core?.mute(id, isMuted) }
  package func send(digits: String, on id: CallID) { self.core?.send(digits: digits, on: id) }
  package func restartConnectivity(_ id: CallID) -> Bool { self.core?.restartConnectivity(id) ?? false }
  package func rekey(_ id: CallID) -> Bool { self.core?.rekey(id) ?? false }

  /// What is known of every call now; the media figures are those of the last `refreshStatistics`.
  package var reports: [CallReport] { self.core?.reports ?? [] }

  /// Asks the transports of all calls for their figures; `reports` has them a moment later.
  package func refreshStatistics() {
    for report in self.reports { self.core?.refreshStatistics(report.id) }
  }

  /// What stands now, added up, for whoever looks at many calls again and again: they are asked in `parts` parts.
  package func callTotals(asking part: Int? = nil, of parts: Int = 1) -> CallTotals {
    self.core?.callTotals(asking: part, of: parts) ?? CallTotals()
  }

  package func hangUpAll() { self.core?.hangUpAll() }

  /// Waits until no call is left, and no registration is being removed.
  package func waitUntilIdle() async {
    guard !self.isDone else { return }
    await withCheckedContinuation { self.waiters.append($0) }
  }

  /// Ends every call, waits two seconds at most for the peers, and stops the loops.
  ///
  /// What is called after that throws that the agent is not running, or does nothing.
  package nonisolated func shutDown() async {
    await self.endCalls()
    self.announce.finish()
    self.main.stop()
    if self.ownsPool { self.pool?.stop() }
  }

  /// Takes no new calls, and waits until those that stand have ended: for `drain_timeout` at most.
  package func drain() async {
    guard let seconds = self.core?.beginDrain() else { return }
    await self.waitUntilIdle(milliseconds: Int64(seconds) * 1000)
  }

  private func endCalls() async {
    self.isLeaving = true
    guard self.core != nil else { return }
    self.core?.onProgress = { [weak self] in self?.assumeIsolated { $0.look() } }
    self.core?.hangUpAll()
    await self.waitUntilIdle(milliseconds: 2000)
    self.core?.close()
    // Media of calls that were not over until then: where it has a thread of its own, that ends with it.
    await self.waitUntilIdle(milliseconds: 2000)
    self.core = nil
    self.resumeWaiters()
  }

  private func waitUntilIdle(milliseconds: Int64) async {
    self.main.withContext { context in
      context.schedule(at: context.now.advanced(byMilliseconds: milliseconds)) { [weak self] in
        self?.assumeIsolated { $0.resumeWaiters() }
      }
    }
    await self.waitUntilIdle()
  }

  private func take(_ event: AgentEvent) {
    self.announce.yield(event)
    switch event {
    case .ended, .registration: self.look()
    default: break
    }
  }

  private var isDone: Bool {
    guard let core else { return true }
    return self.isLeaving ? core.isSettled : core.isIdle
  }

  private func look() {
    if self.isDone { self.resumeWaiters() }
  }

  private func resumeWaiters() {
    let waiters = self.waiters
    self.waiters = []
    for waiter in waiters { waiter.resume() }
  }
}
