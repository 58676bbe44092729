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
  }

  let scenario: Scenario
  let alice: Side
  let bob: Side
  /// Whether one hang-up ended both calls.
  let endedByHangUp: Bool
  let ended: Bool
  let isQuiet: Bool
  let mediaSockets: Int
  let network: NetworkCounters
  let digest: UInt64
  let plain: [String]
  let entries: [WireTrace.Entry]
  let use: Replay.Use
  /// Virtual seconds.
  let duration: Double

  var sides: [Side] { [self.alice, self.bob] }

  /// Runs the scenario of a seed, from nothing to nothing.
  ///
  /// - Parameters:
  ///   - keepsEntries: whether all datagrams are kept.
  ///   - clockStep: how OpenSSL's wall clock misbehaves.
  static func run(seed: UInt64, keepsEntries: Bool = false, clockStep: Int64 = 0) throws -> WholeCall {
    let scenario = Scenario(seed: seed)
    return try Replay.run(seed: seed &* 0x51ED_270B, clockStep: clockStep) {
      try WholeCall(running: scenario, keepsEntries: keepsEntries)
    }
  }

  private init(running scenario: Scenario, keepsEntries: Bool) throws {
    let agents = try SimulatedAgents(
      mode: scenario.modes.alice, bobMode: scenario.modes.bob, encryption: nil, seed: scenario.seed
    ) { configuration in
      configuration.activeModules = ["g711", "srtp", "dtls_srtp", "probe"]
      configuration.rtpTimeout = scenario.rtpTimeout
      configuration.jitterBufferType = scenario.jitterBuffer
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

    let start = agents.simulation.now
    try agents.call()
    Users(agents: agents, scenario: scenario, start: start, trace: trace).act()
    self.endedByHangUp = agents.runUntilIdle(milliseconds: 80_000)
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
    self.alice = Self.side(.alice, agents.alice, agents.aliceHears, network, trace)
    self.bob = Self.side(.bob, agents.bob, agents.bobHears, network, trace)
    self.use = Replay.use
  }

  private static func side(
    _ party: Scenario.Party, _ agent: SimulatedAgent, _ player: String, _ network: SimulatedNetwork, _ trace: WireTrace
  ) -> Side {
    let (counters, census, isIdle) = agent.act { ($0.signallingCounters, $0.signallingCensus, $0.isIdle) }
    return Side(
      party: party, reports: agent.ended, warnings: agent.warnings, heard: ProbeCapture.take(player),
      finishes: ProbeCapture.finishes(player), isIdle: isIdle, runningLoops: agent.ownLoops.running,
      signalling: counters, census: census, toSignalling: network.counters(to: agent.address, signalling: true),
      toMedia: network.counters(to: agent.address, signalling: false), sent: trace.media(from: agent.address))
  }
}

/// The users of both agents, who do what the scenario says.
private struct Users {
  let agents: SimulatedAgents
  let scenario: Scenario
  let start: Instant
  let trace: WireTrace

  func act() {
    var outages: [(end: Int64, isOver: Bool)] = []
    for (time, act) in self.scenario.acts {
      outages = self.endOutages(outages, before: time)
      self.run(until: time)
      if case .outage(let length) = act { outages.append((time + length, false)) }
      self.perform(act)
    }
    _ = self.endOutages(outages, before: self.scenario.end)
    self.run(until: self.scenario.end)
    switch self.scenario.ending {
    case .hangUp(let party): self.hangUp(party)
    case .crossing:
      self.agents.alice.hangUpFirst()
      self.agents.bob.hangUpFirst()
    case .refused:
      if let call = self.agents.bob.report?.id { self.agents.bob.act { $0.reject(call) } } else { self.hangUp(.alice) }
    }
    self.trace.cut(false)
  }

  private func run(until milliseconds: Int64) {
    self.agents.simulation.run(until: self.start.advanced(byMilliseconds: milliseconds))
  }

  private func endOutages(
    _ outages: [(end: Int64, isOver: Bool)], before time: Int64
  ) -> [(end: Int64, isOver: Bool)] {
    let due = outages.map(\.end).filter { $0 <= time }
    guard let last = due.max() else { return outages }
    self.run(until: last)
    let rest = outages.filter { $0.end > time }
    if rest.isEmpty { self.trace.cut(false) }
    return rest
  }

  private func perform(_ act: Scenario.Act) {
    switch act {
    case .hold(let party): self.each(party) { $0.setHold($1, true) }
    case .resume(let party): self.each(party) { $0.setHold($1, false) }
    case .rekey(let party): self.each(party) { _ = $0.rekey($1) }
    case .digits(let party, let digits): self.each(party) { $0.send(digits: digits, on: $1) }
    case .vanish(let party): self.agents.simulation.network.silence(host: self.agent(party).address.host)
    case .outage: self.trace.cut(true)
    }
  }

  private func agent(_ party: Scenario.Party) -> SimulatedAgent {
    party == .alice ? self.agents.alice : self.agents.bob
  }

  private func each(_ party: Scenario.Party, _ body: (AgentCore, CallID) -> Void) {
    let agent = self.agent(party)
    guard let call = agent.report?.id else { return }
    agent.act { body($0, call) }
  }

  /// A callee whom the call has not reached can't hang up: the caller does.
  private func hangUp(_ party: Scenario.Party) {
    if self.agent(party).report == nil { self.agents.alice.hangUpFirst() } else { self.agent(party).hangUpFirst() }
  }
}

extension SimulatedAgent {
  func hangUpFirst() {
    guard let call = self.report?.id else { return }
    self.act { $0.hangUp(call) }
  }
}

extension SimulatedAgents {
  /// Both users give up on whatever calls they still have.
  func hangUpEverything() {
    for agent in [self.alice, self.bob] {
      agent.act { core in for report in core.reports { core.hangUp(report.id) } }
    }
  }
}
