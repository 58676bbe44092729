internal import Handoff
package import ModuleKit
internal import NetBase
package import Runtime

/// What stages of the tests saw: counts by place, and whether they were on the main loop.
package final class StageLog: Sendable {
  /// A stage and a direction, for example `meter receive`.
  package struct Visit: Hashable, Sendable {
    package let stage: String
    package let isOnMain: Bool
  }

  private let main: EventLoop
  private let frames = Locked<[Visit: Int]>([:])
  private let finishes = Locked<[Visit: Int]>([:])

  package init(main: EventLoop) { self.main = main }

  func frame(_ stage: String, _ direction: MediaDirection) {
    let visit = Visit(stage: "\(stage) \(direction)", isOnMain: self.main.isCurrent)
    self.frames.withLock { $0[visit, default: 0] += 1 }
  }

  func finish(_ stage: String, _ direction: MediaDirection) {
    let visit = Visit(stage: "\(stage) \(direction)", isOnMain: self.main.isCurrent)
    self.finishes.withLock { $0[visit, default: 0] += 1 }
  }

  /// Frames that `stage` saw on main, and elsewhere.
  package func frames(_ stage: String) -> (onMain: Int, elsewhere: Int) {
    self.frames.withLock {
      ($0[Visit(stage: stage, isOnMain: true)] ?? 0, $0[Visit(stage: stage, isOnMain: false)] ?? 0)
    }
  }

  /// How often `stage` was finished on main, and elsewhere.
  package func finishes(_ stage: String) -> (onMain: Int, elsewhere: Int) {
    self.finishes.withLock {
      ($0[Visit(stage: stage, isOnMain: true)] ?? 0, $0[Visit(stage: stage, isOnMain: false)] ?? 0)
    }
  }

  /// A stage that passes every frame and notes where it was.
  package func stage(_ name: String, _ request: AudioRequest) -> StageFactory {
    let (format, direction) = (request.format, request.direction)
    return { () throws(ModuleError) in
      LoggedStage(name: name, format: format, direction: direction, log: self)
    }
  }
}

private final class LoggedStage: AudioStage {
  let format: AudioFormat
  private let name: String
  private let direction: MediaDirection
  private let log: StageLog

  init(name: String, format: AudioFormat, direction: MediaDirection, log: StageLog) {
    self.name = name
    self.format = format
    self.direction = direction
    self.log = log
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    self.log.frame(self.name, frame.direction)
    return .forward
  }

  func finish(_ stream: StreamID) { self.log.finish(self.name, self.direction) }
}

/// A count that is right only under one outside lock.
package final class UnlockedCounter: AudioStage {
  package let format: AudioFormat
  private var frames = 0
  private var samples: [Int16] = []
  private let result: CountResult

  package init(format: AudioFormat, result: CountResult) {
    self.format = format
    self.result = result
  }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    self.frames += 1
    self.samples = Array(repeating: Int16(truncatingIfNeeded: self.frames), count: frame.samples.count)
    return .forward
  }

  package func finish(_ stream: StreamID) { self.result.set(self.frames) }
}

/// Where an `UnlockedCounter` leaves its count.
package final class CountResult: Sendable {
  private let value = Locked(0)
  package init() {}
  package var count: Int { self.value.withLock { $0 } }
  func set(_ count: Int) { self.value.withLock { $0 = count } }
}
