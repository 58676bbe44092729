internal import AllModules
package import Handoff
package import ModuleKit
package import NetBase
package import Runtime
internal import SIPStack
package import UACore

/// One user agent on a simulated main loop, with the events it told.
package final class SimulatedAgent {
  package let name: String
  package let main: EventLoop
  package let core: AgentCore
  package let address: SocketAddress
  private let log: EventLog
  /// What a SIP trace showed.
  package let trace = Locked<[String]>([])

  private final class EventLog {
    var events: [AgentEvent] = []
    /// The loops that transports of their own got.
    var transportLoops: [EventLoop] = []
    /// Those of the pool.
    var workers: [EventLoop] = []
    /// What a program does when it hears of an event, there and then.
    var handler: (AgentEvent) -> Void = { _ in }
  }

  package init(
    _ name: String, in simulation: Simulation, host: UInt32, configuration: Configuration, seed: UInt64, loss: Double,
    adjust: (inout AgentSettings) -> Void = { _ in }
  ) throws {
    self.name = name
    self.main = simulation.makeLoop()
    self.address = SocketAddress(ipv4: host, port: 5060)
    self.log = EventLog()
    var settings = AgentSettings(
      available: allModules + [ProbeAudio.self, ProbeVideo.self, BrokenKeys.self], configuration: configuration,
      listen: self.address)
    settings.nameResolver = SimulatedNames()
    settings.seed = seed
    settings.loss = loss
    settings.datagrams = simulation.network
    settings.sipTransports = [simulation.network]
    settings.traceSIP = { [trace = self.trace] text in trace.withLock { $0.append(text) } }
    adjust(&settings)
    let workers = configuration.rxMode == .pool ? [simulation.makeLoop(), simulation.makeLoop()] : []
    self.log.workers = workers
    let loops = TransportLoops(
      main: self.main, pool: workers.isEmpty ? nil : LoopPool(loops: workers),
      makeLoop: { [log = self.log] _ in
        let loop = simulation.makeLoop()
        log.transportLoops.append(loop)
        return loop
      })
    let (main, log) = (self.main, self.log)
    self.core = try main.asOwner { context in
      let core = try AgentCore(
        settings: settings, main: main, context: context, loops: loops, wallClockOffset: 1_700_000_000_000_000_000,
        emit: { event in
          log.events.append(event)
          log.handler(event)
        })
      try core.start()
      return core
    }
  }

  deinit { self.main.asOwner { _ in self.core.close() } }

  /// Runs `body` as the agent's main loop.
  @discardableResult
  package func act<Result>(_ body: (AgentCore) throws -> Result) rethrows -> Result {
    try self.main.asOwner { _ in try body(self.core) }
  }

  package var events: [AgentEvent] { self.log.events }

  /// Has `handler` called within every event from now on, as the agent's main loop.
  package func onEvent(_ handler: @escaping (AgentEvent) -> Void) { self.log.handler = handler }

  /// Reports of the calls that are over, in the order in which they ended.
  package var ended: [CallReport] { self.events.compactMap { if case .ended(let report) = $0 { report } else { nil } } }

  package var transferFailures: [String] {
    self.events.compactMap { if case .transferFailed(_, let reason) = $0 { reason } else { nil } }
  }
  package var warnings: [String] { self.events.compactMap { if case .warning(_, let text) = $0 { text } else { nil } } }

  package var digits: [Character?] {
    self.events.compactMap { if case .digit(_, let digit) = $0 { .some(digit) } else { nil } }
  }

  /// How many transports had a loop of their own, and how many of these loops still run.
  package var ownLoops: (made: Int, running: Int) {
    (self.log.transportLoops.count, self.log.transportLoops.count { $0.execute { _ in } })
  }

  /// The loops that transports live on: all, also of transports that have ended.
  package var executors: [EventLoop] {
    let others = self.log.transportLoops + self.log.workers
    return others.isEmpty ? [self.main] : others
  }

  /// The process is gone at once: it tells nobody, and its sockets are closed.
  package func die(in simulation: Simulation) {
    simulation.discard(self.log.transportLoops + self.log.workers + [self.main], of: self.address) {
      self.act { $0.close() }
    }
  }

  package var report: CallReport? { self.act { $0.reports.first } }

  package var isEstablished: Bool { self.report?.state == .established }
}

/// Alice, who calls, and Bob, who is called.
package final class SimulatedAgents {
  package let simulation: Simulation
  package private(set) var alice: SimulatedAgent
  package private(set) var bob: SimulatedAgent
  /// Make an agent from a seed.
  private let makeAlice: (UInt64) throws -> SimulatedAgent
  private let makeBob: (UInt64) throws -> SimulatedAgent
  /// What Alice's player and Bob's player are called.
  package let aliceHears = ProbeCapture.makeName()
  package let bobHears = ProbeCapture.makeName()
  package var aliceSettings: CallSettings
  package var bobSettings: CallSettings

  /// - Parameters:
  ///   - bobMode: Bob's receive mode, where it is another than Alice's.
  ///   - encryption: the media encryption of both; nil for none.
  ///   - configure: changes what both are configured with.
  ///   - adjust: changes what both are made with.
  package init(
    mode: RxMode = .main, bobMode: RxMode? = nil, encryption: String? = nil, codec: String? = "pcmu", seed: UInt64 = 1,
    loss: Double = 0, configure: (inout Configuration) -> Void = { _ in },
    adjust: @escaping (inout AgentSettings) -> Void = { _ in }
  ) throws {
    var configuration = Configuration()
    configuration.activeModules = [
      "opus", "g711", "srtp", "dtls_srtp", "ice", "aubridge", "ausine", "probe", "broken_keys", "vp8", "h264",
      "probe_video",
    ]
    configuration.rxMode = mode
    configure(&configuration)
    var bobConfiguration = configuration
    bobConfiguration.rxMode = bobMode ?? configuration.rxMode
    let simulation = Simulation(seed: seed)
    self.simulation = simulation
    let (hers, his) = (configuration, bobConfiguration)
    self.makeAlice = { seed in
      try SimulatedAgent(
        "alice", in: simulation, host: 0x0A00_0001, configuration: hers, seed: seed, loss: loss, adjust: adjust)
    }
    self.makeBob = { seed in
      try SimulatedAgent(
        "bob", in: simulation, host: 0x0A00_0002, configuration: his, seed: seed, loss: loss, adjust: adjust)
    }
    self.alice = try self.makeAlice(seed &* 2)
    self.bob = try self.makeBob(seed &* 2 + 1)
    func settings(_ identity: String, _ player: String) -> CallSettings {
      var settings = CallSettings(
        identity: identity, source: AudioDevice(driver: "probe", device: ""),
        player: AudioDevice(driver: "probe", device: player))
      settings.mediaEncryption = encryption
      settings.codecs = codec.flatMap { CodecPreference($0) }.map { [$0] } ?? []
      settings.answersAtOnce = true
      return settings
    }
    self.aliceSettings = settings("sip:alice@10.0.0.1", self.aliceHears)
    self.bobSettings = settings("sip:bob@10.0.0.2", self.bobHears)
  }

  /// Whatever a test left, ends: what leaks after that is a fault.
  deinit {
    self.alice.act { $0.hangUpAll() }
    self.bob.act { $0.hangUpAll() }
    _ = self.runUntilIdle(milliseconds: 60_000)
    self.run(milliseconds: 10)
  }

  /// Alice calls Bob, who does what his settings say.
  @discardableResult
  package func call() throws -> CallID {
    self.bob.act { $0.accounts = [self.bobSettings] }
    let target = try SIPURI("sip:bob@10.0.0.2")
    return try self.alice.act { try $0.call(target, at: self.bob.address, settings: self.aliceSettings) }
  }

  /// Bob calls Alice.
  @discardableResult
  package func callBack() throws -> CallID {
    self.alice.act { $0.accounts = [self.aliceSettings] }
    let target = try SIPURI("sip:alice@10.0.0.1")
    return try self.bob.act { try $0.call(target, at: self.alice.address, settings: self.bobSettings) }
  }

  /// Alice's process, or Bob's, dies without a word and begins anew at the same address; Bob's account is there again.
  package func restart(alice isAlice: Bool, seed: UInt64) throws {
    (isAlice ? self.alice : self.bob).die(in: self.simulation)
    if isAlice {
      self.alice = try self.makeAlice(seed)
    } else {
      self.bob = try self.makeBob(seed)
      self.bob.act { $0.accounts = [self.bobSettings] }
    }
  }

  /// A call that both sides have established, with keys where the call has any.
  @discardableResult
  package func establishedCall() throws -> CallID {
    let call = try self.call()
    let isUp = self.simulation.run(milliseconds: 5000) {
      self.alice.report?.firstMedia != nil && self.bob.report?.firstMedia != nil && self.alice.isEstablished
        && self.bob.isEstablished
    }
    guard isUp else { throw ModuleError(.peer, "the call did not come up: \(self.alice.events) \(self.bob.events)") }
    return call
  }

  package func run(milliseconds: Int64) { self.simulation.run(milliseconds: milliseconds) }

  /// Runs until both sides have forgotten their calls; false when they don't within ten seconds.
  package func runUntilIdle(milliseconds: Int64 = 10_000) -> Bool {
    self.simulation.run(milliseconds: milliseconds) {
      self.alice.act { $0.callCount } == 0 && self.bob.act { $0.callCount } == 0
    }
  }

  /// Bob's only call.
  package var bobCall: CallID { self.bob.report?.id ?? CallID(number: 0) }
}
