internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// How many calls can be set up in a second, both legs in this process, and how soon a call is secured.
struct SetupBench: Sendable {
  static let callsPerRound = 1000
  static let callsAtOnce = 32
  private static let rounds = 3
  /// Calls whose time is taken, so far apart that none waits for another.
  static let calmCalls = 100
  private static let calmInterval: Int64 = 100
  /// Seconds after which a round is given up.
  private static let patience = 120

  let mode: RxMode
  /// The account's word; nil for none.
  let encryption: String?

  var encryptionName: String { self.encryption ?? "none" }

  fileprivate var name: String { "setups \(self.mode) \(self.encryptionName)" }

  /// Whether the C program's handshakes are its limit, and the bounds are for it; else it shows what of that is SIP.
  var hasHandshake: Bool { self.encryption == "dtls_srtp" }

  func measure() async throws -> SetupFigures {
    try await AgentPair.run(self.mode, self.encryption) { pair in
      let times = try await self.secureTimes(pair)
      var rounds: [SetupRound] = []
      for number in 1...Self.rounds {
        tell("\(self.name): \(Self.callsPerRound) calls, round \(number) of \(Self.rounds)")
        // Nothing else is done here meanwhile.
        let limit = try self.hasHandshake ? LimitHandshakes.perCore() : nil
        rounds.append(try await self.round(number, pair, limit))
      }
      return SetupFigures(bench: self, rounds: rounds, times: times)
    }
  }

  /// Milliseconds from INVITE to the first secured RTP, none in the clear; each call ends when the caller has heard media.
  private func secureTimes(_ pair: AgentPair) async throws -> [Double] {
    guard self.encryption != nil else { return [] }
    tell("\(self.name): \(Self.calmCalls) calls, one every \(Self.calmInterval) ms")
    let placing = Task {
      let start = Instant.now
      for index in 0..<Int64(Self.calmCalls) {
        try await Pace.wait(until: start.advanced(byMilliseconds: index * Self.calmInterval))
        _ = try await pair.call()
      }
    }
    let watchdog = self.watchdog(pair)
    defer { watchdog.cancel() }
    var times: [Double] = []
    var ended = 0
    for await next in pair.events {
      switch (next.end, next.event) {
      case (.caller, .mediaEstablished(let call)): await pair.caller.hangUp(call)
      case (let end, .ended(let report)):
        try self.check(report)
        ended += 1
        if case .caller = end, let time = report.secure { times.append(time) }
      default: break
      }
      if ended == 2 * Self.calmCalls { break }
    }
    try await placing.value
    guard ended == 2 * Self.calmCalls, times.count == Self.calmCalls else {
      throw BenchFailure("\(self.name): of \(Self.calmCalls) calls \(ended / 2) ended, \(times.count) with secured RTP")
    }
    return times
  }

  /// Sets up `callsPerRound` calls, so many at once, and ends each as soon as both ends have keys.
  private func round(_ number: Int, _ pair: AgentPair, _ limit: Double?) async throws -> SetupRound {
    let watchdog = self.watchdog(pair)
    defer { watchdog.cancel() }
    var calls = SetupCalls(pair, round: number, isEncrypted: self.encryption != nil)
    let (start, cpu) = (Instant.now, processNanoseconds())
    while calls.begun < Self.callsAtOnce { try await calls.begin() }
    for await next in pair.events {
      await calls.take(next)
      guard case .ended(let report) = next.event else { continue }
      try self.check(report)
      if case .caller = next.end, calls.begun < Self.callsPerRound { try await calls.begin() }
      if calls.ended == 2 * Self.callsPerRound { break }
    }
    guard calls.ended == 2 * Self.callsPerRound else {
      throw BenchFailure(
        "\(self.name): \(calls.ended / 2) of \(Self.callsPerRound) calls ended within \(Self.patience) s")
    }
    return SetupRound(
      calls: Double(Self.callsPerRound), seconds: Double(Instant.now.nanoseconds(since: start)) / 1e9,
      cpu: Double(processNanoseconds() - cpu) / 1e9, limitPerCore: limit)
  }

  /// Ends both agents, and with them whoever waits for their events, when a round takes too long.
  private func watchdog(_ pair: AgentPair) -> Task<Void, any Error> {
    Task {
      try await Task.sleep(for: .seconds(Self.patience))
      await pair.stop()
    }
  }

  /// A call that was not set up would count as a quick one.
  private func check(_ report: CallReport) throws {
    let hasKeys = self.encryption == nil || report.profile != nil
    guard report.failure == nil, report.reason == "hangup", report.setup != nil, hasKeys else {
      throw BenchFailure("\(self.name): a call came to nothing: \(report.reason)")
    }
  }
}

/// The calls of one round, and which of their ends are ready.
private struct SetupCalls {
  private(set) var begun = 0
  /// Both ends count.
  private(set) var ended = 0
  private let pair: AgentPair
  private let round: Int
  private let isEncrypted: Bool
  /// The caller's calls, by the identity that the callee sees.
  private var placed: [String: CallID] = [:]
  /// The same, by the callee's.
  private var counterparts: [CallID: CallID] = [:]
  /// Those of which one end is ready.
  private var halfReady: Set<CallID> = []

  init(_ pair: AgentPair, round: Int, isEncrypted: Bool) {
    (self.pair, self.round, self.isEncrypted) = (pair, round, isEncrypted)
  }

  mutating func begin() async throws {
    self.begun += 1
    let identity = "sip:bench-\(self.round)-\(self.begun)@127.0.0.1"
    self.placed[identity] = try await self.pair.call(as: identity)
  }

  mutating func take(_ next: PairEvent) async {
    switch next.event {
    case .incoming(let call, let peer, _): self.counterparts[call] = self.placed[peer]
    case .secured(let call, profile: _): if self.isEncrypted { await self.isReady(call, at: next.end) }
    case .established(let call): if !self.isEncrypted { await self.isReady(call, at: next.end) }
    case .ended: self.ended += 1
    default: break
    }
  }

  /// An end has keys, or in the clear is established; the call ends with the second one.
  private mutating func isReady(_ id: CallID, at end: PairEvent.End) async {
    let known: CallID?
    switch end {
    case .caller: known = id
    case .callee: known = self.counterparts[id]
    }
    guard let call = known else { return }
    if !self.halfReady.insert(call).inserted { await self.pair.caller.hangUp(call) }
  }
}

/// What one round came to.
struct SetupRound: Sendable {
  let calls: Double
  let seconds: Double
  /// Seconds of CPU time, of all threads.
  let cpu: Double
  /// Handshakes of the C program in a second of CPU time, just before the round.
  let limitPerCore: Double?

  var rate: Double { self.calls / self.seconds }
  var perCore: Double { self.calls / self.cpu }
}

/// How quickly calls are set up in one mode and encryption; medians.
struct SetupFigures: Sendable {
  /// Calls a second with DTLS-SRTP that must be possible.
  static let minimumRate = 250.0
  /// Milliseconds from INVITE to the first secured RTP.
  static let maximumSecureTime = 15.0

  let bench: SetupBench
  /// Calls a second.
  let rate: Double
  /// Calls in a second of CPU time.
  let perCore: Double
  /// Handshakes of the C program in a second of CPU time.
  let limitPerCore: Double?
  /// Times the C program's CPU time for a handshake that a call costs.
  let ratio: Double?
  /// Milliseconds from INVITE to the first secured RTP.
  let secureTime: Double?

  init(bench: SetupBench, rounds: [SetupRound], times: [Double]) {
    self.bench = bench
    self.rate = median(rounds.map(\.rate))
    self.perCore = median(rounds.map(\.perCore))
    let limits = rounds.compactMap(\.limitPerCore)
    self.limitPerCore = limits.isEmpty ? nil : median(limits)
    let ratios = rounds.compactMap { round in round.limitPerCore.map { $0 / round.perCore } }
    self.ratio = ratios.isEmpty ? nil : median(ratios)
    self.secureTime = times.isEmpty ? nil : median(times)
  }

  var violations: [String] {
    guard self.bench.hasHandshake else { return [] }
    var all: [String] = []
    if self.rate < Self.minimumRate {
      all.append("\(self.bench.name): \(fixed(self.rate, 0)) calls a second, \(fixed(Self.minimumRate, 0)) wanted")
    }
    if let time = self.secureTime, time > Self.maximumSecureTime {
      let bound = fixed(Self.maximumSecureTime, 0)
      all.append("\(self.bench.name): \(fixed(time, 1)) ms to the first secured RTP, \(bound) allowed")
    }
    return all
  }
}
