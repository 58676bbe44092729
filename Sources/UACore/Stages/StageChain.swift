package import ModuleKit

/// A stage between two executors: frames that the other side did not take or bring in time are lost, and counted.
protocol LossyStage: AudioStage {
  var lostFrames: Int { get }
}

/// Stages of one format in a row, as one stage.
package final class StageChain: LossyStage {
  package let format: AudioFormat
  private let stages: [any AudioStage]

  package init(_ stages: [any AudioStage], format: AudioFormat) {
    self.stages = stages
    self.format = format
  }

  /// Frames that its stages between two executors lost.
  package var lostFrames: Int { self.stages.reduce(0) { $0 + (($1 as? any LossyStage)?.lostFrames ?? 0) } }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    var result = Verdict.forward
    for stage in self.stages {
      switch stage.process(&frame) {
      case .forward: continue
      case .end: result = .end
      case .drop: return .drop
      }
    }
    return result
  }

  package func finish(_ stream: StreamID) {
    for stage in self.stages { stage.finish(stream) }
  }
}
