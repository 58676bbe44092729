import Foundation
import Testing

@testable import alsa

private func tone(_ frequency: Double, _ count: Int) -> [Int16] {
  (0..<count).map { Int16((8000 * sin(2 * Double.pi * frequency * Double($0) / 8000)).rounded()) }
}

@Suite struct RateConverterTests {
  @Test("at equal rates samples pass unchanged, four late, both ways", arguments: [1, 2])
  func passesUnchanged(_ channels: Int) {
    let input = (0..<(480 * channels)).map { Int16(truncatingIfNeeded: $0 &* 7919) }
    var pulled = RateConverter(channels: channels)
    var pushed = RateConverter(channels: channels)
    #expect(pulled.needed(for: 480) == 480)
    var (first, second) = ([Int16](repeating: 0, count: input.count), [Int16](repeating: 0, count: 2 * input.count))
    var room = first.mutableSpan
    pulled.fill(&room, from: input.span)
    room = second.mutableSpan
    #expect(pushed.convert(input.span, into: &room) == input.count)
    let late = Array(repeating: 0, count: 4 * channels) + input.dropLast(4 * channels)
    #expect(first == late && Array(second[..<input.count]) == late)
    #expect(pulled.inserted + pulled.dropped + pushed.inserted + pushed.dropped == 0)
  }

  @Test("a correction uses up as much more or less input, and counts it", arguments: [-2000.0, -137, 250, 2000])
  func corrects(_ correction: Double) {
    var pulled = RateConverter(channels: 1)
    var pushed = RateConverter(channels: 1)
    pulled.setCorrection(correction)
    pushed.setCorrection(correction)
    let frame = tone(440, 200)
    var (used, made) = (0, 0)
    var output = [Int16](repeating: 0, count: 200)
    for _ in 0..<500 {
      let needed = pulled.needed(for: 160)
      var room = output.mutableSpan
      var part = room._mutatingExtracting(..<160)
      pulled.fill(&part, from: frame.span.extracting(..<needed))
      used += needed
      var other = output.mutableSpan
      made += pushed.convert(frame.span.extracting(..<160), into: &other)
    }
    let expected = 80_000 * correction / 1_000_000
    #expect(abs(Double(used - 80_000) - expected) < 3 && abs(Double(80_000 - made) - expected) < 3)
    for each in [pulled, pushed] { #expect(abs(Double(each.dropped - each.inserted) - expected) < 3) }
  }

  @Test("a tone stays clean under the largest correction", arguments: [(300.0, 45.0), (1000, 45), (3000, 20)])
  func staysClean(_ frequency: Double, _ decibels: Double) {
    var converter = RateConverter(channels: 1)
    converter.setCorrection(2000)
    let input = tone(frequency, 8100)
    var output = [Int16](repeating: 0, count: 8000)
    var room = output.mutableSpan
    converter.fill(&room, from: input.span.extracting(..<converter.needed(for: 8000)))
    // The first output stands four samples before the input's first.
    let turn = 2 * Double.pi * frequency * 1.002 / 8000
    let late = 2 * Double.pi * frequency / 8000 * 4
    var (signal, noise) = (0.0, 0.0)
    for index in 10..<8000 {
      let ideal = 8000 * sin(turn * Double(index) - late)
      signal += ideal * ideal
      noise += (Double(output[index]) - ideal) * (Double(output[index]) - ideal)
    }
    #expect(10 * log10(signal / noise) > decibels, "\(10 * log10(signal / noise)) dB")
  }
}
