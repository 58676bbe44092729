internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// What changes of keys cost: the same calls left alone, then re-keyed again and again, then left alone once more.
struct RekeyBench: Sendable {
  static let usualCalls = 1000
  /// What an agent takes.
  static let maximumCalls = 10_000

  /// A packet time and the golden ratio's part of the next one, in nanoseconds: calls that begin so far apart send at
  /// moments of their own.
  private static let callInterval: Int64 = 32_360_680
  /// Seconds.
  private static let rekeyTime = 20
  private static let restTime = 10
  private static let settlingTime = 3
  /// Milliseconds between two looks at whose turn it is.
  private static let step: Int64 = 5
  /// With fewer calls nobody asks how many are carried.
  private static let fewestCalls = 50

  let mode: RxMode
  /// The account's word.
  let encryption: String
  let calls: Int

  /// Seconds after which a call gets new keys again: a handshake costs much more than a key in SDP.
  var period: Int { self.encryption == "dtls_srtp" ? 10 : 1 }

  /// Processors that the changes may take: 0.4 for 1,000 calls.
  var bound: Double { 0.4 * Double(self.calls) / Double(Self.usualCalls) }

  fileprivate var name: String { "rekeys \(self.mode) \(self.encryption)" }

  /// Where these calls are not carried without loss there is no figure; then it finds out how many are.
  func measure() async throws -> RekeyFigures {
    do {
      return RekeyFigures(bench: self, outcome: .cost(try await self.cost(of: self.calls)))
    } catch let failure as BenchFailure {
      tell("\(self.name): \(failure)")
      return RekeyFigures(bench: self, outcome: .notCarried("\(failure)", carried: try await self.fewerCarried()))
    }
  }

  private func fewerCarried() async throws -> Int? {
    var fewer = self.calls / 2
    while fewer >= Self.fewestCalls {
      do {
        _ = try await self.cost(of: fewer)
        return fewer
      } catch let failure as BenchFailure {
        tell("\(self.name): \(failure)")
        fewer /= 2
      }
    }
    return nil
  }

  private func cost(of count: Int) async throws -> RekeyCost {
    let (cost, reports) = try await AgentPair.run(self.mode, self.encryption) { try await self.measured($0, count) }
    let changes = try self.changes(await reports.value, of: count)
    return RekeyCost(
      alone: cost.alone, rekeyed: cost.rekeyed, changesPerSecond: Double(changes) / Double(Self.rekeyTime))
  }

  /// The calls' reports are all there once the agents have ended.
  private func measured(_ pair: AgentPair, _ count: Int) async throws -> (RekeyCost, Task<[CallReport], Never>) {
    let reports = Task { await Self.reports(pair) }
    tell("\(self.name): placing \(count) calls")
    let calls = try await pair.place(upTo: count, every: Self.callInterval)
    try await Self.rest(Self.settlingTime)
    tell("\(self.name): \(count) calls are up, and left alone for \(Self.restTime) s")
    let before = try await self.cores { try await Self.rest(Self.restTime) }
    tell("\(self.name): \(count) calls are re-keyed for \(Self.rekeyTime) s, and then left alone")
    let during = try await self.cores { try await self.rekey(calls, pair.caller) }
    // The last old keys retire.
    try await Self.rest(Self.settlingTime)
    let after = try await self.cores { try await Self.rest(Self.restTime) }
    try await pair.hangUp(calls)
    return (RekeyCost(alone: (before + after) / 2, rekeyed: during), reports)
  }

  /// What every call ended with, at both ends.
  private static func reports(_ pair: AgentPair) async -> [CallReport] {
    var reports: [CallReport] = []
    for await next in pair.events { if case .ended(let report) = next.event { reports.append(report) } }
    return reports
  }

  private static func rest(_ seconds: Int) async throws { try await Task.sleep(for: .seconds(seconds)) }

  /// Processors that were busy for us, on average, while `body` ran.
  private func cores(_ body: () async throws -> Void) async throws -> Double {
    let (cpu, start) = (processNanoseconds(), Instant.now)
    try await body()
    return Double(processNanoseconds() - cpu) / Double(Instant.now.nanoseconds(since: start))
  }

  /// Offers each call new keys again and again; the calls' turns are spread over the period. A call whose last keys are
  /// not in use both ways yet has its turn with the next ones.
  private func rekey(_ calls: [CallID], _ caller: UserAgent) async throws {
    let start = Instant.now
    let all = Int64(self.changesWanted(of: calls.count))
    var (next, waiting): (Int, [CallID]) = (0, [])
    var elapsed: Int64 = 0
    while elapsed < Int64(Self.rekeyTime) * 1_000_000_000 {
      let due = Int(min(all, 1 + elapsed * Int64(calls.count) / (Int64(self.period) * 1_000_000_000)))
      let turns = waiting + (next..<due).map { calls[$0 % calls.count] }
      if !turns.isEmpty { waiting = await caller.beginRekeys(turns) }
      next = due
      try await Pace.wait(until: Instant.now.advanced(byMilliseconds: Self.step))
      elapsed = Instant.now.nanoseconds(since: start)
    }
  }

  private func changesWanted(of count: Int) -> Int { count * Self.rekeyTime / self.period }

  /// How often keys were changed; throws where calls were not carried as they should be, or not re-keyed as often.
  private func changes(_ reports: [CallReport], of count: Int) throws -> Int {
    let good = reports.count { $0.failure == nil && $0.setup != nil && $0.reason == "hangup" }
    guard reports.count == 2 * count, good == reports.count else {
      throw BenchFailure("of \(2 * count) legs \(good) ended as they should")
    }
    let lost = reports.reduce(0) { $0 + $1.media.lost }
    // What was on its way when a call ended is no loss.
    let dropped = reports.reduce(0) { $0 + $1.dropped - $1.media.drops.ended }
    guard lost == 0, dropped == 0 else { throw BenchFailure("\(lost) packets were lost and \(dropped) dropped") }
    // Packets that come together for want of time make a call look cheaper than it is.
    let late = reports.reduce(0) { $0 + $1.media.late }
    let received = reports.reduce(0) { $0 + $1.media.receivedPackets }
    guard late * 1000 <= received else {
      throw BenchFailure("of \(received) packets \(late) were too late for the jitter buffer")
    }
    let caller = reports.filter(\.isOutgoing).reduce(0) { $0 + $1.media.rekeys }
    let callee = reports.filter { !$0.isOutgoing }.reduce(0) { $0 + $1.media.rekeys }
    let (changes, wanted) = (min(caller, callee), self.changesWanted(of: count))
    guard changes * 100 >= wanted * 95 else {
      throw BenchFailure("of \(wanted) changes of keys \(changes) were made")
    }
    return changes
  }
}

extension UserAgent {
  /// Offers new keys in each of these calls, in one turn; those where it could not begin now.
  fileprivate func beginRekeys(_ calls: [CallID]) -> [CallID] { calls.filter { !self.rekey($0) } }
}

/// Processors that were busy.
struct RekeyCost: Sendable {
  let alone: Double
  let rekeyed: Double
  /// In use both ways, all calls together.
  var changesPerSecond = 0.0

  /// What the changes took.
  var more: Double { self.rekeyed - self.alone }
}

/// What changes of keys cost in one mode and encryption.
struct RekeyFigures: Sendable {
  enum Outcome: Sendable {
    case cost(RekeyCost)
    /// Why there is no figure, and how many calls were carried; nil where not even a few were.
    case notCarried(String, carried: Int?)
  }

  let bench: RekeyBench
  let outcome: Outcome

  var violations: [String] {
    switch self.outcome {
    case .cost(let cost):
      guard cost.more > self.bench.bound else { return [] }
      return ["\(self.bench.name): \(fixed(cost.more, 2)) cores more, \(fixed(self.bench.bound, 2)) allowed"]
    case .notCarried(let reason, let carried):
      return [
        "\(self.bench.name): \(self.bench.calls) calls were not carried (\(reason)); "
          + (carried.map { "\($0) were" } ?? "nor were a few")
      ]
    }
  }
}
