internal import NetBase
internal import SIPStack

/// Random call flows between two to four agents; everything about a flow follows from its seed.
enum FlowRun {
  /// Runs one flow and returns the network, with what was violated.
  static func run(seed: UInt64, isTraced: Bool = false) -> FlowNetwork {
    let network = FlowNetwork(seed: seed)
    if isTraced { network.trace = [] }
    let count = network.dice.roll(2...4)
    self.plan(network)
    // One in four flows has no timers at all, one in four has them everywhere.
    let timers = network.dice.pick([
      [SessionTimerPolicy.Use.no], [.accepted, .requested, .no], [.accepted, .requested, .no], [.requested],
    ])
    let hasTCP = network.dice.chance(40)
    for index in 0..<count {
      let traits = Self.traits(network, timers, hasTCP: hasTCP)
      network.agents.append(FlowAgent(network, index: index, traits: traits, seed: seed))
    }
    if count > 2, network.dice.chance(35) {
      network.forker = FlowForker(network, targets: (1..<count).map { FlowAgent.address($0) })
    }
    let length = network.dice.pick([40, 60, 150]) * 1_000
    Self.begin(network, length)
    if network.faults.hasDeath {
      let victim = network.dice.roll(0...count - 1)
      let isReborn = network.dice.chance(50)
      network.after(network.dice.roll(0...length)) { network.agents[victim].die(isReborn: isReborn) }
    }
    network.run(seconds: Int64(length / 1_000))

    // The network heals, and what was begun comes to rest: each call stands at both ends, or at none.
    network.faults = FlowNetwork.Faults()
    for agent in network.agents { agent.isQuiet = true }
    network.run(seconds: 150)
    FlowChecks.standing(network, haveTimers: timers == [.requested])

    // Whoever called hangs up, and that must end the call at the other side as well.
    for agent in network.agents where !agent.isDead { agent.finish(all: false) }
    network.run(seconds: 75)
    FlowChecks.hungUp(network)

    for agent in network.agents where !agent.isDead { agent.finish(all: true) }
    FlowChecks.rest(network)
    FlowChecks.ends(network)
    return network
  }

  private static func plan(_ network: FlowNetwork) {
    var faults = FlowNetwork.Faults()
    faults.copies = network.dice.roll(0...15)
    faults.jitter = network.dice.chance(30) ? 0 : network.dice.roll(0...800)
    if network.dice.chance(40) {
      faults.loss = network.dice.chance(50) ? 0 : network.dice.roll(1...3)
    } else {
      faults.loss = network.dice.chance(30) ? 0 : network.dice.roll(0...network.dice.pick([10, 40]))
      faults.breaks = network.dice.chance(30)
      faults.isCareless = network.dice.chance(30)
      faults.hasStranger = network.dice.chance(10)
      faults.hasDeath = network.dice.chance(35)
    }
    (network.faults, network.plan) = (faults, faults)
  }

  private static func traits(
    _ network: FlowNetwork, _ timers: [SessionTimerPolicy.Use], hasTCP: Bool
  ) -> FlowAgent.Traits {
    let refresher = network.dice.pick([SessionTimerPolicy.Refresher.unspecified, .local, .remote])
    var traits = FlowAgent.Traits()
    traits.policy = CallPolicy(
      reliableProvisional: network.dice.pick([.no, .yes, .yes, .yes, .required]),
      sessionTimers: SessionTimerPolicy(
        use: network.dice.pick(timers), interval: network.dice.pick([90, 100]),
        minimum: network.dice.pick([90, 95]), refresher: refresher))
    traits.usesTCP = hasTCP && network.dice.chance(60)
    traits.demandsPassword = network.dice.chance(20)
    traits.knowsPassword = !network.faults.hasStranger || network.dice.chance(50)
    traits.followsRedirects = network.dice.chance(70)
    traits.allowsUpdate = network.dice.chance(75)
    traits.messagesAwaitAnswer = network.dice.chance(50)
    traits.registers = network.dice.chance(25)
    traits.listens = network.dice.chance(70)
    return traits
  }

  private static func begin(_ network: FlowNetwork, _ length: Int) {
    let last = network.agents.count - 1
    func some(_ times: ClosedRange<Int>, _ latest: Int, _ body: @escaping (FlowAgent, Int) -> Void) {
      for _ in 0..<network.dice.roll(times) {
        let (from, to) = (network.dice.roll(0...last), network.dice.roll(0...last))
        network.after(network.dice.roll(0...latest)) {
          if !network.agents[from].isDead { body(network.agents[from], to) }
        }
      }
    }
    some(1...4, length / 3) { agent, peer in agent.call(peer) }
    if network.forker != nil {
      network.after(network.dice.roll(0...length / 3)) {
        if !network.agents[0].isDead { network.agents[0].call(nil) }
      }
    }
    some(0...2, length / 2) { agent, peer in agent.subscribe(peer) }
    some(0...2, length / 2) { agent, peer in agent.ask(peer) }
    for agent in network.agents where agent.traits.registers { agent.register() }
  }
}
