internal import Handoff
internal import ModuleKit
internal import Synchronization

/// What the call plays, in the device's time; owned by the stream, the device's thread empties the ring.
final class PlaybackStage: AudioStage {
  let format: AudioFormat
  private let figures: DeviceFigures
  private var writer: PCMWriter
  private var converter: RateConverter
  private var control: DriftControl
  private var scratch: [Int16]
  private var hasBegun = false

  init(format: AudioFormat, figures: DeviceFigures, writer: consuming PCMWriter) {
    self.format = format
    self.figures = figures
    self.writer = writer
    self.converter = RateConverter(channels: format.channels)
    self.control = DriftControl(rate: format.sampleRate, target: format.sampleRate * CaptureStage.depth / 1000)
    self.scratch = [Int16](repeating: 0, count: format.sampleCount(milliseconds: CaptureStage.most))
  }

  deinit { self.figures.isFinished.store(true, ordering: .releasing) }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let channels = self.format.channels
    let blocks = frame.samples.count / channels
    self.figures.frame.store(blocks * 1000 / self.format.sampleRate, ordering: .relaxed)
    if !self.hasBegun { self.begin(with: frame.samples.count) }
    let waiting = self.writer.filled / channels
    // A device that is away: what it would play late is not played.
    guard waiting < self.format.sampleRate * CaptureStage.most / 1000,
      frame.samples.count + frame.samples.count / 10 <= self.scratch.count
    else {
      self.figures.skipped.add(blocks, ordering: .relaxed)
      self.control.forget()
      return .drop
    }
    let queued = self.figures.queued.load(ordering: .relaxed)
    if queued >= 0 {
      self.control.observe(
        level: waiting + self.figures.held.load(ordering: .relaxed),
        distance: waiting + queued - self.figures.blocksSince, for: blocks)
      self.converter.setCorrection(self.control.correction)
      // The device is the reader here: where the call brings more than it takes, its clock is the slower one.
      self.figures.drift.store(-Int(self.control.drift.rounded()), ordering: .relaxed)
    }
    var room = self.scratch.mutableSpan
    let made = self.converter.convert(frame.samples.span, into: &room)
    let written = self.writer.write(room.span.extracting(..<made))
    if written < made { self.figures.skipped.add((made - written) / channels, ordering: .relaxed) }
    self.figures.inserted.store(self.converter.inserted, ordering: .relaxed)
    self.figures.dropped.store(self.converter.dropped, ordering: .relaxed)
    return .drop
  }

  /// A device starts with what it should have before each frame. A first frame of that length starts it alone, and
  /// nothing would be left when the next is due: silence goes first.
  private func begin(with count: Int) {
    self.hasBegun = true
    let depth = self.format.sampleCount(milliseconds: CaptureStage.depth)
    guard count >= depth else { return }
    // Once, before there is anything to be late for.
    let silence = [Int16](repeating: 0, count: depth)
    _ = self.writer.write(silence.span)
  }

  func finish(_ stream: StreamID) { self.figures.isFinished.store(true, ordering: .releasing) }
}
