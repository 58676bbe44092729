import AllModules
import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import Soaking
import TestSupport
import Testing

@testable import UACore

/// An agent whose calls are timed on its own main loop, from the moment they are hung up until nothing of them is left.
private final class TimedAgent: Sendable {
  private let main: EventLoop
  private let core: LoopBound<AgentCore>
  private let pool: LoopPool
  private let state: Locked<State>

  private struct State {
    var begun: [CallID: Instant] = [:]
    var milliseconds: [Double] = []
    var heard = 0
  }

  init(_ kind: ManyCalls.Kind) throws {
    let main = EventLoop.start(name: "timed")
    let core = LoopBound<AgentCore>(on: main)
    let pool = LoopPool(count: 2, name: "timed-pool")
    let state = Locked(State())
    (self.main, self.core, self.pool, self.state) = (main, core, pool, state)
    let started = main.sync { context in
      Result {
        let made = try AgentCore(
          settings: ManyCalls.settings(kind), main: main, context: context,
          loops: TransportLoops(main: main, pool: pool),
          wallClockOffset: wallClockNanoseconds() - context.now.nanoseconds
        ) { event in
          let now = Instant.now
          state.withLock { state in
            switch event {
            case .mediaEstablished: state.heard += 1
            case .ended(let report):
              guard let begin = state.begun[report.id] else { return }
              state.milliseconds.append(Double(now.nanoseconds(since: begin)) / 1e6)
            default: break
            }
          }
        }
        try made.start()
        core.put(made)
      }
    }
    try started?.get()
  }

  var heard: Int { self.state.withLock { $0.heard } }
  var milliseconds: [Double] { self.state.withLock { $0.milliseconds } }

  func call(_ user: String, at address: SocketAddress, _ settings: CallSettings) throws -> CallID? {
    let core = self.core
    let call = self.main.sync { _ in
      Result {
        try core.withValue { try $0.call(SIPURI("sip:\(user)@127.0.0.1"), at: address, settings: settings) }
      }
    }
    return try call?.get() ?? nil
  }

  func hangUp(_ call: CallID) {
    let (core, state) = (self.core, self.state)
    self.main.sync { _ in
      state.withLock { $0.begun[call] = Instant.now }
      core.withValue { $0.hangUp(call) }
    }
  }

  func stop() {
    let core = self.core
    self.main.sync { _ in
      core.withValue { $0.close() }
      _ = core.take()
    }
    self.main.stop()
    self.pool.stop()
  }
}

/// How long the end of a call takes, and how the end of a program ends many.
@Suite(.serialized, .timeLimit(.minutes(10))) struct StopTimeTests {
  #if DEBUG
    // Under a sanitizer, and beside all other tests, only that it comes to an end says something.
    private static let (calls, rounds) = (8, 1)
    private static func limit(_ mode: RxMode) -> Double { 10_000 }
  #else
    private static let (calls, rounds) = (100, 10)
    /// Two hundred threads on two processors wait for each other too: how long, is the machine's, and only a quiet one is
    /// held to it.
    private static func limit(_ mode: RxMode) -> Double { mode == .thread && !Seeds.isLong ? 10 : 5 }
  #endif

  /// One round: the 99th percentile, and how busy the machine was meanwhile.
  private struct Round: Sendable {
    let milliseconds: Double
    /// Of all processors' time, what anything ran in, this test too, which alone takes a fifth of two.
    let busyShare: Double

    var isDisturbed: Bool { self.busyShare > 0.5 }
  }

  /// Ten rounds. On a machine that rests in most of them their median counts; else the round that was disturbed least
  /// does, and there need not be ten.
  @Test("of 100 calls each is gone within 5 ms of its end, at the 99th percentile", arguments: RxMode.allCases)
  func percentile(mode: RxMode) async throws {
    var rounds: [Round] = []
    func isBusy() -> Bool { rounds.count(where: \.isDisturbed) * 2 > rounds.count }
    func best() -> Double { rounds.map(\.milliseconds).min() ?? .infinity }
    while rounds.count < Self.rounds, !isBusy() || best() > Self.limit(mode) {
      let before = ProcessorTime.now
      let high = try await self.round(mode)
      rounds.append(Round(milliseconds: high, busyShare: ProcessorTime.now.busyShare(since: before)))
    }
    let sorted = rounds.map(\.milliseconds).sorted()
    // Of ten the sixth: no luck lets a figure above the limit pass.
    let (decisive, name) = isBusy() ? (sorted[0], "best") : (sorted[sorted.count / 2], "median")
    let all = rounds.map { "\(fixed($0.milliseconds)) (\(Int(($0.busyShare * 100).rounded())) %)" }
    print(
      "stop, \(mode.rawValue): 99th percentiles in ms, and how busy the machine was: \(all.joined(separator: ", "));"
        + " by the \(name): \(fixed(decisive))")
    #expect(decisive <= Self.limit(mode), "\(name) of \(rounds.count): \(decisive) ms")
  }

  /// Sets the calls up, ends them one by one, and tells how long it takes for 99 of 100 to be gone, in milliseconds.
  private func round(_ mode: RxMode) async throws -> Double {
    let kind = ManyCalls.Kind(mode: mode, encryption: nil)
    let agent = try TimedAgent(kind)
    let peer = ManyCalls.agent("bob", kind)
    try await peer.start()
    try await peer.setAccounts([ManyCalls.account("bob", kind)])
    let address = try #require(await peer.listenAddress)
    var calls: [CallID] = []
    for _ in 0..<Self.calls {
      if let call = try agent.call("bob", at: address, ManyCalls.account("alice", kind)) { calls.append(call) }
      try await Task.sleep(for: .milliseconds(5))
    }
    for _ in 0..<1000 where agent.heard < Self.calls { try await Task.sleep(for: .milliseconds(10)) }
    #expect(agent.heard == Self.calls)
    for call in calls {
      agent.hangUp(call)
      try await Task.sleep(for: .milliseconds(7))
    }
    for _ in 0..<500 where agent.milliseconds.count < Self.calls { try await Task.sleep(for: .milliseconds(10)) }
    let sorted = agent.milliseconds.sorted()
    agent.stop()
    await peer.shutDown()
    try #require(sorted.count == Self.calls)
    return sorted[(Self.calls * 99 + 99) / 100 - 1]
  }

  /// One decimal.
  private func fixed(_ milliseconds: Double) -> String {
    let tenths = Int((milliseconds * 10).rounded(.up))
    return "\(tenths / 10).\(tenths % 10)"
  }
}
