import ModuleKit
import NetBase
import SIPStack
import TestSupport

@testable import UACore

/// A scenario that was run, with all that was seen of it.
struct WholeCall {
  struct Side {
    let party: Scenario.Party
    let reports: [CallReport]
    let warnings: [String]
    let heard: [Int16]
    let finishes: Int
    let isIdle: Bool
    let runningLoops: Int
    let signalling: SIPCounters
    let census: SIPCensus
    /// What the network brought to this side's SIP and media sockets.
    let toSignalling: NetworkCounters
    let toMedia: NetworkCounters
    let sent: WireTrace.MediaCount
    /// Media datagrams that the kernel did not take.
    let failedSends: Int
    /// SIP datagrams that a process took which has died.
    let takenBefore: Int
    /// Commands that its transport's lane did not take.
    let refusedCommands: Int
    let wishes: Wishes
    /// When its last RTP packet left, in milliseconds from the INVITE on; nil when none did.
    let lastSpoke: Int64?
  }

  let scenario: Scenario
  let alice: Side
  let bob: Side
  /// Whether one hang-up ended both calls.
  let endedByHangUp: Bool
  let ended: Bool
  let isQuiet: Bool
  let mediaSockets: Int
  /// Agents that something still holds, though nobody uses them.
  private(set) var leaked = 0
  let network: NetworkCounters
  let digest: UInt64
  let plain: [String]
  let entries: [WireTrace.Entry]
  let use: Replay.Use
  /// Virtual seconds.
  let duration: Double
  let encounters: Set<Encounters.Cell>

  var sides: [Side] { [self.alice, self.bob] }

  /// Runs the scenario of a seed, from nothing to nothing.
  ///
  /// - Parameters:
  ///   - keepsEntries: whether all datagrams are kept.
  ///   - clockStep: how OpenSSL's wall clock misbehaves.
  ///   - recording: what the names of files begin with that take the place of the players.
  static func run(
    seed: UInt64, kind: Scenario.Kind = .whole, keepsEntries: Bool = false, clockStep: Int64 = 0,
    recording path: String? = nil
  ) throws -> WholeCall {
    let scenario = Scenario(seed: seed, kind: kind)
    return try Replay.run(seed: seed &* 0x51ED_270B, clockStep: clockStep) {
      var cores: [WeakCore] = []
      var call = try WholeCall(running: scenario, keepsEntries: keepsEntries, recording: path, &cores)
      call.leaked = cores.count { $0.core != nil }
      return call
    }
  }

  private init(running scenario: Scenario, keepsEntries: Bool, recording path: String?, _ cores: inout [WeakCore])
    throws
  {
    let agents = try SimulatedAgents(
      mode: scenario.modes.alice, bobMode: scenario.modes.bob, encryption: nil, seed: scenario.seed
    ) { configuration in
      configuration.activeModules = ["g711", "srtp", "dtls_srtp", "probe", "aufile"]
      configuration.rtpTimeout = scenario.rtpTimeout
      configuration.jitterBufferType = scenario.jitterBuffer
      configuration.rekeyMethod = scenario.rekeyMethod
    }
    agents.aliceSettings.mediaEncryption = scenario.encryptions.alice
    agents.bobSettings.mediaEncryption = scenario.encryptions.bob
    agents.aliceSettings.usesRTCPMux = scenario.usesRTCPMux
    agents.bobSettings.usesRTCPMux = scenario.usesRTCPMux
    agents.bobSettings.answersAtOnce = scenario.answerDelay != nil && scenario.ending != .refused
    agents.bobSettings.answerDelay = scenario.answerDelay ?? 0
    let network = agents.simulation.network
    network.setMedia(scenario.media)
    network.setSignalling(scenario.signalling)
    let hosts = [(Scenario.Party.alice, agents.alice.address), (.bob, agents.bob.address)]
    let trace = WireTrace(
      network, clock: VirtualClockReader(agents.simulation), keepsEntries: keepsEntries,
      mandatory: hosts.filter { scenario.isMandatory($0.0) }.map(\.1))

    if scenario.kind == .signalling {
      (agents.aliceSettings.packetTime, agents.bobSettings.packetTime) = (100, 100)
      (agents.aliceSettings.player, agents.bobSettings.player) = (nil, nil)
    }
    if let path {
      agents.aliceSettings.player = AudioDevice(driver: "aufile", device: "\(path)-alice.wav")
      agents.bobSettings.player = AudioDevice(driver: "aufile", device: "\(path)-bob.wav")
    }

    let start = agents.simulation.now
    try agents.call()
    var users = Users(agents: agents, scenario: scenario, start: start, trace: trace)
    if path != nil { users.encounters.diskFillsAfter = DiskFullTests.milliseconds }
    try users.act()
    // An agent that stands still, or whom nothing has reached yet, is not idle.
    if !scenario.isPunctual { users.run(milliseconds: 5000) }
    self.endedByHangUp = users.runUntilIdle(milliseconds: 80_000)
    if !self.endedByHangUp { agents.hangUpEverything() }
    self.ended = agents.runUntilIdle(milliseconds: 80_000)
    self.duration = Double(agents.simulation.now.nanoseconds(since: start)) / 1e9
    // SIP forgets its transactions after half a minute.
    agents.run(milliseconds: 120_000)
    self.isQuiet = agents.simulation.isQuiet
    self.mediaSockets = network.mediaSocketCount
    self.network = network.counters
    (self.digest, self.plain, self.entries) = (trace.digest, trace.plain, trace.entries)
    self.scenario = scenario
    self.alice = Self.side(.alice, agents.alice, agents.aliceHears, network, trace, users)
    self.bob = Self.side(.bob, agents.bob, agents.bobHears, network, trace, users)
    self.use = Replay.use
    self.encounters = users.encounters.cells
    cores = users.dead + [WeakCore(core: agents.alice.core), WeakCore(core: agents.bob.core)]
  }

  private static func side(
    _ party: Scenario.Party, _ agent: SimulatedAgent, _ player: String, _ network: SimulatedNetwork, _ trace: WireTrace,
    _ users: Users
  ) -> Side {
    let (counters, census, isIdle) = agent.act { ($0.signallingCounters, $0.signallingCensus, $0.holdsNothing) }
    return Side(
      party: party, reports: agent.ended, warnings: agent.warnings, heard: ProbeCapture.take(player),
      finishes: ProbeCapture.finishes(player), isIdle: isIdle, runningLoops: agent.ownLoops.running,
      signalling: counters, census: census, toSignalling: network.counters(to: agent.address, signalling: true),
      toMedia: network.counters(to: agent.address, signalling: false), sent: trace.media(from: agent.address),
      failedSends: network.failedSends(from: agent.address, signalling: false),
      takenBefore: users.taken[party] ?? 0, refusedCommands: users.refused[party] ?? 0,
      wishes: users.wishes[party] ?? Wishes(),
      lastSpoke: trace.media(from: agent.address).lastRTP.map { ($0 - users.start.nanoseconds) / 1_000_000 })
  }
}
