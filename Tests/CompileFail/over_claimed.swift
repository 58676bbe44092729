// error: type 'Counting' does not conform to the 'Sendable' protocol
import ModuleKit

final class Counting: AudioStage {
  let format = AudioFormat(sampleRate: 8000, channels: 1)
  var count = 0
  func process(_ frame: inout AudioFrame) -> Verdict { .forward }
  func finish(_ stream: StreamID) {}
}

func offer() -> StageOffer { .concurrent { _ in Counting() } }
