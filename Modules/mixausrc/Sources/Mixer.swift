internal import Handoff
internal import ModuleKit

/// Fades the stream out, mixes a source into what is left of it, and fades it in again when the source is over.
///
/// One owner. The source is made by that owner, too, and asked for a frame whenever the stream has one.
final class Mixer: AudioStage {
  /// Milliseconds in which the stream is faded out, and in.
  static let fadeTime = 160

  private enum Mode {
    case idle
    case fadeOut(Mix, Fade)
    case mix(Mix, any AudioStage)
    case fadeIn(Fade)
  }

  let format: AudioFormat
  let control = MixerControl()
  private let place: MixerDesk.Place
  private let desk: Locked<MixerDesk>
  private var mode = Mode.idle
  /// Room for the source's frame; it grows to what the stream needs.
  private var room: [Int16] = []
  /// What the stream's next sample is multiplied by.
  private var factor: Float {
    switch self.mode {
    case .idle: 1
    case .fadeOut(_, let fade), .fadeIn(let fade): fade.factor()
    case .mix(let mix, _): mix.streamVolume
    }
  }

  init(format: AudioFormat, place: MixerDesk.Place, desk: Locked<MixerDesk>) {
    self.format = format
    self.place = place
    self.desk = desk
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    while let order = self.control.take() { self.obey(order, frame.stream) }
    switch self.mode {
    case .idle: break
    case .fadeOut(let mix, var fade):
      self.apply(&fade, to: &frame)
      self.mode = fade.isOver ? self.begin(mix) : .fadeOut(mix, fade)
    case .mix(let mix, let source): self.add(source, mix, &frame)
    case .fadeIn(var fade):
      self.apply(&fade, to: &frame)
      self.mode = fade.isOver ? .idle : .fadeIn(fade)
    }
    return .forward
  }

  func finish(_ stream: StreamID) {
    if case .mix(_, let source) = self.mode { source.finish(stream) }
    self.mode = .idle
    let (control, place) = (self.control, self.place)
    self.desk.withLock { $0.remove(control, at: place) }
  }

  private func obey(_ order: MixerControl.Order, _ stream: StreamID) {
    switch (order, self.mode) {
    case (.start(let mix), .idle), (.start(let mix), .fadeIn), (.start(let mix), .fadeOut):
      self.mode = .fadeOut(mix, self.fade(from: self.factor, to: mix.streamVolume))
    case (.start, .mix): break
    case (.stop, .idle), (.stop, .fadeIn): break
    case (.stop, .fadeOut): self.fadeIn()
    case (.stop, .mix(_, let source)):
      source.finish(stream)
      self.fadeIn()
    }
  }

  /// Makes the source, or goes back where it can't be made.
  private func begin(_ mix: Mix) -> Mode {
    do throws(ModuleError) { return .mix(mix, try mix.make()) } catch {
      self.control.isDone()
      return .fadeIn(self.fade(from: mix.streamVolume, to: 1))
    }
  }

  private func fadeIn() {
    self.control.isDone()
    self.mode = .fadeIn(self.fade(from: self.factor, to: 1))
  }

  private func fade(from start: Float, to end: Float) -> Fade {
    Fade(from: start, to: end, steps: self.format.sampleRate * Self.fadeTime / 1000)
  }

  private func add(_ source: any AudioStage, _ mix: Mix, _ frame: inout AudioFrame) {
    let count = frame.samples.count
    if self.room.count < count { self.room = Array(repeating: 0, count: count) }
    var all = self.room.mutableSpan
    var own = AudioFrame(
      samples: all._mutatingExtracting(..<count), direction: .transmit, stream: frame.stream)
    let verdict = source.process(&own)
    for index in 0..<count {
      let sum = Float(frame.samples[index]) * mix.streamVolume + mix.sourceVolume * Float(self.room[index])
      frame.samples[index] = Int16(max(-32_768, min(sum, 32_767)))
    }
    guard case .end = verdict else { return }
    source.finish(frame.stream)
    self.fadeIn()
  }

  private func apply(_ fade: inout Fade, to frame: inout AudioFrame) {
    let channels = self.format.channels
    let count = frame.samples.count / channels
    for instant in 0..<count {
      let factor = fade.factor(after: instant)
      for index in instant * channels..<(instant + 1) * channels {
        frame.samples[index] = Int16(Float(frame.samples[index]) * factor)
      }
    }
    fade.done += count
  }
}
