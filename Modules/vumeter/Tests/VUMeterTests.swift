import Foundation
import Handoff
import ModuleKit
import Testing
import vumeter

private func measure(_ samples: [Int16]) -> Level? {
  var gauge = LevelGauge()
  return gauge.add(samples.span, period: samples.count)
}

@Suite("vumeter") struct VUMeterTests {
  @Test(
    "levels are decibels of full scale",
    arguments: [
      ([Int16](repeating: -32_768, count: 100), 0, 0),
      ([Int16](repeating: 16_384, count: 100), -6.02, -6.02),
      ((0..<4800).map { Int16(32_767 * sin(2 * .pi * Double($0) / 48)) }, -3.01, 0),
      ([Int16](repeating: 0, count: 99) + [3277], -40, -20),
      ([Int16](repeating: 0, count: 100), -96, -96),
    ] as [([Int16], Double, Double)])
  func levels(samples: [Int16], rms: Double, peak: Double) throws {
    let level = try #require(measure(samples))
    #expect(abs(level.rms - rms) < 0.05 && abs(level.peak - peak) < 0.05, "\(level)")
  }

  @Test("a line comes every 200 ms of what is sent, and shows both directions")
  func lines() throws {
    let lines = Locked<[String]>([])
    let module = VUMeter(sink: { line in lines.withLock { $0.append(line) } })
    let facet = module.facets[0]
    #expect(facet.safety == .mainOnly && facet.kind == "audio filter")
    guard case .filter(.mainOnly(let prepare)) = facet.body else { return }
    let format = AudioFormat(sampleRate: 8000, channels: 1)
    let stream = StreamID(number: 7)
    func filter(_ direction: MediaDirection) throws -> any AudioStage {
      try prepare(AudioRequest(device: "", format: format, stream: stream, direction: direction))()
    }
    let (transmit, receive) = (try filter(.transmit), try filter(.receive))
    for _ in 0..<50 {
      for (stage, direction, value) in [(receive, .receive, 328), (transmit, .transmit, -16_384)]
        as [(any AudioStage, MediaDirection, Int16)]
      {
        var samples = [Int16](repeating: value, count: 160)
        var frame = AudioFrame(samples: samples.mutableSpan, direction: direction, stream: stream)
        guard case .forward = stage.process(&frame) else {
          Issue.record("a filter forwards")
          return
        }
        #expect(samples == [Int16](repeating: value, count: 160), "a filter that only looks")
      }
    }
    let shown = lines.withLock { $0 }
    #expect(shown.count == 5 + 1, "once before anything was sent, then with every fifth of a second sent")
    #expect(shown.last == "7: tx [==============| ]   -6 dB  rx [======|         ]  -40 dB")
    transmit.finish(stream)
  }

  @Test("no terminal, no bars: audio passes all the same")
  func quiet() throws {
    let module = VUMeter(sink: nil)
    guard case .filter(.mainOnly(let prepare)) = module.facets[0].body else { return }
    let stage = try prepare(
      AudioRequest(
        device: "", format: AudioFormat(sampleRate: 48_000, channels: 2), stream: StreamID(number: 1),
        direction: .receive))()
    var samples = [Int16](repeating: 5, count: 96_000)
    var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: StreamID(number: 1))
    guard case .forward = stage.process(&frame) else {
      Issue.record("a filter forwards")
      return
    }
    #expect(samples.allSatisfy { $0 == 5 })
  }
}
