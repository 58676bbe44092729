import Glibc
import Handoff
import ModuleKit
import Runtime
import TestSupport
import Testing

@testable import UACore

/// What a stage must never see: its end while a frame is inside it, or a frame after its end.
private final class Visits: Sendable {
  private struct State {
    var inside: [StreamID: Int] = [:]
    var insideAny = 0
    var finished: Set<StreamID> = []
    var frames = 0
    var faults: Set<String> = []
  }

  private let state = Locked(State())
  let isExclusive: Bool

  /// - Parameter isExclusive: whether streams must not be inside it at the same time either.
  init(isExclusive: Bool) { self.isExclusive = isExclusive }

  var faults: Set<String> { self.state.withLock { $0.faults } }
  var frames: Int { self.state.withLock { $0.frames } }
  func hasBegun(_ stream: StreamID) -> Bool { self.state.withLock { $0.inside[stream] != nil } }
  func isFinished(_ stream: StreamID) -> Bool { self.state.withLock { $0.finished.contains(stream) } }

  func enter(_ stream: StreamID) {
    self.state.withLock { state in
      if state.finished.contains(stream) { state.faults.insert("a frame after the end") }
      if self.isExclusive, state.insideAny > 0 { state.faults.insert("a frame while another is inside") }
      state.inside[stream, default: 0] += 1
      state.insideAny += 1
      state.frames += 1
    }
  }

  func leave(_ stream: StreamID) {
    self.state.withLock { state in
      state.inside[stream, default: 0] -= 1
      state.insideAny -= 1
    }
  }

  func finish(_ stream: StreamID) {
    self.state.withLock { state in
      if state.inside[stream, default: 0] > 0 || (self.isExclusive && state.insideAny > 0) {
        state.faults.insert("an end while a frame is inside")
      }
      if !state.finished.insert(stream).inserted { state.faults.insert("a second end") }
    }
  }
}

/// A stage in which a frame stays for a while.
private final class RoomyStage: AudioStage {
  let format: AudioFormat
  private let visits: Visits
  private let meanwhile: () -> Void

  init(format: AudioFormat, visits: Visits, meanwhile: @escaping () -> Void = { usleep(300) }) {
    self.format = format
    self.visits = visits
    self.meanwhile = meanwhile
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    self.visits.enter(frame.stream)
    self.meanwhile()
    self.visits.leave(frame.stream)
    return .forward
  }

  func finish(_ stream: StreamID) { self.visits.finish(stream) }
}

/// Stages that are removed while frames go through them.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RemovalTests {
  private static let format = AudioFormat(sampleRate: 8000, channels: 1)

  private static func process(_ stage: any AudioStage, _ stream: StreamID) {
    var samples = [Int16](repeating: 7, count: 160)
    var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: stream)
    _ = stage.process(&frame)
  }

  @Test("a shared stage lets a stream go when no other stream's frame is inside it")
  func locked() throws {
    let visits = Visits(isExclusive: true)
    let shared = try LockedStage { () throws(ModuleError) in RoomyStage(format: Self.format, visits: visits) }
    let loops = (0..<2).map { EventLoop.start(name: "worker-\($0)") }
    for (index, loop) in loops.enumerated() {
      loop.execute { _ in
        for round in 0..<40 {
          let stream = StreamID(number: UInt64(index * 1000 + round))
          for _ in 0..<4 { Self.process(shared, stream) }
          shared.finish(stream)
        }
      }
    }
    for loop in loops { loop.stop() }
    #expect(visits.faults.isEmpty && visits.frames == 2 * 40 * 4, "\(visits.faults)")
  }

  @Test("a marshalled stage ends after the last frame that was on its way to main")
  func marshalled() throws {
    let (main, worker) = (EventLoop.start(name: "main"), EventLoop.start(name: "worker"))
    let visits = Visits(isExclusive: false)
    let streams = (0..<40).map { StreamID(number: UInt64($0)) }
    let lost = Locked(0)
    worker.execute { _ in
      for stream in streams {
        let stage = MarshalledConsumer(
          to: main, format: Self.format, stream: stream,
          { () throws(ModuleError) in RoomyStage(format: Self.format, visits: visits) }, failed: { _ in })
        for _ in 0..<6 {
          Self.process(stage, stream)
          usleep(100)
        }
        stage.finish(stream)
        lost.withLock { $0 += stage.lostFrames }
      }
    }
    _ = worker.sync { _ in }
    _ = main.sync { _ in }
    worker.stop()
    main.stop()
    #expect(visits.faults.isEmpty, "\(visits.faults)")
    #expect(visits.frames + lost.withLock { $0 } == 6 * streams.count)
    #expect(streams.allSatisfy { visits.isFinished($0) })
  }

  /// What a stage claims, and the policy under which the core takes it in every mode.
  struct Claim: Sendable, CustomTestStringConvertible {
    let safety: ThreadSafety
    let policy: AdmissionPolicy
    var testDescription: String { self.safety.rawValue }

    static let all = [
      Claim(safety: .lockable, policy: .lock), Claim(safety: .mainOnly, policy: .marshal),
      Claim(safety: .confined, policy: .reject),
    ]
  }

  @Test(
    "calls on real threads that end while frames are inside their players: no end is inside a frame, no frame after an end",
    arguments: RxMode.allCases, Claim.all)
  func calls(mode: RxMode, claim: Claim) async throws {
    // All streams share the lockable one; the others have one each.
    let visits = Visits(isExclusive: claim.safety == .lockable)
    let prepare: @Sendable (AudioRequest) throws(ModuleError) -> StageFactory = { request throws(ModuleError) in
      { () throws(ModuleError) in RoomyStage(format: request.format, visits: visits) }
    }
    let offer: StageOffer =
      switch claim.safety {
      case .lockable: .lockable(prepare)
      case .mainOnly: .mainOnly(prepare)
      case .confined, .concurrent: .confined(prepare)
      }
    let player = AudioDevice(driver: "roomy", device: "")
    let pair = try await LivePair(
      mode: mode, encryption: nil, player: player,
      bobPlayer: AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    ) { settings in
      settings.configuration.rxPolicy = claim.policy
      settings.programFacets = [(module: "roomy", facet: .player(offer))]
    }
    let ended = LivePair.reports(of: pair.alice)
    var generator = TestGenerator(seed: 63)
    for round in 0..<4 {
      let calls = [try await pair.call(nil, player), try await pair.call(nil, player)]
      let wanted = visits.frames + 4
      let streams = calls.map { StreamID(number: $0.number) }
      for _ in 0..<3000 where visits.frames < wanted || !streams.allSatisfy({ visits.hasBegun($0) }) {
        try await Task.sleep(for: .milliseconds(1))
      }
      for call in calls {
        // A frame is inside for 300 µs of each 20 ms.
        try await Task.sleep(for: .microseconds(Int.random(in: 0...20_000, using: &generator)))
        await pair.alice.hangUp(call)
      }
      await pair.alice.waitUntilIdle()
      #expect(streams.allSatisfy { visits.isFinished($0) }, "round \(round)")
    }
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    let reports = await ended.value
    #expect(reports.count == 8 && reports.allSatisfy { $0.failure == nil && $0.reason == "hangup" })
    #expect(visits.faults.isEmpty && visits.frames >= 16, "\(visits.faults) \(visits.frames)")
  }

  @Test("a player that hangs its own call up ends when its frame is through", arguments: RxMode.allCases)
  func fromWithin(mode: RxMode) throws {
    let visits = Visits(isExclusive: false)
    let hangUp = Locked<(@Sendable () -> Void)?>(nil)
    let offer = StageOffer.confined { request throws(ModuleError) in
      { () throws(ModuleError) in
        RoomyStage(format: request.format, visits: visits) {
          if visits.frames == 20 { hangUp.withLock { $0 }?() }
        }
      }
    }
    let agents = try SimulatedAgents(
      mode: mode, adjust: { $0.programFacets = [(module: "roomy", facet: .player(offer))] })
    agents.aliceSettings.player = AudioDevice(driver: "roomy", device: "")
    let call = try agents.call()
    let action = SimulatedAgent.onMain(of: agents.alice) { $0.hangUp(call) }
    hangUp.withLock { $0 = action }
    agents.run(milliseconds: 2000)
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.reason == "hangup")
    #expect(visits.faults.isEmpty && (20...22).contains(visits.frames), "\(visits.faults) \(visits.frames)")
    #expect(visits.isFinished(StreamID(number: call.number)))
  }
}
