internal import Glibc
package import ModuleKit

/// A sine tone as an audio source; the device is its frequency in Hz.
package struct AudioSine: Module {
  package static let name = "ausine"
  package static let summary = "Audio source: a sine tone (audio_source ausine,FREQUENCY)"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    [
      .source(
        .confined { request throws(ModuleError) in
          let frequency = try frequency(of: request)
          let format = request.format
          return { () throws(ModuleError) in Oscillator(frequency: frequency, format: format) }
        })
    ]
  }
}

private func frequency(of request: AudioRequest) throws(ModuleError) -> Double {
  guard !request.device.isEmpty else { return 440 }
  let limit = Double(request.format.sampleRate) / 2
  guard let frequency = Double(request.device), frequency > 0, frequency < limit else {
    throw ModuleError(
      .configuration,
      "audio_source ausine: \"\(request.device)\" is no frequency between 0 and \(Int(limit)) Hz at \(request.format)")
  }
  return frequency
}

/// A rotating vector: each sample turns it by the same angle, so the tone has no seams between frames.
final class Oscillator: AudioStage {
  /// Peak of -12 dBFS, as loud as speech.
  private static let amplitude = 8231.0

  let format: AudioFormat
  private let turn: (cosine: Double, sine: Double)
  private var vector = (x: 1.0, y: 0.0)

  init(frequency: Double, format: AudioFormat) {
    self.format = format
    let angle = 2 * Double.pi * frequency / Double(format.sampleRate)
    self.turn = (cos(angle), sin(angle))
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let channels = self.format.channels
    for start in stride(from: 0, to: frame.samples.count, by: channels) {
      let sample = Int16((self.vector.y * Self.amplitude).rounded())
      for channel in start..<min(start + channels, frame.samples.count) { frame.samples[channel] = sample }
      self.vector = (
        self.vector.x * self.turn.cosine - self.vector.y * self.turn.sine,
        self.vector.x * self.turn.sine + self.vector.y * self.turn.cosine
      )
    }
    // Rounding errors would make the vector longer or shorter in time.
    let length = (self.vector.x * self.vector.x + self.vector.y * self.vector.y).squareRoot()
    self.vector = (self.vector.x / length, self.vector.y / length)
    return .forward
  }

  func finish(_ stream: StreamID) {}
}
