package import ModuleKit

/// Stages of one format in a row, as one stage.
package final class StageChain: AudioStage {
  package let format: AudioFormat
  private let stages: [any AudioStage]

  package init(_ stages: [any AudioStage], format: AudioFormat) {
    self.stages = stages
    self.format = format
  }

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
