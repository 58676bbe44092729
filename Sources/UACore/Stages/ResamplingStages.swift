package import ModuleKit

/// Milliseconds of the longest frame: SDP can change the packet time while stages live, up to this.
private let longestFrame = 120

/// A source with a format of its own, heard in the stream's.
package final class ResamplingSource: AudioStage {
  package let format: AudioFormat
  private let inner: any AudioStage
  private let resampler: Resampler
  private var input: [Int16]
  /// Samples that were resampled and not yet asked for; the first `ready` of them count.
  private var output: [Int16]
  private var ready = 0

  /// - Parameter packetTime: milliseconds of the frames that `inner` is asked for, whatever it is asked for itself.
  package init(_ inner: any AudioStage, to format: AudioFormat, packetTime: Int) throws(ModuleError) {
    self.inner = inner
    self.format = format
    self.resampler = try Resampler(from: inner.format, to: format)
    self.input = Array(repeating: 0, count: inner.format.sampleCount(milliseconds: packetTime))
    // The longest frame may lack its last sample when another one is taken from `inner`.
    self.output = Array(repeating: 0, count: format.sampleCount(milliseconds: longestFrame + 2 * packetTime))
  }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    var verdict = Verdict.forward
    while self.ready < min(frame.samples.count, self.output.count) {
      var samples = self.input.mutableSpan
      var inner = AudioFrame(samples: samples, direction: frame.direction, stream: frame.stream)
      if case .end = self.inner.process(&inner) { verdict = .end }
      samples = self.input.mutableSpan
      var room = self.output.mutableSpan
      var rest = room._mutatingExtracting(self.ready...)
      let (_, produced) = self.resampler.process(samples.span, into: &rest)
      guard produced > 0 else { break }
      self.ready += produced
    }
    let count = min(self.ready, frame.samples.count)
    for index in 0..<frame.samples.count { frame.samples[index] = index < count ? self.output[index] : 0 }
    for index in count..<self.ready { self.output[index - count] = self.output[index] }
    self.ready -= count
    return verdict
  }

  package func finish(_ stream: StreamID) { self.inner.finish(stream) }
}

/// A player with a format of its own, fed in the stream's.
package final class ResamplingPlayer: AudioStage {
  package let format: AudioFormat
  private let inner: any AudioStage
  private let resampler: Resampler
  private var output: [Int16]

  package init(_ inner: any AudioStage, from format: AudioFormat) throws(ModuleError) {
    self.inner = inner
    self.format = format
    self.resampler = try Resampler(from: format, to: inner.format)
    self.output = Array(repeating: 0, count: inner.format.sampleCount(milliseconds: longestFrame + 10))
  }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    var output: [Int16] = []
    swap(&output, &self.output)
    defer { swap(&output, &self.output) }
    var room = output.mutableSpan
    let produced = self.resampler.process(frame.samples.span, into: &room).produced
    guard produced > 0 else { return .forward }
    var inner = AudioFrame(
      samples: room._mutatingExtracting(..<produced), direction: frame.direction, stream: frame.stream)
    return self.inner.process(&inner)
  }

  package func finish(_ stream: StreamID) { self.inner.finish(stream) }
}
