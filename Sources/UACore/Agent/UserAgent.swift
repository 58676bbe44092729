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
  /// Who waits until a message is taken, by number.
  private var messages: [Int: CheckedContinuation<Void, any Error>] = [:]
  private var lastMessage = 0
  /// Whether the agent ends: then nobody waits only until no call is left, but until the peers know it.
  private var isLeaving = false
  /// Which of the accounts was refused, counted from 0; nil where none was.
  package private(set) var refusedAccount: Int?

  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe self.main.asUnownedSerialExecutor()
  }

  /// - Parameter pool: workers to share with other agents; nil makes the agent's own where the mode needs them.
  package init(_ settings: AgentSettings, pool: LoopPool? = nil, name: String = "main") {
    guard let loops = Self.loops(settings, pool, name) else {
      preconditionFailure("no descriptors or threads for an agent")
    }
    self.init(settings, on: loops.main, pool: pool ?? loops.own, ownsPool: loops.own != nil)
  }

  /// The same where the process may be at its limits.
  ///
  /// - Throws: `.exhausted` when there are no descriptors or threads for its loops.
  package init(ifPossible settings: AgentSettings, pool: LoopPool? = nil, name: String = "main") throws(ModuleError) {
    guard let loops = Self.loops(settings, pool, name) else {
      throw ModuleError(.exhausted, "no descriptor or thread is left for a user agent: raise ulimit -n or -u")
    }
    self.init(settings, on: loops.main, pool: pool ?? loops.own, ownsPool: loops.own != nil)
  }

  private init(_ settings: AgentSettings, on main: EventLoop, pool: LoopPool?, ownsPool: Bool) {
    (self.settings, self.main, self.pool, self.ownsPool) = (settings, main, pool, ownsPool)
    (self.events, self.announce) = AsyncStream.makeStream(of: AgentEvent.self)
  }

  /// Main's loop, and the workers that the mode needs where nobody shares any; nil where one can't be had.
  private static func loops(_ settings: AgentSettings, _ pool: LoopPool?, _ name: String) -> (
    main: EventLoop, own: LoopPool?
  )? {
    guard let main = EventLoop.startIfPossible(name: name) else { return nil }
    let configuration = settings.configuration
    guard pool == nil, configuration.rxMode == .pool else { return (main, nil) }
    if let own = LoopPool(ifPossible: configuration.rxWorkers ?? processorCount(), name: "rtp-pool") {
      return (main, own)
    }
    main.stop()
    return nil
  }

  /// Makes the modules and opens the SIP transports. Whoever calls at that moment finds the accounts there.
  ///
  /// - Throws: `ModuleError` or `AdmissionError`; then the agent is of no further use but for `shutDown`.
  package func start(accounts: [CallSettings] = []) throws {
    let core = try self.makeCore()
    do { try core.start() } catch {
      // Some of its transports may listen already.
      core.close()
      throw error
    }
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

  /// What `start` would throw and warn of, with nothing opened; then the agent is of no further use but for `shutDown`.
  package func rehearse(accounts: [CallSettings]) -> Rehearsal {
    do { return Rehearsal(try self.makeCore(), accounts: accounts) } catch { return Rehearsal(error) }
  }

  /// Whether an active module brings a codec; without one no call can be made.
  package var hasCodec: Bool { self.core?.registry.codecs.isEmpty == false }

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
    for (index, account) in accounts.enumerated() {
      do { try self.core?.validate(account) } catch {
        self.refusedAccount = index
        throw error
      }
    }
    self.core?.accounts = accounts
  }

  /// Calls `target`: `sip:user@host[:port]`, or `user@host`.
  ///
  /// - Throws: `ModuleError` or `AdmissionError`, before anything is sent.
  package func call(_ target: String, settings: CallSettings) async throws -> CallID {
    let uri = try Self.uri(target)
    let targets = try await self.locate(uri)
    return try self.running().call(uri, at: targets, settings: settings)
  }

  /// Calls `target` from the first account: by its proxies, and with its password for whoever asks.
  ///
  /// - Throws: as above.
  package func call(_ target: String) async throws -> CallID {
    let uri = try Self.uri(target)
    let way = try await self.way(to: uri)
    let (core, account) = try self.sender()
    return try core.call(
      uri, at: way.targets, settings: account.settings, routeSet: way.routeSet, account: account)
  }

  private static func uri(_ target: String) throws(ModuleError) -> SIPURI {
    guard let uri = try? SIPURI(DialString.hasScheme(target) ? target : "sip:\(target)"), !uri.host.isEmpty else {
      throw ModuleError(.configuration, DialString.refusal(of: target))
    }
    return uri
  }

  private func sender() throws(ModuleError) -> (AgentCore, LocalAccount) {
    let core = try self.running()
    guard let account = core.localAccounts.first else {
      throw ModuleError(.configuration, "there is no account to send from")
    }
    return (core, account)
  }

  /// How requests of the first account reach `uri`.
  private func way(to uri: SIPURI) async throws -> RequestWay {
    let (core, account) = try self.sender()
    return try await withCheckedThrowingContinuation { continuation in
      core.locate(uri, for: account, lacksDomain: true) { continuation.resume(with: $0) }
    }
  }

  /// Sends a message from the first account, and waits until it is taken.
  ///
  /// - Throws: `ModuleError`, also when the agent ends before; `CancellationError` where the task is cancelled.
  package func send(message: String, to target: String) async throws {
    let uri = try Self.uri(target)
    self.lastMessage += 1
    let number = self.lastMessage
    try await withTaskCancellationHandler {
      try await self.send(message: message, to: uri, number: number)
    } onCancel: {
      Task { await self.settle(message: number, CancellationError()) }
    }
  }

  private func send(message: String, to uri: SIPURI, number: Int) async throws {
    try Task.checkCancellation()
    let (core, account) = try self.sender()
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      self.messages[number] = continuation
      core.sendMessage(message, to: uri, from: account) { [weak self] result in
        let failure: ModuleError?
        switch result {
        case .success(let outcome): failure = outcome.failure(of: uri)
        case .failure(let error): failure = error
        }
        self?.assumeIsolated { $0.settle(message: number, failure) }
      }
    }
  }

  private func settle(message number: Int, _ failure: (any Error)?) {
    guard let continuation = self.messages.removeValue(forKey: number) else { return }
    if let failure { continuation.resume(throwing: failure) } else { continuation.resume() }
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
      core.locate(uri, lacksDomain: true) { continuation.resume(with: $0) }
    }
  }

  /// Carries out a line as people type it: `/name parameters`, a key with its parameters behind it, or digits.
  package func execute(_ line: String) -> CommandResult {
    self.core?.execute(line: line) ?? CommandResult(isOK: false, text: "the agent is not running")
  }

  /// What pressing a key means now, where no Enter is needed.
  package func meaning(ofKey key: Character) -> KeyMeaning { self.core?.meaning(ofKey: key) ?? .nothing }

  package func answer(_ id: CallID) { self.core?.answer(id) }
  /// Puts every other call on hold, where `call_hold_other_calls` says so.
  package func holdOthers(than id: CallID) {
    if let core, let call = core.calls[id] { core.holdOthers(than: call) }
  }
  package func reject(_ id: CallID, status: Int) { self.core?.reject(id, status: status) }
  package func hangUp(_ id: CallID) { self.core?.hangUp(id) }
  package func setHold(_ id: CallID, _ isHeld: Bool) { self.core?.setHold(id, isHeld) }
  package func mute(_ id: CallID, _ isMuted: Bool) { self.core?.mute(id, isMuted) }
  package func send(digits: String, on id: CallID) { self.core?.send(digits: digits, on: id) }
  package func restartConnectivity(_ id: CallID) -> Bool { self.core?.restartConnectivity(id) ?? false }
  package func rekey(_ id: CallID) -> Bool { self.core?.rekey(id) ?? false }

  /// Asks the peer of a call to call `target` instead: a blind transfer.
  ///
  /// - Throws: where `target` is no SIP URI, or the call does not stand or has no SIP.
  package func transfer(_ id: CallID, to target: String) throws(ModuleError) {
    let uri = try Self.uri(target)
    guard let core, let call = core.calls[id], call.state == .established, call.session != nil else {
      throw ModuleError(.unavailable, "call \(id) can't be transferred: it is not established, or has no SIP")
    }
    core.transfer(call, to: uri)
  }

  /// What is known of a call now; nil when it is over.
  package func report(_ id: CallID) -> CallReport? { self.core?.report(id) }

  /// The same, with the figures that its transports have now.
  package func measuredReport(_ id: CallID) async -> CallReport? {
    guard let core, core.report(id) != nil else { return nil }
    await withCheckedContinuation { continuation in core.whenMeasured(id) { continuation.resume() } }
    return self.report(id)
  }

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
    for number in Array(self.messages.keys) {
      self.settle(message: number, ModuleError(.unavailable, "the agent has ended"))
    }
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
