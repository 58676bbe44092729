internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// Calls for a while, with all that may happen to them; the same choices in every run.
struct Soak {
  private enum Step: String, CaseIterable { case rekey, hold, resume, digits, transfer, hangUp }

  /// Two agents that call each other.
  private struct Pair {
    let alice: Agent
    let bob: Agent
  }

  private static let callsOfPair = 2
  /// Addresses of their own: the port of a call that has ended is not another pair's a moment later.
  private let pairs = [
    (RxMode.main, "dtls_srtp"), (.thread, "srtp-mand"), (.thread, "dtls_srtp"), (.pool, "srtp-mand"),
  ]
  .enumerated().map { index, kind in
    let host = 0x7F00_0A01 + 2 * UInt32(index)
    return Pair(
      alice: Agent("alice", kind.0, kind.1, host: host), bob: Agent("bob", kind.0, kind.1, host: host + 1))
  }
  private var steps: [String: Int] = [:]
  private var chance: UInt64 = 1

  mutating func run(seconds: Double) {
    let end = Instant.now.advanced(byMilliseconds: Int64(seconds * 1000))
    while Instant.now < end {
      for pair in self.pairs { self.step(pair) }
      usleep(100_000)
    }
    let agents = self.pairs.flatMap { [$0.alice, $0.bob] }
    for agent in agents { _ = agent.act { $0.hangUpAll() } }
    wait(until: "all calls are over") { agents.allSatisfy { $0.reports.isEmpty } }
    for agent in agents { agent.stop() }
    self.judge(agents.flatMap(\.allEnded))
  }

  private mutating func step(_ pair: Pair) {
    // Whom a transferred peer has called is itself, and nobody else hangs up.
    for report in pair.bob.reports where report.isOutgoing && report.state == .established && report.duration > 1 {
      _ = pair.bob.act { $0.hangUp(report.id) }
    }
    let calls = pair.alice.reports.filter { $0.state != .ended }
    guard calls.count >= Self.callsOfPair else { return pair.alice.call(pair.bob) }
    let ready = calls.filter { $0.state == .established && $0.firstMedia != nil }
    guard !ready.isEmpty, self.draw(3) == 0 else { return }
    let (call, step) = (ready[self.draw(ready.count)], Step.allCases[self.draw(Step.allCases.count)])
    guard let address = pair.bob.act({ $0.listenAddress }) ?? nil else { fail("Bob has no address") }
    let isDone = pair.alice.act { core in
      switch step {
      case .rekey: return core.rekey(call.id)
      case .hold: core.setHold(call.id, true)
      case .resume: core.setHold(call.id, false)
      case .digits: core.send(digits: "1", on: call.id)
      case .transfer:
        // To where it is already: the peer calls itself.
        guard core.execute(line: "/line \(call.id.number)").isOK else { return false }
        return core.execute(line: "/transfer sip:bob@\(address)").isOK
      case .hangUp: core.hangUp(call.id)
      }
      return true
    }
    if isDone == true { self.steps[step.rawValue, default: 0] += 1 }
  }

  private func judge(_ reports: [CallReport]) {
    for report in reports {
      let isWell = ["hangup", "cancelled"].contains(report.reason) && report.failure == nil
      if !isWell { fail("a call ended otherwise: \(report.reason), \(report.failure.map { "\($0)" } ?? "")") }
      let drops = report.media.drops
      if drops.auth + drops.plaintext + drops.replay > 0 { fail("packets could not be read: \(drops)") }
    }
    let rekeys = reports.reduce(0) { $0 + $1.media.rekeys }
    let packets = reports.reduce(0) { $0 + $1.media.receivedPackets }
    for step in Step.allCases where self.steps[step.rawValue] == nil { fail("no \(step.rawValue) was done") }
    guard rekeys > 0, packets > 0 else { fail("\(rekeys) changes of keys, \(packets) packets") }
    let done = Step.allCases.map { "\(self.steps[$0.rawValue] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    print("\(reports.count) ends of calls, \(rekeys) changes of keys, \(packets) packets; \(done)")
  }

  /// A number below `bound`.
  private mutating func draw(_ bound: Int) -> Int {
    self.chance = self.chance &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(self.chance >> 33) % bound
  }
}
