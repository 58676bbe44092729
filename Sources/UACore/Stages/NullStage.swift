internal import ModuleKit

/// Silence as a source, nothing at all as a player: for calls whose config names no device.
final class NullStage: AudioStage {
  let format: AudioFormat

  init(format: AudioFormat) { self.format = format }

  func process(_ frame: inout AudioFrame) -> Verdict {
    switch frame.direction {
    case .transmit: frame.samples.update(repeating: 0)
    case .receive: break
    }
    return .forward
  }

  func finish(_ stream: StreamID) {}

  /// Belongs to whoever makes it.
  static let offer = StageOffer.confined { request in
    { NullStage(format: request.format) }
  }
}
