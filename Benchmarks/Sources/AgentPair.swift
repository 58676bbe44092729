internal import AllModules
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack
internal import UACore

/// Two agents in this process, which call each other over real UDP on loopback.
struct AgentPair: Sendable {
  let caller: UserAgent
  let callee: UserAgent
  /// How the caller calls, and the callee answers.
  let account: CallSettings
  /// What happens at both ends; for one reader at a time.
  let events: AsyncStream<PairEvent>
  private let target: String
  private let pool: LoopPool?

  /// Starts two agents, and ends them when `body` is done, whatever came of it.
  ///
  /// - Parameter encryption: the account's word; nil for none.
  static func run<Outcome>(
    _ mode: RxMode, _ encryption: String?, _ body: (AgentPair) async throws -> Outcome
  ) async throws -> Outcome {
    let pair = try await Self.start(mode, encryption)
    do {
      let outcome = try await body(pair)
      await pair.stop()
      return outcome
    } catch {
      await pair.stop()
      throw error
    }
  }

  private static func start(_ mode: RxMode, _ encryption: String?) async throws -> AgentPair {
    let pool = mode == .pool ? LoopPool(count: processorCount(), name: "rtp-pool") : nil
    let (caller, callee) = (Self.agent(mode, pool, "caller"), Self.agent(mode, pool, "callee"))
    let account = Self.account(encryption)
    try await callee.start()
    try await caller.start()
    try await callee.setAccounts([account])
    let (events, announce) = AsyncStream.makeStream(of: PairEvent.self)
    Task {
      await withDiscardingTaskGroup { group in
        group.addTask { for await event in caller.events { announce.yield(PairEvent(end: .caller, event: event)) } }
        group.addTask { for await event in callee.events { announce.yield(PairEvent(end: .callee, event: event)) } }
      }
      announce.finish()
    }
    let target = "sip:bench@127.0.0.1:\(await callee.listenAddress?.port ?? 0)"
    return AgentPair(
      caller: caller, callee: callee, account: account, events: events, target: target, pool: pool)
  }

  /// Ends both agents, and the stream of their events with them.
  func stop() async {
    await self.caller.shutDown()
    await self.callee.shutDown()
    self.pool?.stop()
  }

  private static func agent(_ mode: RxMode, _ pool: LoopPool?, _ name: String) -> UserAgent {
    var configuration = Configuration()
    configuration.activeModules = usualModuleNames
    configuration.rxMode = mode
    configuration.callMaxCalls = nil
    configuration.rtpPorts = 10_000...59_998
    configuration.liftCallLimits()
    let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
    return UserAgent(
      AgentSettings(available: allModules, configuration: configuration, listen: loopback), pool: pool, name: name)
  }

  private static func account(_ encryption: String?) -> CallSettings {
    // A source at the codec's rate: a resampler is a cost of other calls.
    var call = CallSettings(
      identity: "sip:bench@127.0.0.1", source: AudioDevice(driver: "ausine", device: "440"), player: nil)
    call.mediaEncryption = encryption
    call.codecs = CodecPreference("pcmu").map { [$0] } ?? []
    call.usesRTCPMux = true
    call.answersAtOnce = true
    return call
  }

  /// - Parameter identity: whom the callee sees calling.
  func call(as identity: String? = nil) async throws -> CallID {
    var settings = self.account
    settings.identity = identity ?? settings.identity
    return try await self.caller.call(self.target, settings: settings)
  }

  /// Goes on to `count` calls, one after each `interval` of nanoseconds, and waits until all are established.
  ///
  /// - Returns: those that it placed.
  func place(upTo count: Int, every interval: Int64) async throws -> [CallID] {
    var placed: [CallID] = []
    let standing = await self.caller.callTotals().established
    let start = Instant.now
    while standing + placed.count < count {
      try await Pace.wait(until: start.advanced(byNanoseconds: Int64(placed.count) * interval))
      do { placed.append(try await self.call()) } catch let error as ModuleError {
        throw BenchFailure("call \(standing + placed.count + 1) could not begin: \(error.message)")
      }
    }
    for _ in 0..<100 where await self.caller.callTotals().established < count {
      try await Pace.wait(until: Instant.now.advanced(byMilliseconds: 100))
    }
    let established = await self.caller.callTotals().established
    guard established == count else { throw BenchFailure("\(established) of \(count) calls were established") }
    return placed
  }

  /// Ends calls one after the other, for all at once would be a storm, and waits until both ends are without any.
  func hangUp(_ calls: [CallID]) async throws {
    for call in calls {
      await self.caller.hangUp(call)
      try await Pace.wait(until: Instant.now.advanced(byMilliseconds: 1))
    }
    // A BYE that nobody answers is given up after 32 s.
    for agent in [self.caller, self.callee] {
      for _ in 0..<400 where !(await agent.reports.isEmpty) {
        try await Pace.wait(until: Instant.now.advanced(byMilliseconds: 100))
      }
      let left = await agent.reports.count
      guard left == 0 else { throw BenchFailure("\(left) calls did not end") }
    }
  }
}

/// What happened at one end of a pair.
struct PairEvent: Sendable {
  enum End: Sendable { case caller, callee }

  let end: End
  let event: AgentEvent
}
