import ModuleKit
import NetBase
import SIPStack
import TestSupport

@testable import UACore

/// The users of both agents, who do what the scenario says, and the troubles that come over their machines.
struct Users {
  typealias Party = Scenario.Party

  let agents: SimulatedAgents
  let scenario: Scenario
  let start: Instant
  let trace: WireTrace
  /// SIP datagrams that the processes took that have died, and commands that a lane did not take.
  private(set) var taken: [Party: Int] = [:]
  private(set) var refused: [Party: Int] = [:]
  /// What the users asked for, and their agents took on.
  private(set) var wishes: [Party: Wishes] = [:]
  /// What lived in processes that have died.
  private(set) var dead: [WeakCore] = []
  /// What befell the call, and when.
  var encounters: Encounters

  init(agents: SimulatedAgents, scenario: Scenario, start: Instant, trace: WireTrace) {
    (self.agents, self.scenario, self.start, self.trace) = (agents, scenario, start, trace)
    self.encounters = Encounters(scenario)
  }

  mutating func act() throws {
    let last = max(1, self.scenario.end)
    try self.perform { $0 <= last }
    self.run(until: self.scenario.end)
    self.encounters.end()
    switch self.scenario.ending {
    case .hangUp(let party): self.hangUp(party)
    case .crossing:
      self.agents.alice.hangUpFirst()
      self.agents.bob.hangUpFirst()
    case .refused:
      if let call = self.agents.bob.report?.id { self.agents.bob.act { $0.reject(call) } } else { self.hangUp(.alice) }
    }
    try self.perform { $0 > last }
  }

  /// Runs until both sides have forgotten their calls; false when they don't in time.
  mutating func runUntilIdle(milliseconds: Int64) -> Bool {
    let agents = self.agents
    return agents.simulation.run(milliseconds: milliseconds) {
      self.encounters.look(at: agents)
      return agents.alice.act { $0.callCount } == 0 && agents.bob.act { $0.callCount } == 0
    }
  }

  mutating func run(milliseconds: Int64) {
    self.run(until: self.agents.simulation.now.advanced(byMilliseconds: milliseconds))
  }

  private mutating func run(until milliseconds: Int64) {
    self.run(until: self.start.advanced(byMilliseconds: milliseconds))
  }

  private mutating func run(until end: Instant) {
    let agents = self.agents
    agents.simulation.run(until: end) {
      self.encounters.look(at: agents)
      return false
    }
  }

  private mutating func perform(where isNow: (Int64) -> Bool) throws {
    for (time, act) in self.scenario.acts where isNow(time) {
      self.run(until: time)
      let phase = self.agents.phase
      guard try self.perform(act, at: time), let (fault, length) = act.fault else { continue }
      self.encounters.begin(fault, in: phase, milliseconds: length, self.agents)
    }
  }

  /// False for a trouble that found nothing to trouble.
  private mutating func perform(_ act: Scenario.Act, at time: Int64) throws -> Bool {
    switch act {
    case .hold(let party): self.hold(party, true, at: time)
    case .resume(let party): self.hold(party, false, at: time)
    case .rekey(let party):
      var isTaken = false
      self.each(party) { isTaken = $0.rekey($1) }
      if isTaken { self.wishes[party, default: Wishes()].rekeys.append(time) }
    case .digits(let party, let digits):
      self.each(party) { $0.send(digits: digits, on: $1) }
      guard self.agent(party).isEstablished else {
        self.wishes[party, default: Wishes()].hasEarlyDigits = true
        return true
      }
      self.wishes[party, default: Wishes()].digits += digits
      self.wishes[party]?.lastDigits = time
    case .vanish(let party): self.agents.simulation.network.silence(host: self.agent(party).address.host)
    case .outage(let length): self.cut(length, signalling: false)
    case .trouble(let trouble): return try self.suffer(trouble)
    }
    return true
  }

  private mutating func hold(_ party: Party, _ isHeld: Bool, at time: Int64) {
    self.each(party) { $0.setHold($1, isHeld) }
    guard self.agent(party).isEstablished else { return }
    self.wishes[party, default: Wishes()].holds.append((time, isHeld))
  }

  // MARK: Troubles

  private mutating func suffer(_ trouble: Trouble) throws -> Bool {
    let simulation = self.agents.simulation
    switch trouble {
    case .partition(let length): self.cut(length, signalling: true)
    case .stalledExecutor(let party, let length):
      for loop in self.agent(party).executors { simulation.stall(loop, milliseconds: length) }
    case .stalledMain(let party, let length): simulation.stall(self.agent(party).main, milliseconds: length)
    case .starved(let party, let period, let length):
      for loop in self.agent(party).executors + [self.agent(party).main] {
        simulation.starve(loop, period: period, milliseconds: length)
      }
    case .crowded(let party, let holds, let length):
      for loop in self.agent(party).executors { simulation.stall(loop, milliseconds: length) }
      return self.crowd(party, holds: holds)
    case .forgedReports(let party, let length): return self.forgeReports(to: party, length)
    case .restart(let party):
      self.dead.append(WeakCore(core: self.agent(party).core))
      self.taken[party, default: 0] += self.agent(party).act { $0.signallingCounters.datagrams }
      try self.agents.restart(alice: party == .alice, seed: self.scenario.seed &* 2_654_435_761 &+ 7)
    case .mediaRefused(let party, let refusal, let length):
      simulation.network.failSending(
        from: self.agent(party).address, signalling: false, with: refusal.result, milliseconds: length)
    case .signallingRefused(let party, let length):
      simulation.network.failSending(
        from: self.agent(party).address, signalling: true, with: Trouble.Refusal.unreachable.result,
        milliseconds: length)
    }
    return true
  }

  private func cut(_ milliseconds: Int64, signalling: Bool) {
    let end = self.agents.simulation.now.advanced(byMilliseconds: milliseconds)
    self.trace.cut(until: end.nanoseconds, signalling: signalling)
  }

  private mutating func crowd(_ party: Party, holds: Bool) -> Bool {
    var refused = 0
    self.each(party) { core, call in
      guard let media = core.calls[call]?.media else { return }
      for _ in 0..<Trouble.crowd where !media.post(.reportStatistics) { refused += 1 }
      if holds { core.setHold(call, true) }
    }
    // What has closed takes none, and has said already what it counted.
    guard refused < Trouble.crowd else { return false }
    self.refused[party, default: 0] += refused
    return refused > 0
  }

  private func forgeReports(to party: Party, _ milliseconds: Int64) -> Bool {
    guard let flow = self.trace.flow(to: self.agent(party).address) else { return false }
    self.agents.simulation.stall(self.agent(party).main, milliseconds: milliseconds)
    for _ in 0..<Trouble.forgeries {
      self.agents.simulation.network.inject(PlainPackets.rtcp, from: flow.source, to: flow.destination)
    }
    return true
  }

  // MARK: Agents

  private func agent(_ party: Party) -> SimulatedAgent { party == .alice ? self.agents.alice : self.agents.bob }

  private func each(_ party: Party, _ body: (AgentCore, CallID) -> Void) {
    let agent = self.agent(party)
    guard let call = agent.report?.id else { return }
    agent.act { body($0, call) }
  }

  /// A party whom the call has not reached, or whose process has forgotten it, can't hang up: the other one does.
  private func hangUp(_ party: Party) {
    let (one, other) = party == .alice ? (self.agents.alice, self.agents.bob) : (self.agents.bob, self.agents.alice)
    if one.report == nil { other.hangUpFirst() } else { one.hangUpFirst() }
  }
}

/// What one user asked for in a call that stood; times in milliseconds from the INVITE on.
struct Wishes {
  var holds: [(time: Int64, isHeld: Bool)] = []
  /// When new keys were asked for.
  var rekeys: [Int64] = []
  var digits = ""
  var lastDigits: Int64 = 0
  /// Whether there were some before the call stood, which may leave or not.
  var hasEarlyDigits = false

  var changes: [Int64] { self.holds.map(\.time) + self.rekeys }
}

extension SIPCounters {
  /// What came, whatever it was.
  var datagrams: Int { self.requestsReceived + self.responsesReceived + self.malformed + self.keepAlives }
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
