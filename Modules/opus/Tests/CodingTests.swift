import Foundation
import ModuleKit
import NetBase
import Testing
import opus

/// Encodes frames of 20 ms; nil stands for silence that was not sent.
private func encode(
  _ signal: [Int16], settings: [String: String] = [:], remote: String? = nil, loss: Int? = nil, packetTime: Int = 20
) throws -> [[UInt8]?] {
  let codec = try makeCodec(settings)
  let encoder = try codec.makeEncoder(
    CodecParameters(remoteParameters: remote, packetTime: packetTime, bitrate: nil))()
  if let loss { encoder.adapt(lossPercent: loss) }
  let size = encoder.format.sampleCount(milliseconds: packetTime)
  return try stride(from: 0, to: signal.count - size + 1, by: size).map { start in
    var room = [UInt8](repeating: 0, count: 1500)
    var span = room.mutableSpan
    var payload = unsafe span.mutableBytes
    switch encoder.encode(signal.span.extracting(start..<(start + size)), into: &payload) {
    case .payload(let count): return Array(room[..<count])
    case .silence: return nil
    case .failed: throw ModuleError(.unavailable, "not encoded")
    }
  }
}

/// Decodes packets of 20 ms; nil is a lost one, which gets the next one's help when `hasFEC`.
private func decode(_ packets: [[UInt8]?], remote: String? = nil, hasFEC: Bool = true) throws -> [Int16] {
  let decoder = try makeCodec([:]).makeDecoder(
    CodecParameters(remoteParameters: remote, packetTime: 20, bitrate: nil))()
  let size = decoder.format.sampleCount(milliseconds: 20)
  return packets.indices.flatMap { index in
    var samples = [Int16](repeating: 0, count: size)
    var span = samples.mutableSpan
    let next = hasFEC && index + 1 < packets.count ? packets[index + 1] : nil
    if let packet = packets[index] {
      #expect(packet.withRawSpan { decoder.decode($0, into: &span) } == size)
    } else if let next {
      next.withRawSpan { decoder.conceal(next: $0, into: &span) }
    } else {
      decoder.conceal(next: nil, into: &span)
    }
    return samples
  }
}

private func tone(_ frequency: Double, milliseconds: Int, amplitude: Double = 8000) -> [Int16] {
  (0..<(48 * milliseconds)).map { Int16(amplitude * sin(2 * .pi * frequency * Double($0) / 48_000)) }
}

/// A voice-like buzz whose pitch moves, so that what is lost can't be guessed.
private func voice(milliseconds: Int) -> [Int16] {
  var phase = 0.0
  return (0..<(48 * milliseconds)).map { index in
    let time = Double(index) / 48_000
    phase += (140 + 60 * sin(2 * .pi * 5 * time)) / 48_000
    let envelope = 0.5 + 0.5 * sin(2 * .pi * 4 * time)
    let buzz = (1...12).reduce(0.0) { $0 + sin(2 * .pi * Double($1) * phase) / Double($1) }
    return Int16(5000 * envelope * buzz)
  }
}

private func energy(_ samples: some Collection<Int16>) -> Double {
  samples.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(samples.count, 1))
}

/// How far a tone stands out of everything else, in dB, whatever its delay.
private func purity(_ samples: ArraySlice<Int16>, frequency: Double) -> Double {
  var (x, y) = (0.0, 0.0)
  for (index, sample) in samples.enumerated() {
    x += Double(sample) * cos(2 * .pi * frequency * Double(index) / 48_000)
    y += Double(sample) * sin(2 * .pi * frequency * Double(index) / 48_000)
  }
  let tone = 2 * (x * x + y * y) / Double(samples.count * samples.count)
  return 10 * log10(tone / max(energy(samples) - tone, 1))
}

@Suite("Opus coding") struct CodingTests {
  /// At 28 kbit/s libopus takes a tone for speech; the figures are those of a plain C program, less 1.5 dB.
  @Test(
    "a tone comes back as it was",
    arguments: [
      ("28000", 300.0, 25.0), ("28000", 1000, 15), ("28000", 3000, 5), ("64000", 1000, 40), ("64000", 3000, 35),
    ])
  func tones(bitrate: String, frequency: Double, expected: Double) throws {
    let sent = tone(frequency, milliseconds: 600)
    let heard = try decode(encode(sent, settings: ["opus_bitrate": bitrate]))
    #expect(purity(heard[9600..<24_000], frequency: frequency) > expected)
    #expect(abs(10 * log10(energy(heard[9600..<24_000]) / energy(sent))) < 1)
  }

  @Test("the bit rate is what was asked for, and what the peer allows")
  func bitrates() throws {
    func rate(_ remote: String?, _ settings: [String: String]) throws -> Double {
      let packets = try encode(voice(milliseconds: 2000), settings: settings, remote: remote)
      return Double(packets.reduce(0) { $0 + ($1?.count ?? 0) } * 8) / 2
    }
    #expect((20_000...36_000).contains(try rate(nil, [:])))
    #expect((48_000...80_000).contains(try rate(nil, ["opus_bitrate": "64000"])))
    #expect((9_000...16_000).contains(try rate("maxaveragebitrate=12000", [:])))
  }

  @Test("constant bit rate makes packets of one size")
  func constant() throws {
    let packets = try encode(voice(milliseconds: 1000), remote: "cbr=1")
    #expect(Set(packets.map { $0?.count }) == [70])
    #expect(Set(try encode(voice(milliseconds: 1000)).map { $0?.count }).count > 1)
  }

  @Test("a mono source is coded as mono, also for a peer that wants stereo; real stereo stays stereo")
  func stereo() throws {
    let mono = tone(440, milliseconds: 400)
    let twice = mono.flatMap { [$0, $0] }
    let apart = zip(mono, tone(1500, milliseconds: 400)).flatMap { [$0, $1] }
    /// RFC 6716 §3.1: the TOC's s bit.
    func isStereo(_ packets: [[UInt8]?]) -> [Bool] { packets.suffix(10).compactMap { ($0?[0]).map { $0 & 4 != 0 } } }
    #expect(isStereo(try encode(mono)).allSatisfy { !$0 })
    #expect(isStereo(try encode(twice, remote: "stereo=1")).allSatisfy { !$0 })
    let packets = try encode(apart, settings: ["opus_bitrate": "64000"], remote: "stereo=1")
    #expect(isStereo(packets).allSatisfy { $0 })
    let heard = try decode(packets, remote: "sprop-stereo=1")
    let left = stride(from: 19_200, to: heard.count, by: 2).map { heard[$0] }
    let right = stride(from: 19_201, to: heard.count, by: 2).map { heard[$0] }
    #expect(energy(zip(left, right).map { Int16(clamping: Int($0) - Int($1)) }) > energy(left))
  }

  @Test("silence is not sent with DTX, and is without")
  func discontinuous() throws {
    let signal = voice(milliseconds: 400) + [Int16](repeating: 0, count: 48_000 * 2)
    let quiet = try encode(signal, remote: "usedtx=1").suffix(50)
    #expect(quiet.count { $0 == nil } > 35)
    #expect(quiet.contains { $0 != nil }, "libopus refreshes the background noise every 400 ms")
    #expect(try encode(signal).allSatisfy { $0 != nil })
  }

  @Test("in-band FEC brings a lost packet back better than concealment does")
  func redundancy() throws {
    let sent = voice(milliseconds: 2000)
    let packets = try encode(sent, settings: ["opus_application": "voip"], remote: "useinbandfec=1", loss: 20)
    let whole = try decode(packets)
    var (withFEC, withoutFEC) = (0.0, 0.0)
    for lost in stride(from: 20, to: 90, by: 10) {
      let gapped = packets.enumerated().map { $0 == lost ? nil : $1 }
      let range = (lost * 960)..<((lost + 1) * 960)
      func error(_ heard: [Int16]) -> Double {
        energy(zip(whole[range], heard[range]).map { Int16(clamping: Int($0) - Int($1)) })
      }
      withFEC += error(try decode(gapped))
      withoutFEC += error(try decode(gapped, hasFEC: false))
    }
    #expect(withFEC < withoutFEC / 2)
  }

  @Test("the loss that the peer reports makes redundancy: the packets without it are others")
  func adapts() throws {
    let signal = voice(milliseconds: 1000)
    let calm = try encode(signal, remote: "useinbandfec=1", loss: 0)
    let lossy = try encode(signal, remote: "useinbandfec=1", loss: 25)
    #expect(calm != lossy)
    #expect(try encode(signal, remote: nil, loss: 0).count == lossy.count)
  }

  @Test(
    "concealment fills what it is given, whatever its length", arguments: [1, 119, 120, 960, 1000, 5760, 9000, 20_000])
  func concealment(count: Int) throws {
    let packets = try encode(tone(400, milliseconds: 200)).compactMap { $0 }
    let decoder = try makeCodec([:]).makeDecoder(
      CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))()
    var frame = [Int16](repeating: 0, count: 960)
    for packet in packets {
      var span = frame.mutableSpan
      _ = packet.withRawSpan { decoder.decode($0, into: &span) }
    }
    for next in [nil, packets[3], [0xFF, 0xFF, 0xFF], []] as [[UInt8]?] {
      var samples = [Int16](repeating: 12_345, count: count)
      var span = samples.mutableSpan
      if let next {
        next.withRawSpan { decoder.conceal(next: $0, into: &span) }
      } else {
        decoder.conceal(next: nil, into: &span)
      }
      #expect(samples.allSatisfy { $0 != 12_345 })
    }
  }

  @Test("a lost packet in a tone is bridged, and a long gap fades")
  func bridging() throws {
    let packets = try encode(tone(400, milliseconds: 600))
    let heard = try decode(packets.enumerated().map { $0 == 20 ? nil : $1 }, hasFEC: false)
    let lost = 20 * 960
    #expect(energy(heard[lost..<(lost + 960)]) > energy(heard[(lost - 960)..<lost]) / 4)
    let silence = try decode(packets.prefix(20) + [[UInt8]?](repeating: nil, count: 50), hasFEC: false)
    #expect(energy(silence.suffix(960)) < energy(silence.prefix(19_200)) / 50)
  }

  @Test("malformed packets are refused, or decoded to something: never a trap")
  func malformed() throws {
    let decoder = try makeCodec([:]).makeDecoder(
      CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))()
    func decode(_ bytes: [UInt8], room: Int = 5760) -> Int? {
      var samples = [Int16](repeating: 0, count: room)
      var span = samples.mutableSpan
      return bytes.withRawSpan { decoder.decode($0, into: &span) }
    }
    #expect(decode([]) == nil)
    // RFC 6716 §3.4: R3 (codes 1, odd length), R5 (code 3 without a count), more than 120 ms.
    #expect(decode([0xF9, 1, 2]) != nil && decode([0xF9, 1]) == nil)
    #expect(decode([0xFB]) == nil)
    #expect(decode([0x1B, 0x04]) == nil)
    let packet = try #require(try encode(tone(500, milliseconds: 100)).last ?? nil)
    #expect(decode(packet, room: 959) == nil)
    #expect(decode(packet, room: 960) == 960)
    #expect(decode(packet, room: 0) == nil)
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 1...60, using: &generator)).map { _ in UInt8.random(in: 0...255) }
      if let count = decode(bytes) { #expect(1...5760 ~= count, "\(bytes)") }
    }
  }

  @Test("a frame that libopus can't code, or a payload without room, fails")
  func impossible() throws {
    let encoder = try makeCodec([:]).makeEncoder(
      CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))()
    for (frames, room) in [(961, 1500), (0, 1500), (960, 0)] {
      let samples = [Int16](repeating: 100, count: frames)
      var bytes = [UInt8](repeating: 0, count: room)
      var span = bytes.mutableSpan
      var payload = unsafe span.mutableBytes
      guard case .failed = encoder.encode(samples.span, into: &payload) else {
        Issue.record("\(frames) samples into \(room) bytes")
        continue
      }
    }
  }

  @Test("packets of 5 to 120 ms decode to their length", arguments: [5, 10, 20, 40, 60, 80, 100, 120])
  func packetTimes(milliseconds: Int) throws {
    let packet = try #require(try encode(tone(500, milliseconds: 240), packetTime: milliseconds).last ?? nil)
    let decoder = try makeCodec([:]).makeDecoder(
      CodecParameters(remoteParameters: nil, packetTime: milliseconds, bitrate: nil))()
    var samples = [Int16](repeating: 0, count: 5760)
    var span = samples.mutableSpan
    #expect(packet.withRawSpan { decoder.decode($0, into: &span) } == 48 * milliseconds)
  }
}
