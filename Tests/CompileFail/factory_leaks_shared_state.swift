// error: capture of 'shared' with non-Sendable type 'Counting' in a '@Sendable' closure
import ModuleKit

final class Counting: AudioStage {
  let format = AudioFormat(sampleRate: 8000, channels: 1)
  var count = 0
  func process(_ frame: inout AudioFrame) -> Verdict { .forward }
  func finish(_ stream: StreamID) {}
}

func offer() -> StageOffer {
  let shared = Counting()
  return .confined { _ in { () throws(ModuleError) -> sending any AudioStage in shared } }
}
