import ModuleKit
import NetBase
import Testing
import aufile

func bytes16(_ values: Int...) -> [UInt8] { values.flatMap { [UInt8($0 & 255), UInt8($0 >> 8 & 255)] } }
func bytes32(_ values: Int...) -> [UInt8] {
  values.flatMap { value in [0, 8, 16, 24].map { UInt8(value >> $0 & 255) } }
}

func wav(
  tag: Int = 1, channels: Int = 1, rate: Int = 8000, bits: Int = 16, subformat: Int? = nil, before: [UInt8] = [],
  length: Int? = nil, _ data: [UInt8]
) -> [UInt8] {
  var format = bytes16(tag, channels) + bytes32(rate, rate * channels * bits / 8) + bytes16(channels * bits / 8, bits)
  if let subformat {
    format += bytes16(22, bits) + bytes32(4) + bytes16(subformat)
    format += [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]
  }
  let chunks =
    Array("WAVEfmt ".utf8) + bytes32(format.count) + format + before + Array("data".utf8)
    + bytes32(length ?? data.count) + data
  return Array("RIFF".utf8) + bytes32(chunks.count) + chunks
}

private func parse(_ bytes: [UInt8]) throws(WAVError) -> WAVFile {
  try bytes.withRawSpan { span throws(WAVError) in try WAVFile(span) }
}

@Suite("WAV files") struct WAVFileTests {
  @Test(
    "every coding becomes 16 bits",
    arguments: [
      ("16 bit", wav(bytes16(1, -2, 32_767, -32_768)), [1, -2, 32_767, -32_768]),
      ("8 bit", wav(bits: 8, [0, 128, 255]), [-32_768, 0, 32_512]),
      ("24 bit", wav(bits: 24, [0xFF, 0x34, 0x12, 0x00, 0x00, 0x80]), [0x1234, -32_768]),
      ("32 bit", wav(bits: 32, bytes32(0x1234_FFFF, -0x8000_0000)), [0x1234, -32_768]),
      (
        "float",
        wav(
          tag: 3, bits: 32,
          [0.5, -1, 1, 9, -9, .nan, .infinity].flatMap { bytes32(Int(($0 as Float).bitPattern)) }),
        [16_384, -32_768, 32_767, 32_767, -32_768, 0, 32_767]
      ),
      ("extensible", wav(tag: 0xFFFE, subformat: 1, bytes16(5, 6)), [5, 6]),
      ("extensible float", wav(tag: 0xFFFE, bits: 32, subformat: 3, bytes32(0x3F00_0000)), [16_384]),
      ("another chunk first", wav(before: Array("LIST".utf8) + bytes32(3) + [1, 2, 3, 0], bytes16(7)), [7]),
      ("an odd byte at the end", wav(bytes16(7) + [1]), [7]),
      ("a recording that was interrupted", wav(length: 0xFFFF_FFFF, bytes16(7, 8)), [7, 8]),
      ("no samples", wav([]), []),
    ] as [(String, [UInt8], [Int16])])
  func codings(name: String, bytes: [UInt8], samples: [Int16]) throws {
    let file = try parse(bytes)
    #expect(file.samples == samples && file.format == AudioFormat(sampleRate: 8000, channels: 1), "\(name)")
  }

  @Test("stereo keeps its channels and whole blocks only")
  func stereo() throws {
    let file = try parse(wav(channels: 2, rate: 44_100, bytes16(1, 2, 3, 4, 5)))
    #expect(file.format == AudioFormat(sampleRate: 44_100, channels: 2) && file.samples == [1, 2, 3, 4])
  }

  @Test(
    "what can't be played is refused with a reason",
    arguments: [
      (Array("RIFX".utf8) + wav([]).dropFirst(4), .notWAV),
      (Array("OggS".utf8) + [UInt8](repeating: 0, count: 60), .notWAV),
      (Array("RIFF".utf8) + bytes32(4) + Array("WAVEdata".utf8) + bytes32(0), .noFormat),
      (Array("RIFF".utf8) + bytes32(4) + Array("WAVEfmt ".utf8) + bytes32(4) + bytes32(1), .shortFormat(4)),
      (wav(tag: 7, bits: 8, []), .unsupportedCoding(7, bits: 8)),
      (wav(bits: 12, []), .unsupportedCoding(1, bits: 12)),
      (wav(tag: 3, bits: 64, []), .unsupportedCoding(3, bits: 64)),
      (wav(tag: 0xFFFE, []), .shortFormat(16)),
      (wav(channels: 0, []), .unsupportedChannels(0)),
      (wav(channels: 6, []), .unsupportedChannels(6)),
      (wav(rate: 0, []), .unsupportedRate(0)),
      (wav(rate: 4_000_000, []), .unsupportedRate(4_000_000)),
    ] as [([UInt8], WAVError)])
  func refusals(bytes: [UInt8], error: WAVError) {
    #expect(throws: error) { try parse(bytes) }
    #expect(!error.description.isEmpty)
  }

  @Test("a header that is cut off anywhere is refused, and says where")
  func truncated() {
    for whole in [
      wav(bytes16(1)), wav(tag: 0xFFFE, subformat: 1, bytes16(1)),
      wav(before: Array("LIST".utf8) + bytes32(4) + [1, 2, 3, 4], bytes16(1)),
    ] {
      for count in 0..<(whole.count - 2) {
        #expect(throws: WAVError.truncated(count)) { try parse(Array(whole[..<count])) }
      }
    }
  }

  @Test("a header with any one byte changed never traps")
  func corrupted() {
    let whole = wav(tag: 0xFFFE, subformat: 1, before: Array("LIST".utf8) + bytes32(2) + [1, 2], bytes16(1, 2, 3))
    for index in whole.indices {
      for value in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
        var bytes = whole
        bytes[index] = value
        let file = try? parse(bytes)
        #expect(file?.samples.count ?? 0 <= 80)
      }
    }
  }
}
