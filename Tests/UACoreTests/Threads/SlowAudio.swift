import Glibc
import Handoff
import ModuleKit

/// A player that takes a second and a half for one frame, as a bad driver might.
struct SlowAudio: Module {
  static let name = "slow"
  static let summary = "a player of the tests that blocks"
  static let frames = Locked(0)

  init(settings: ModuleSettings) throws(ModuleError) {}

  var facets: [Facet] {
    [
      .player(
        .confined { request throws(ModuleError) in
          { () throws(ModuleError) in SlowPlayer(format: request.format) }
        })
    ]
  }
}

private final class SlowPlayer: AudioStage {
  let format: AudioFormat
  private var hasSlept = false

  init(format: AudioFormat) { self.format = format }

  func process(_ frame: inout AudioFrame) -> Verdict {
    SlowAudio.frames.withLock { $0 += 1 }
    if !self.hasSlept { usleep(1_500_000) }
    self.hasSlept = true
    return .forward
  }

  func finish(_ stream: StreamID) {}
}
