import Foundation
import ModuleKit
import Testing
import UACore

private func format(_ rate: Int, _ channels: Int = 1) -> AudioFormat {
  AudioFormat(sampleRate: rate, channels: channels)
}

/// Runs 20 ms frames through, with room for what 20 ms make.
private func convert(_ samples: [Int16], from input: AudioFormat, to output: AudioFormat) throws -> [Int16] {
  let resampler = try Resampler(from: input, to: output)
  var result: [Int16] = []
  let step = input.sampleCount(milliseconds: 20)
  for start in stride(from: 0, to: samples.count, by: step) {
    let frame = Array(samples[start..<min(start + step, samples.count)])
    var room = [Int16](repeating: 0, count: output.sampleCount(milliseconds: 20) + 2 * output.channels)
    var span = room.mutableSpan
    let (consumed, produced) = resampler.process(frame.span, into: &span)
    #expect(consumed == frame.count)
    result += room[..<produced]
  }
  return result
}

private func tone(_ frequency: Double, _ rate: Int, seconds: Double = 1) -> [Int16] {
  (0..<Int(Double(rate) * seconds)).map { Int16(10_000 * sin(2 * .pi * frequency * Double($0) / Double(rate))) }
}

private func energy(_ samples: some Collection<Int16>) -> Double {
  samples.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(samples.count, 1))
}

/// The tone in `samples`: its amplitude, its delay in samples (0 to one period) and by how many dB it stands out.
private func fit(
  _ samples: ArraySlice<Int16>, frequency: Double, rate: Int
) -> (amplitude: Double, delay: Double, purity: Double) {
  var (x, y) = (0.0, 0.0)
  for index in samples.indices {
    let phase = 2 * .pi * frequency * Double(index) / Double(rate)
    x += Double(samples[index]) * cos(phase) * 2 / Double(samples.count)
    y += Double(samples[index]) * sin(phase) * 2 / Double(samples.count)
  }
  let power = (x * x + y * y) / 2
  let period = Double(rate) / frequency
  let delay = (atan2(-x, y) / (2 * .pi) * period + period).truncatingRemainder(dividingBy: period)
  return ((2 * power).squareRoot(), delay, 10 * log10(power / max(energy(samples) - power, 0.01)))
}

@Suite("resampling") struct ResamplerTests {
  @Test(
    "a tone keeps its pitch, level and purity, as late as promised",
    arguments: [(8000, 48_000), (48_000, 8000), (16_000, 48_000), (44_100, 48_000), (48_000, 44_100), (48_000, 16_000)])
  func tones(from: Int, to: Int) throws {
    let heard = try convert(tone(1000, from), from: format(from), to: format(to))
    let latency = try Resampler(from: format(from), to: format(to)).latency
    #expect(abs(heard.count - to) <= 2)
    #expect(latency > 0 && latency < to / 50)
    let fit = fit(heard[(to / 10)..<(to * 9 / 10)], frequency: 1000, rate: to)
    #expect(fit.purity > 60)
    #expect(abs(20 * log10(fit.amplitude / 10_000)) < 0.1)
    let period = Double(to) / 1000
    let late = (fit.delay - Double(latency)).remainder(dividingBy: period)
    #expect(abs(late) < 1)
  }

  @Test("what 8 kHz can't carry is gone, not aliased")
  func aliasing() throws {
    let heard = try convert(tone(6000, 48_000), from: format(48_000), to: format(8000))
    #expect(energy(heard.dropFirst(800)) < energy(tone(6000, 48_000)) / 100_000)
  }

  @Test("equal formats are copied, and channels are mixed down or doubled")
  func channels() throws {
    let samples: [Int16] = [1, 3, 32_767, 32_767, -5, -4]
    #expect(try convert(samples, from: format(8000, 2), to: format(8000, 2)) == samples)
    #expect(try convert(samples, from: format(8000), to: format(8000)) == samples)
    #expect(try convert(samples, from: format(8000, 2), to: format(8000)) == [2, 32_767, -5])
    #expect(try convert([1, -2], from: format(8000), to: format(8000, 2)) == [1, 1, -2, -2])
    #expect(try Resampler(from: format(8000), to: format(8000, 2)).latency == 0)
  }

  @Test("rate and channels change together", arguments: [(1, 2), (2, 1), (2, 2)])
  func both(from: Int, to: Int) throws {
    let sent = tone(700, 8000).flatMap { [Int16](repeating: $0, count: from) }
    let heard = try convert(sent, from: format(8000, from), to: format(48_000, to))
    #expect(abs(heard.count / to - 48_000) <= 2)
    if to == 2 { #expect(stride(from: 0, to: heard.count, by: 2).allSatisfy { heard[$0] == heard[$0 + 1] }) }
    #expect(abs(10 * log10(energy(heard.dropFirst(9600)) / energy(sent))) < 0.2)
  }

  @Test("what finds no room is not consumed, so nothing is lost", arguments: [(1, 1), (1, 2), (2, 1)])
  func room(from: Int, to: Int) throws {
    let sent = tone(500, 8000, seconds: 0.5).flatMap { [Int16](repeating: $0, count: from) }
    let whole = try convert(sent, from: format(8000, from), to: format(48_000, to))
    let resampler = try Resampler(from: format(8000, from), to: format(48_000, to))
    var rest = sent[...]
    var pieces: [Int16] = []
    var calls = 0
    while !rest.isEmpty, calls < 10_000 {
      var room = [Int16](repeating: 0, count: 100 * to)
      var span = room.mutableSpan
      let (consumed, produced) = resampler.process(Array(rest).span, into: &span)
      rest = rest.dropFirst(consumed)
      pieces += room[..<produced]
      calls += 1
    }
    // The last call may have had room for a few samples less than the filter could give.
    #expect(whole.starts(with: pieces) && whole.count - pieces.count < 12 * to)
  }

  @Test("no samples and no room are harmless; half a block is left alone")
  func edges() throws {
    let resampler = try Resampler(from: format(8000, 2), to: format(8000))
    var room: [Int16] = [9]
    var span = room.mutableSpan
    #expect(resampler.process([Int16]().span, into: &span) == (0, 0))
    #expect(resampler.process([Int16(1)].span, into: &span) == (0, 0))
    #expect(resampler.process([Int16(1), 3, 7].span, into: &span) == (2, 1))
    #expect(room == [2])
  }

  @Test(
    "impossible formats are refused",
    arguments: [format(0), format(8000, 0), format(8000, 3), format(-8000), format(1_000_000)])
  func refusals(format: AudioFormat) {
    #expect(throws: ModuleError.self) { try Resampler(from: format, to: AudioFormat(sampleRate: 8000, channels: 1)) }
    #expect(throws: ModuleError.self) { try Resampler(from: AudioFormat(sampleRate: 8000, channels: 1), to: format) }
  }
}

/// Stages with a format of their own, made for 20 ms, in a stream whose packet time changes.
@Suite struct ResamplingStagesTests {
  @Test("a source fills frames of any length", arguments: [10, 20, 40, 60, 100, 120])
  func source(milliseconds: Int) throws {
    let source = try ResamplingSource(LevelStage(format(48_000)), to: format(8000), packetTime: 20)
    for round in 0..<10 {
      var samples = [Int16](repeating: 0, count: format(8000).sampleCount(milliseconds: milliseconds))
      var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: StreamID(number: 1))
      _ = source.process(&frame)
      // The first ones wait for the filter.
      #expect(round < 4 || samples.allSatisfy { $0 > LevelStage.level - 100 }, "round \(round)")
    }
  }

  @Test("a player gets all of frames of any length", arguments: [10, 20, 40, 60, 100, 120])
  func player(milliseconds: Int) throws {
    let inner = LevelStage(format(48_000))
    let player = try ResamplingPlayer(inner, from: format(8000))
    for _ in 0..<10 {
      var samples = [Int16](repeating: 1000, count: format(8000).sampleCount(milliseconds: milliseconds))
      var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: StreamID(number: 1))
      _ = player.process(&frame)
    }
    #expect(abs(inner.count - format(48_000).sampleCount(milliseconds: 10 * milliseconds)) < 48)
  }
}

/// Gives one value, and counts the samples that it is asked for or gets.
private final class LevelStage: AudioStage {
  static let level: Int16 = 8000
  let format: AudioFormat
  private(set) var count = 0

  init(_ format: AudioFormat) { self.format = format }

  func process(_ frame: inout AudioFrame) -> Verdict {
    self.count += frame.samples.count
    frame.samples.update(repeating: Self.level)
    return .forward
  }

  func finish(_ stream: StreamID) {}
}
