// accepted
import Handoff
import ModuleKit
import NetBase
import Runtime
import SRTPEngine

final class Counting: AudioStage {
  let format = AudioFormat(sampleRate: 8000, channels: 1)
  var count = 0
  func process(_ frame: inout AudioFrame) -> Verdict {
    self.count += 1
    return .forward
  }
  func finish(_ stream: StreamID) {}
}

func offer() -> StageOffer {
  .confined { _ in { () throws(ModuleError) -> sending any AudioStage in Counting() } }
}

func post(_ box: Mailbox<SecretBytes>) {
  let key = SecretBytes(count: 16)
  box.post(key)
}

func later(_ loop: EventLoop) {
  loop.execute { context in _ = context.now }
}
