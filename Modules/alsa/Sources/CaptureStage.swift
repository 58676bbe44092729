internal import Handoff
internal import ModuleKit
internal import Synchronization

/// What a device hears, in the call's time; owned by the stream, the device's thread fills the ring.
final class CaptureStage: AudioStage {
  /// Milliseconds between device and stream, on average; more where the stream's frames are long.
  static let depth = 80
  /// Above so much, or two frames more than there should be, the excess is skipped at once.
  static let most = 240

  let format: AudioFormat
  private let figures: DeviceFigures
  private var reader: PCMReader
  private var converter: RateConverter
  private var control: DriftControl
  private var scratch: [Int16]
  private var isFilling = true

  init(format: AudioFormat, figures: DeviceFigures, reader: consuming PCMReader) {
    self.format = format
    self.figures = figures
    self.reader = reader
    self.converter = RateConverter(channels: format.channels)
    self.control = DriftControl(
      rate: format.sampleRate, target: format.sampleRate * Self.depth / 1000)
    self.scratch = [Int16](repeating: 0, count: format.sampleCount(milliseconds: 2 * Self.most))
  }

  deinit { self.figures.isFinished.store(true, ordering: .releasing) }

  func process(_ frame: inout AudioFrame) -> Verdict {
    if !self.fill(&frame.samples) {
      for index in 0..<frame.samples.count { frame.samples[index] = 0 }
    }
    return .forward
  }

  func finish(_ stream: StreamID) { self.figures.isFinished.store(true, ordering: .releasing) }

  /// False when the device has nothing yet, or was late.
  private func fill(_ samples: inout MutableSpan<Int16>) -> Bool {
    let channels = self.format.channels
    let frame = samples.count / channels * 1000 / self.format.sampleRate
    if self.figures.frame.load(ordering: .relaxed) != frame {
      self.figures.frame.store(frame, ordering: .relaxed)
      self.control.aim(at: self.format.sampleRate * self.figures.depth / 1000)
    }
    let depth = self.format.sampleCount(milliseconds: self.figures.depth)
    if self.isFilling {
      guard self.reader.ready >= depth else { return false }
      self.isFilling = false
      self.control.forget()
    }
    if self.reader.ready > max(self.format.sampleCount(milliseconds: Self.most), depth + 2 * samples.count) {
      self.skip(self.reader.ready - depth)
      self.control.forget()
    }
    if self.figures.queued.load(ordering: .relaxed) >= 0 {
      let level = self.reader.ready / channels + self.figures.blocksSince
      self.control.observe(level: level, distance: level, for: samples.count / channels)
      self.converter.setCorrection(self.control.correction)
      self.figures.drift.store(Int(self.control.drift.rounded()), ordering: .relaxed)
    }
    let needed = self.converter.needed(for: samples.count / channels) * channels
    guard self.reader.ready >= needed, needed <= self.scratch.count else {
      self.figures.lateFrames.add(1, ordering: .relaxed)
      self.isFilling = true
      return false
    }
    var room = self.scratch.mutableSpan
    var part = room._mutatingExtracting(..<needed)
    _ = self.reader.read(into: &part)
    self.converter.fill(&samples, from: part.span)
    self.figures.inserted.store(self.converter.inserted, ordering: .relaxed)
    self.figures.dropped.store(self.converter.dropped, ordering: .relaxed)
    return true
  }

  private func skip(_ count: Int) {
    let skipped = self.reader.skip(count / self.format.channels * self.format.channels)
    self.figures.skipped.add(skipped / self.format.channels, ordering: .relaxed)
  }
}
