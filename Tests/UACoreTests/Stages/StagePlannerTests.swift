import AllModules
import Glibc
import Handoff
import ModuleKit
import Runtime
import TestSupport
import Testing

@testable import UACore

/// Stages as planned, over loops with threads of their own.
@Suite struct StagePlannerTests {
  static let format = AudioFormat(sampleRate: 8000, channels: 1)

  private static func registry(_ active: [String]) throws -> ModuleRegistry {
    try ModuleRegistry(available: allModules + [ProbeAudio.self], active: active, settings: [:])
  }

  private static func plan(
    _ planner: StagePlanner, _ device: String?, stream: UInt64 = 1
  ) throws -> StagePlan {
    let device = device.map { AudioDevice(driver: $0, device: "room") }
    return try planner.plan(
      source: device, player: device, format: Self.format, packetTime: 20, stream: StreamID(number: stream),
      failed: { Issue.record("\($0)") })
  }

  /// Every real module under every mode and policy: admitted as its claim allows, or refused with its sentence.
  @Test(
    "aubridge and vumeter are admitted or refused as their claims say",
    arguments: RxMode.allCases, AdmissionPolicy.allCases)
  func realModules(mode: RxMode, policy: AdmissionPolicy) throws {
    let main = EventLoop.start(name: "main")
    defer { main.stop() }
    main.sync { _ in
      do {
        let bridges = StagePlanner(
          registry: try Self.registry(["aubridge"]), mode: mode, policy: policy, main: main)
        let meters = StagePlanner(registry: try Self.registry(["vumeter"]), mode: mode, policy: policy, main: main)
        do {
          let plan = try Self.plan(bridges, "aubridge")
          #expect(mode == .main || policy != .reject)
          #expect(plan.transmit[0].admission == (mode == .main ? .asIs : .locked))
        } catch let error as AdmissionError {
          #expect(mode != .main && policy == .reject && error.module == "aubridge" && error.safety == .lockable)
        }
        do {
          let plan = try Self.plan(meters, nil)
          #expect(mode == .main || policy == .marshal)
          #expect(plan.receive[0].admission == (mode == .main ? .asIs : .marshalled))
          #expect(throws: Never.self) { try Self.registry(["vumeter"]).admitFilters(mode: mode, policy: policy) }
        } catch let error as AdmissionError {
          #expect(mode != .main && policy != .marshal && error.module == "vumeter" && error.safety == .mainOnly)
          #expect(throws: AdmissionError.self) {
            try Self.registry(["vumeter"]).admitFilters(mode: mode, policy: policy)
          }
        }
      } catch { Issue.record("\(error)") }
    }
  }

  /// Runs `frames` frames through both chains of a plan on `loop`.
  private static func hammer(_ plan: StagePlan, on loop: EventLoop, frames: Int, _ done: @escaping @Sendable () -> Void)
  {
    loop.execute { _ in
      do {
        let (transmit, receive) = (try plan.makeTransmitChain(), try plan.makeReceiveChain())
        var samples = [Int16](repeating: 100, count: 160)
        for _ in 0..<frames {
          var sent = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: plan.stream)
          _ = transmit.process(&sent)
          var heard = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: plan.stream)
          _ = receive.process(&heard)
        }
        transmit.finish(plan.stream)
        receive.finish(plan.stream)
      } catch { Issue.record("\(error)") }
      done()
    }
  }

  @Test(
    "a lockable stage that four calls share on four threads is never entered twice", arguments: ["aubridge", "count"])
  func locked(driver: String) throws {
    let result = CountResult()
    let main = EventLoop.start(name: "main")
    let pool = LoopPool(count: 4, name: "worker")
    let plans = main.sync { _ -> [StagePlan] in
      do {
        if driver == "aubridge" {
          let planner = StagePlanner(
            registry: try Self.registry(["aubridge"]), mode: .pool, policy: .lock, main: main)
          return try (1...4).map { try Self.plan(planner, "aubridge", stream: $0) }
        }
        let shared = try LockedStage { () throws(ModuleError) in UnlockedCounter(format: Self.format, result: result) }
        let stage = PlannedStage(module: "count", admission: .locked) { () throws(ModuleError) in shared }
        return (1...4).map {
          StagePlan(
            format: Self.format, stream: StreamID(number: $0), packetTime: 20, transmit: [stage], receive: [stage],
            main: main, failed: { Issue.record("\($0)") })
        }
      } catch {
        Issue.record("\(error)")
        return []
      }
    }
    let done = Locked(0)
    for (index, plan) in (plans ?? []).enumerated() {
      Self.hammer(plan, on: pool.loops[index], frames: 1000) { done.withLock { $0 += 1 } }
    }
    pool.stop()
    main.stop()
    #expect(done.withLock { $0 } == 4)
    if driver == "count" { #expect(result.count == 4 * 2 * 1000) }
  }

  @Test("the planner makes one shared stage for each device, and gives it to sources and players alike")
  func shared() throws {
    let main = EventLoop.start(name: "main")
    defer { main.stop() }
    main.sync { _ in
      do {
        let planner = StagePlanner(
          registry: try Self.registry(["aubridge"]), mode: .thread, policy: .lock, main: main)
        let (first, second) = (try Self.plan(planner, "aubridge"), try Self.plan(planner, "aubridge", stream: 2))
        let other = try planner.plan(
          source: AudioDevice(driver: "aubridge", device: "elsewhere"), player: nil, format: Self.format,
          packetTime: 20, stream: StreamID(number: 3), failed: { _ in })
        let stages = try [first.transmit[0], first.receive[0], second.transmit[0]].map { try $0.make() }
        #expect(stages.allSatisfy { $0 === stages[0] })
        #expect(try other.transmit[0].make() !== stages[0])
      } catch { Issue.record("\(error)") }
    }
  }

  /// Three filters, the middle one for main only.
  private func marshalledPlan(_ log: StageLog, _ main: EventLoop) -> StagePlan {
    func stage(_ name: String, _ admission: Admission, _ direction: MediaDirection) -> PlannedStage {
      let request = AudioRequest(device: "", format: Self.format, stream: StreamID(number: 1), direction: direction)
      return PlannedStage(module: name, admission: admission, make: log.stage(name, request))
    }
    return StagePlan(
      format: Self.format, stream: StreamID(number: 1), packetTime: 20,
      transmit: [
        stage("source", .asIs, .transmit), stage("first", .asIs, .transmit), stage("meter", .marshalled, .transmit),
        stage("last", .asIs, .transmit),
      ],
      receive: [
        stage("first", .asIs, .receive), stage("meter", .marshalled, .receive), stage("last", .asIs, .receive),
        stage("player", .asIs, .receive),
      ],
      main: main, failed: { Issue.record("\($0)") })
  }

  @Test("a frame crosses at most once: what follows a marshalled stage runs on main, what precedes a source's too")
  func marshalled() throws {
    let (main, worker) = (EventLoop.start(name: "main"), EventLoop.start(name: "worker"))
    let log = StageLog(main: main)
    let plan = self.marshalledPlan(log, main)
    let underruns = Locked(0)
    let lost = Locked(0)
    let frames = 500
    worker.execute { _ in
      do {
        let (transmit, receive) = (try plan.makeTransmitChain(), try plan.makeReceiveChain())
        var samples = [Int16](repeating: 0, count: 160)
        for index in 0..<frames {
          var sent = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: plan.stream)
          _ = transmit.process(&sent)
          var heard = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: plan.stream)
          _ = receive.process(&heard)
          if index % 8 == 0 { usleep(200) }
        }
        underruns.withLock { $0 = (transmit as? StageChain)?.lostFrames ?? -1 }
        lost.withLock { $0 = (receive as? StageChain)?.lostFrames ?? -1 }
        transmit.finish(plan.stream)
        receive.finish(plan.stream)
      } catch { Issue.record("\(error)") }
    }
    _ = worker.sync { _ in }
    _ = main.sync { _ in }
    worker.stop()
    main.stop()
    for stage in [
      "meter transmit", "first transmit", "source transmit", "meter receive", "last receive", "player receive",
    ] {
      #expect(log.frames(stage).elsewhere == 0, "\(stage)")
      #expect(log.frames(stage).onMain > 0, "\(stage)")
      #expect(log.finishes(stage) == (1, 0), "\(stage)")
    }
    for stage in ["last transmit", "first receive"] {
      #expect(log.frames(stage) == (0, frames), "\(stage)")
      #expect(log.finishes(stage) == (0, 1), "\(stage)")
    }
    // Conservation: each frame reached the player or was counted, and each tick had a frame or was counted.
    #expect(log.frames("player receive").onMain + lost.withLock { $0 } == frames)
    let made = log.frames("source transmit").onMain
    let used = frames - underruns.withLock { $0 }
    #expect((used...used + 3).contains(made), "\(made) made, \(used) used")
  }

  @Test("where the packet time changes, what main made ahead is used up: nothing is lost or made up")
  func otherPacketTimes() {
    let main = EventLoop.start(name: "main")
    defer { main.stop() }
    let stream = StreamID(number: 1)
    let producer = MarshalledProducer(
      on: main, format: Self.format, sampleCount: 160, stream: stream,
      { () throws(ModuleError) in NumberedSource(format: Self.format) }, failed: { Issue.record("\($0)") })
    var heard: [Int16] = []
    for count in [160, 160, 480, 480, 80, 80, 80, 960, 320] {
      // Main has made by then what it makes ahead.
      _ = main.sync { _ in }
      var samples = [Int16](repeating: -1, count: count)
      var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: stream)
      _ = producer.process(&frame)
      heard += samples
    }
    #expect(heard == Array(0..<2800) && producer.lostFrames == 0)
    producer.finish(stream)
    _ = main.sync { _ in }
  }

  @Test("main that stands still costs frames, which are counted, and nothing else")
  func mainIsBusy() throws {
    let (main, worker) = (EventLoop.start(name: "main"), EventLoop.start(name: "worker"))
    let log = StageLog(main: main)
    let plan = self.marshalledPlan(log, main)
    let gate = Locked(false)
    let lost = Locked((receiving: 0, sending: 0))
    main.execute { _ in while !gate.withLock({ $0 }) { usleep(500) } }
    worker.sync { _ in
      do {
        let (transmit, receive) = (try plan.makeTransmitChain(), try plan.makeReceiveChain())
        var samples = [Int16](repeating: 9, count: 160)
        for _ in 0..<100 {
          var sent = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: plan.stream)
          _ = transmit.process(&sent)
          var heard = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: plan.stream)
          _ = receive.process(&heard)
        }
        lost.withLock {
          $0 = ((receive as? StageChain)?.lostFrames ?? 0, (transmit as? StageChain)?.lostFrames ?? 0)
        }
        transmit.finish(plan.stream)
        receive.finish(plan.stream)
      } catch { Issue.record("\(error)") }
    }
    gate.withLock { $0 = true }
    _ = main.sync { _ in }
    worker.stop()
    main.stop()
    #expect(lost.withLock { $0 } == (84, 100), "the lane holds 16, and no frame was made")
    #expect(log.frames("player receive") == (16, 0))
    #expect(log.finishes("player receive") == (1, 0) && log.finishes("source transmit") == (1, 0))
  }

  @Test("a stage that can't be made on main is told to main, once for each direction")
  func failing() throws {
    let (main, worker) = (EventLoop.start(name: "main"), EventLoop.start(name: "worker"))
    let failures = Locked<[String]>([])
    let broken = PlannedStage(module: "m", admission: .marshalled) { () throws(ModuleError) in
      throw ModuleError(.unavailable, "no terminal")
    }
    let plan = StagePlan(
      format: Self.format, stream: StreamID(number: 1), packetTime: 20, transmit: [broken], receive: [broken],
      main: main,
      failed: { error in
        #expect(main.isCurrent)
        failures.withLock { $0.append(error.message) }
      })
    let done = Locked(false)
    Self.hammer(plan, on: worker, frames: 50) { done.withLock { $0 = true } }
    _ = worker.sync { _ in }
    _ = main.sync { _ in }
    worker.stop()
    main.stop()
    #expect(done.withLock { $0 } && failures.withLock { $0 } == ["no terminal", "no terminal"])
  }
}

/// A source whose samples count up.
private final class NumberedSource: AudioStage {
  let format: AudioFormat
  private var next: Int16 = 0

  init(format: AudioFormat) { self.format = format }

  func process(_ frame: inout AudioFrame) -> Verdict {
    for index in 0..<frame.samples.count {
      frame.samples[index] = self.next
      self.next += 1
    }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}
