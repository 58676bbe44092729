import NetBase

@testable import ICEAgent

/// How the two descriptions travel.
extension ICERun {
  /// Offer, ringing, answer; each side's candidates with its description or after it.
  func meet() {
    let offerer = self.makeAgent(0)
    let wait = self.scenario.trickle == nil ? self.gatheringTime(0) : 0
    self.after(wait + self.scenario.signalling) { run in
      let answerer = run.makeAgent(1)
      run.describe(offerer, to: 1)
      let wait = run.scenario.trickle == nil ? run.gatheringTime(1) : 0
      run.after(max(wait, run.scenario.ringing) + run.scenario.signalling) { run in run.describe(answerer, to: 0) }
    }
  }

  /// The host of agent `index` has another address: there a session begins with credentials of its own, and the other's
  /// begins anew with it (RFC 8445 §9).
  func move(_ index: Int) {
    guard let other = self.agents[1 - index] else { return }
    self.moves[index] += 1
    let mover = self.makeAgent(index)
    let wait = self.scenario.trickle == nil ? self.gatheringTime(index) : 0
    self.after(wait + self.scenario.signalling) { run in
      // It may have lost its consent while it knew nothing of the move: only what it says from now on counts.
      (other.candidates, other.remoteSetAt, other.endedAt, other.heard) = ([], nil, nil, [:])
      other.session.restart(now: run.now)
      run.drain(1 - index)
      run.describe(mover, to: 1 - index)
      let wait = run.scenario.trickle == nil ? run.gatheringTime(1 - index) : 0
      run.after(wait + run.scenario.signalling) { run in run.describe(other, to: index) }
    }
  }

  private func gatheringTime(_ index: Int) -> Int64 {
    100 + (self.scenario.sides[index].hasRelay ? self.scenario.sides[index].gatheringLimit : 2_000)
  }

  /// Tells agent `index` of the other.
  func describe(_ other: Agent, to index: Int) {
    guard let agent = self.agents[index] else { return }
    if agent.remoteSetAt == nil { agent.remoteSetAt = self.now }
    var remote = ICERemote(
      credentials: other.session.local, isLite: other.session.configuration.isLite, candidates: other.candidates,
      components: self.scenario.components)
    if let trickle = self.scenario.trickle {
      remote.candidates = []
      // Those to come, too: by then all are gathered.
      for part in 1...4 {
        self.after(trickle * Int64(part) / 4) { run in
          let all = other.candidates
          for (place, candidate) in all.enumerated() where part == 4 || place % 4 == part - 1 {
            agent.session.addRemote(candidate, now: run.now)
          }
          run.drain(index)
        }
      }
      for late in [2_500, 12_100] as [Int64] where trickle < late {
        self.after(late) { run in
          for candidate in other.candidates { agent.session.addRemote(candidate, now: run.now) }
          run.drain(index)
        }
      }
    }
    agent.session.setRemote(remote, now: self.now)
    self.drain(index)
  }

  /// Both send a datagram over each pair in use; what the other hears of it is in `heard`.
  func sendData() {
    for index in 0..<2 {
      guard let agent = self.agents[index] else { continue }
      for pair in agent.session.selected.values {
        for _ in 0..<12 { self.send([128, 0, 0, 0], over: pair, of: index) }
      }
    }
    self.run(milliseconds: 1_000)
  }

  /// What is not as it should be.
  func faults() -> [String] {
    var faults: [String] = []
    let hasPath = self.scenario.hasPath
    for (index, agent) in self.agents.enumerated() {
      guard let agent else { return ["agent \(index) was never made"] }
      let session = agent.session
      if session.counters.received != agent.handed { faults.append("\(index): datagrams are not all counted") }
      if session.isConnected != hasPath {
        let state = session.isConnected ? "connected" : "not connected (\(session.failure ?? "no reason"))"
        faults.append("\(index): \(state), path: \(hasPath)")
      }
      if !hasPath, session.failure == nil { faults.append("\(index): did not fail") }
      if let begin = agent.remoteSetAt, let end = agent.endedAt {
        if end.milliseconds(since: begin) > 40_000 { faults.append("\(index): took longer than 40 s") }
      } else {
        faults.append("\(index): did not end")
      }
      if session.pairs.count > ICESession.maximumPairs { faults.append("\(index): too many pairs") }
      guard hasPath else { continue }
      for component in 1...self.scenario.components {
        guard let source = agent.heard[component] else {
          faults.append("\(index): component \(component) heard nothing")
          continue
        }
        if !session.isValidated(source) { faults.append("\(index): data of an address that nothing vouches for") }
        if session.selected[component]?.remote != source {
          faults.append("\(index): component \(component) is sent elsewhere than it is heard from")
        }
      }
    }
    let roles = self.agents.compactMap { $0?.session.role }
    if hasPath, Set(roles).count != 2 { faults.append("both are \(roles[0])") }
    return faults
  }
}
