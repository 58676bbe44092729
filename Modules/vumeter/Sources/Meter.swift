internal import Handoff
internal import ModuleKit

/// Measures frames as they pass, unchanged, and tells the display every 200 ms of audio.
final class Meter: AudioStage {
  let format: AudioFormat
  private let display: Locked<Display>
  private var transmit = LevelGauge()
  private var receive = LevelGauge()

  init(format: AudioFormat, display: Locked<Display>) {
    self.format = format
    self.display = display
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let period = self.format.sampleCount(milliseconds: 200)
    let level: Level? =
      switch frame.direction {
      case .transmit: self.transmit.add(frame.samples.span, period: period)
      case .receive: self.receive.add(frame.samples.span, period: period)
      }
    if let level {
      let (stream, direction) = (frame.stream, frame.direction)
      self.display.withLock { $0.show(level, direction, of: stream) }
    }
    return .forward
  }

  func finish(_ stream: StreamID) { self.display.withLock { $0.forget(stream) } }
}
