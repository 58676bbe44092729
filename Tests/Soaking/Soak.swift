internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// Calls in every mode at once, fifty-one (nine in debug builds) as a rule, that are re-keyed, held, transferred, hung up and redialled at random.
package actor Soak {
  private enum Step: String, CaseIterable, Sendable {
    case rekey, hold, resume, digits, transfer, hangUp
  }

  #if DEBUG
    private static let usualCalls = 3
  #else
    private static let usualCalls = 17
  #endif

  /// As short a run says nothing about an hour.
  private static let tellingSeconds: Int64 = 600

  private let callsPerMode: Int
  private let pace: Int
  private let isSlow: Bool
  private var steps: [Step: Int] = [:]
  private var ended = 0
  private var rekeys = 0
  private var packets = 0
  /// What went wrong, in words.
  private var faults: [String] = []
  private var footprints: [Footprint] = []

  /// - Parameters:
  ///   - callsPerMode: calls at once in each mode; nil for as many as this build can do.
  ///   - pace: milliseconds between two steps of the calls of one mode.
  ///   - isSlow: whether a key may come after half a second, so that what waited for it in vain is no fault.
  package init(callsPerMode: Int? = nil, pace: Int = 20, isSlow: Bool = false) {
    (self.callsPerMode, self.pace, self.isSlow) = (callsPerMode ?? Self.usualCalls, pace, isSlow)
  }

  /// - Parameters:
  ///   - seconds: how long.
  ///   - every: seconds between two looks at what the process holds.
  package func run(seconds: Int64, every: Int64) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      let end = Instant.now.advanced(byMilliseconds: seconds * 1000)
      // Addresses of their own: the port of a call that has ended is not another agent's a moment later, while packets are
      // on their way to it.
      for (index, mode) in RxMode.allCases.enumerated() {
        let host = 0x7F00_0901 + 2 * UInt32(index)
        group.addTask { try await self.keepBusy(mode, host, until: end) }
      }
      group.addTask {
        while Instant.now < end {
          try await Task.sleep(for: .seconds(every))
          await self.look()
        }
      }
      try await group.waitForAll()
    }
  }

  private func look() { self.footprints.append(Footprint.now()) }

  private func keepBusy(_ mode: RxMode, _ host: UInt32, until end: Instant) async throws {
    let kinds = ["srtp-mand", "dtls_srtp"].map { ManyCalls.Kind(mode: mode, encryption: $0) }
    let alice = ManyCalls.agent("alice", kinds[0], host: host)
    let bob = ManyCalls.agent("bob", kinds[0], host: host + 1)
    try await alice.start()
    try await bob.start()
    guard let address = await bob.listenAddress else { throw ModuleError(.unavailable, "bob does not listen") }
    // An account for each encryption, the second one's name with a 1.
    try await bob.setAccounts(kinds.enumerated().map { ManyCalls.account("bob\($0)", $1) })
    let listeners = [alice, bob].map { agent in
      Task { for await event in agent.events { if case .ended(let report) = event { self.note(report, mode) } } }
    }
    var dialled = 0
    while Instant.now < end {
      let calls = await alice.reports.filter { $0.state != .ended }
      if calls.count < self.callsPerMode {
        dialled += 1
        let kind = dialled % kinds.count
        _ = try await alice.call(
          "sip:bob\(kind)@\(address)", settings: ManyCalls.account("alice", kinds[kind]))
      } else if let call = calls.filter({ $0.state == .established && $0.firstMedia != nil }).randomElement() {
        await self.step(call, of: alice)
      }
      try await Task.sleep(for: .milliseconds(self.pace))
    }
    await alice.shutDown()
    await bob.shutDown()
    for listener in listeners { await listener.value }
  }

  private func step(_ call: CallReport, of agent: UserAgent) async {
    // Keys change more often than calls do.
    guard let step = ([Step.rekey, .rekey, .rekey] + Step.allCases).randomElement() else { return }
    switch step {
    case .rekey: guard await agent.rekey(call.id) else { return }
    case .hold: await agent.setHold(call.id, true)
    case .resume: await agent.setHold(call.id, false)
    case .digits: await agent.send(digits: "1", on: call.id)
    case .transfer:
      // To where it is already: the peer dials itself.
      let isChosen = await agent.execute("/line \(call.id.number)").isOK
      guard isChosen, await agent.execute("/transfer \(call.peer)").isOK else { return }
    case .hangUp: await agent.hangUp(call.id)
    }
    self.steps[step, default: 0] += 1
  }

  private func note(_ report: CallReport, _ mode: RxMode) {
    self.ended += 1
    self.rekeys += report.media.rekeys
    self.packets += report.media.receivedPackets
    // A call may be hung up in the midst of a change of keys.
    let late = self.isSlow ? report.media.drops.noKey + report.media.drops.crowded : 0
    let drops = report.media.drops.total - report.media.drops.ended - late
    let isWell = report.reason == "hangup" && report.failure == nil && report.media.lost <= late && drops == 0
    if !isWell {
      self.faults.append("\(mode.rawValue): \(report.reason), \(report.media.lost) lost, \(report.media.drops)")
    }
  }

  /// What was done, and what grew in an hour where there was time enough to tell; more than its bound is a fault.
  package func summary(every: Int64) -> String {
    let done = Step.allCases.map { "\(self.steps[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
    var growth = "too short to tell what grows"
    var faults = self.faults
    if Int64(self.footprints.count) * every >= Self.tellingSeconds {
      // What is made once is there after a tenth of the time.
      let slopes = Slopes(of: Array(self.footprints.dropFirst(self.footprints.count / 10)), every: 1)
      // A hundred thousand calls end in an hour: one descriptor left by each hundredth is 1,000, 200 bytes by each 20 MiB.
      let figures: [(name: String, growth: Double, bound: Double)] = [
        ("descriptors", slopes.descriptors, 500), ("threads", slopes.threads, 50),
        ("heap KiB", slopes.heap / 1024, 16_384), ("resident KiB", slopes.resident / 1024, 32_768),
      ].map { ($0.0, ($0.1 * 36_000 / Double(every)).rounded() / 10, $0.2) }
      growth = "an hour: " + figures.map { "\($0.name) \($0.growth)" }.joined(separator: ", ")
      faults += figures.filter { $0.growth > $0.bound }.map { "grows by \($0.growth) \($0.name) an hour" }
    }
    return """
      \(self.ended) ends of calls, \(self.rekeys) changes of keys, \(self.packets) packets; asked for: \(done)
      \(growth)
      \(faults.count) faults\(faults.prefix(10).map { "\n  \($0)" }.joined())
      """
  }
}
