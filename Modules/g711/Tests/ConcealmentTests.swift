import Foundation
import ModuleKit
import NetBase
import Testing

/// Decodes packets of 20 ms, some of which are lost.
private func receive(_ packets: [[UInt8]?]) throws -> [Int16] {
  let decoder = try facetCodecs()[0].makeDecoder(parameters)()
  return packets.flatMap { packet in
    var samples = [Int16](repeating: 0, count: 160)
    var span = samples.mutableSpan
    if let packet {
      _ = packet.withRawSpan { decoder.decode($0, into: &span) }
    } else {
      decoder.conceal(next: nil, into: &span)
    }
    return samples
  }
}

private func packets(_ count: Int, frequency: Double) throws -> [[UInt8]] {
  try (0..<count).map { packet in
    let samples = (0..<160).map { Int16(8000 * sin(2 * .pi * frequency * Double(packet * 160 + $0) / 8000)) }
    return try encode(samples, facetCodecs()[0])
  }
}

private func energy(_ samples: some Collection<Int16>) -> Double {
  samples.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(samples.count, 1))
}

@Suite("concealment of lost G.711 packets") struct ConcealmentTests {
  @Test("a voiced sound goes on through a lost packet", arguments: [80.0, 133, 200, 410])
  func pitch(frequency: Double) throws {
    let sent = try packets(8, frequency: frequency)
    let whole = try receive(sent)
    let gapped = try receive(sent.enumerated().map { $0 == 5 ? nil : $1 })
    let lost = 800..<880
    let error = zip(whole[lost], gapped[lost]).map { Int16(clamping: Int($0) - Int($1)) }
    #expect(energy(error) < energy(whole[lost]) / 10, "10 dB better than silence in the first 10 ms")
  }

  @Test("a long gap fades to silence in 60 ms")
  func fades() throws {
    let sent: [[UInt8]?] = try packets(5, frequency: 200) + [nil, nil, nil, nil, nil]
    let heard = try receive(sent)
    let levels = (0..<5).map { energy(heard[(800 + $0 * 160)..<(960 + $0 * 160)]) }
    #expect(levels[0] > levels[1] && levels[1] > levels[2] && levels[2] > 0)
    #expect(levels[3] == 0 && levels[4] == 0)
  }

  @Test("the first packet after a gap is blended in, without a jump")
  func returns() throws {
    // What is made up would go on at 0, and what arrives starts at a peak.
    let peak = try encode((0..<160).map { Int16(-8000 * cos(2 * .pi * 200 * Double($0) / 8000)) }, facetCodecs()[0])
    let heard = try receive(try packets(4, frequency: 200) + [nil, peak])
    #expect(heard[800...].min() ?? 0 < -7000)
    // The steepest step of the tone itself is 1250.
    let steps = zip(heard[790..<960], heard[791..<960]).map { abs(Int($0) - Int($1)) }
    #expect(steps.max() ?? 0 < 2500)
  }

  @Test("a gap before the first packet is silent")
  func nothingHeard() throws {
    #expect(try receive([nil, nil]).allSatisfy { $0 == 0 })
  }
}
