internal import NetBase
internal import SIPStack

/// What must hold of a flow, whatever happened in it.
enum FlowChecks {
  private static func living(_ network: FlowNetwork) -> [FlowAgent] { network.agents.filter { !$0.isDead } }

  private static func calls(_ agent: FlowAgent) -> [FlowCall] {
    agent.calls.values.sorted { $0.id.value < $1.id.value }
  }

  /// Everything has come to rest: no request waits, a call stands at both ends, and both agree about it.
  static func standing(_ network: FlowNetwork, haveTimers: Bool) {
    // A refresh by re-INVITE may be on its way.
    if !Self.disagreements(network).isEmpty || !Self.deserted(network).isEmpty { network.run(seconds: 5) }
    for what in Self.disagreements(network) + Self.deserted(network) { network.violate(what) }
    for agent in Self.living(network) {
      if !agent.requests.isEmpty { agent.violate("\(agent.requests.count) requests have no result") }
      if agent.retries.values.contains(where: { $0 < network.now }) { agent.violate("a registration is forgotten") }
      if network.plan.isClean { Self.settled(agent) }
    }
    for ends in Self.ends(of: network) where ends.count != 2 {
      let (agent, call) = ends[0]
      if ends.count > 2 { agent.violate("\(call.id) has \(ends.count) ends") }
      if haveTimers { agent.violate("\(call.id) stands at one end in spite of its timer") }
      if network.plan.isClean { agent.violate("\(call.id) stands at one end only") }
    }
  }

  /// The calls that stand, each with its ends.
  private static func ends(of network: FlowNetwork) -> [[(FlowAgent, FlowCall)]] {
    var ends: [String: [(FlowAgent, FlowCall)]] = [:]
    for agent in Self.living(network) {
      for call in Self.calls(agent) where call.isEstablished {
        ends[call.name ?? "", default: []].append((agent, call))
      }
    }
    return ends.sorted { $0.key < $1.key }.map(\.value)
  }

  /// The calls whose ends do not have the same descriptions in force.
  private static func disagreements(_ network: FlowNetwork) -> [String] {
    Self.ends(of: network).compactMap { ends in
      guard ends.count == 2 else { return nil }
      let (agent, call) = ends[0]
      let (one, other) = (call.media, ends[1].1.media)
      guard one.isTracked, other.isTracked, one.mine != other.theirs || one.theirs != other.mine else { return nil }
      return "agent \(agent.index): \(call.id): the ends do not agree: \(one.mine ?? "-") \(one.theirs ?? "-") here, "
        + "\(other.theirs ?? "-") \(other.mine ?? "-") there"
    }
  }

  /// The subscriptions that a notifier keeps and nobody has.
  private static func deserted(_ network: FlowNetwork) -> [String] {
    guard network.plan.isClean else { return [] }
    func names(_ isOwn: Bool) -> [String] {
      network.agents.flatMap { agent in
        agent.subscriptions.filter { agent.subscribed.contains($0) == isOwn }.compactMap { agent.subscriptionNames[$0] }
      }
    }
    let wanted = Set(names(true))
    return names(false).filter { !wanted.contains($0) }.sorted().map {
      "a notifier keeps a subscription of nobody: \($0)"
    }
  }

  /// Every call was answered or is over, and every offer has an outcome.
  private static func settled(_ agent: FlowAgent) {
    for call in Self.calls(agent) {
      if !call.isEstablished { agent.violate("\(call.id) is neither answered nor over") }
      if !call.media.offers.isEmpty { agent.violate("\(call.id): an offer has no outcome") }
    }
  }

  /// What the caller hung up is over at both ends.
  static func hungUp(_ network: FlowNetwork) {
    for agent in Self.living(network) {
      for call in Self.calls(agent) {
        if call.isOutgoing { agent.violate("\(call.id) was hung up and does not end") }
        guard !call.isOutgoing, network.plan.loss <= 10, !network.plan.breaks, !network.plan.hasDeath else { continue }
        agent.violate("\(call.id) stands, and its caller has hung up")
      }
    }
  }

  /// Every user has let go of everything: what is left ends within the time of its own timers.
  static func rest(_ network: FlowNetwork) {
    // The ACK that a callee's BYE waits for, the BYE, and timers D, H, I, J, K, L and M after that.
    network.run(seconds: 75)
    for agent in Self.living(network) {
      let census = agent.endpoint.census
      if census.sessions > 0 { agent.violate("a session outlives its call: \(census)") }
    }
    network.run(seconds: 75)
    for agent in Self.living(network) {
      let census = agent.endpoint.census
      if census.serverTransactions > census.subscriptions { agent.violate("a transaction lasts for good: \(census)") }
      if census.incomingRequests > 0 || census.locations > 0 { agent.violate("something was forgotten: \(census)") }
    }
    // A REFER's subscription lasts 180 s.
    network.run(seconds: 120)
    for agent in Self.living(network) where agent.endpoint.nextDeadline != nil {
      agent.violate("a timer outlives its owner: \(agent.endpoint.census)")
    }
    network.run(until: nil)
    for agent in Self.living(network) {
      let census = agent.endpoint.census
      if census != SIPCensus() { agent.violate("it holds \(census)") }
      for id in agent.calls.keys.map(\.value).sorted() { agent.violate("session \(id) never ended") }
      for id in agent.refers.map(\.value).sorted() { agent.violate("refer \(id) never ended") }
      for id in agent.subscriptions.map(\.value).sorted() { agent.violate("subscription \(id) never ended") }
      for id in agent.registrations.map(\.value).sorted() { agent.violate("registration \(id) never ended") }
      if !agent.requests.isEmpty { agent.violate("\(agent.requests.count) requests have no result") }
    }
  }

  /// Both ends tell the same story of each call.
  static func ends(_ network: FlowNetwork) {
    guard network.plan.isClean else { return }
    var callees: [String: FlowCall] = [:]
    var callers: [String: FlowCall] = [:]
    for agent in network.agents {
      for call in agent.pastCalls {
        switch call.end {
        case .timeout?, .unreachable?: agent.violate("\(call.id) ends with \(call.end.map { "\($0)" } ?? "")")
        default: break
        }
        guard let name = call.name else { continue }
        if call.isOutgoing { callers[name] = call } else { callees[name] = call }
      }
    }
    for (name, caller) in callers.sorted(by: { $0.key < $1.key }) where caller.isEstablished {
      guard let callee = callees[name] else {
        network.violate("\(caller.id) was established with nobody")
        continue
      }
      switch (caller.end, callee.end) {
      case (.remoteHangup?, .remoteHangup?): network.violate("\(caller.id): nobody has hung up, says either side")
      case (.localHangup?, .rejected?), (.localHangup?, .cancelled?), (.remoteHangup?, .rejected?):
        // A callee that stands learns of the end by a 481 too, when a request of its own crosses the BYE.
        guard !callee.isEstablished else { break }
        network.violate("\(caller.id) stood for the caller only")
      default: break
      }
    }
    for (name, callee) in callees.sorted(by: { $0.key < $1.key }) where callers[name] == nil {
      // A caller who has hung up already acknowledges the 2xx, and its BYE follows at once.
      guard let began = callee.establishedAt, let ended = callee.endedAt else { continue }
      if ended.milliseconds(since: began) > 10_000 { network.violate("\(callee.id) stood for the callee only") }
    }
  }
}
