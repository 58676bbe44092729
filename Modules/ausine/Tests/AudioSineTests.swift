import Foundation
import ModuleKit
import Testing
import ausine

private func stage(_ device: String, _ format: AudioFormat) throws -> any AudioStage {
  let module = try AudioSine(settings: ModuleSettings(keys: []))
  guard case .source(.confined(let prepare)) = module.facets[0].body else {
    throw ModuleError(.configuration, "not a confined source")
  }
  return try prepare(
    AudioRequest(device: device, format: format, stream: StreamID(number: 1), direction: .transmit))()
}

private func run(_ stage: any AudioStage, frames: Int) -> [Int16] {
  (0..<frames).flatMap { _ in
    var samples = [Int16](repeating: 0, count: stage.format.sampleCount(milliseconds: 20))
    var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: StreamID(number: 1))
    guard case .forward = stage.process(&frame) else { return [Int16]() }
    return samples
  }
}

@Suite("ausine") struct AudioSineTests {
  @Test(
    "test_ausrc: the tone has its frequency and -12 dBFS, at any rate, without seams",
    arguments: [("", 8000, 440.0), ("1000", 8000, 1000), ("440", 48_000, 440), ("123.4", 44_100, 123.4)])
  func tone(device: String, rate: Int, frequency: Double) throws {
    let samples = run(try stage(device, AudioFormat(sampleRate: rate, channels: 1)), frames: 100)
    #expect(samples.count == rate * 2)
    for (index, sample) in samples.enumerated() {
      let exact = 8231 * sin(2 * .pi * frequency * Double(index) / Double(rate))
      guard abs(Double(sample) - exact) < 1 else {
        Issue.record("sample \(index) is \(sample), not \(exact)")
        break
      }
    }
  }

  @Test("both channels are alike")
  func stereo() throws {
    let samples = run(try stage("300", AudioFormat(sampleRate: 48_000, channels: 2)), frames: 2)
    #expect(stride(from: 0, to: samples.count, by: 2).allSatisfy { samples[$0] == samples[$0 + 1] })
    #expect(samples.contains { $0 > 8000 })
  }

  @Test("what is no frequency is refused", arguments: ["loud", "0", "-5", "4000", "nan", "inf", "1e999"])
  func refusals(device: String) throws {
    #expect {
      try stage(device, AudioFormat(sampleRate: 8000, channels: 1))
    } throws: { error in
      (error as? ModuleError)?.kind == .configuration
    }
  }
}
