package import ModuleKit
internal import NetBase

/// The samples of a WAV file, as 16 bits.
package struct WAVFile: Sendable {
  package let format: AudioFormat
  /// Interleaved.
  package let samples: [Int16]

  /// Reads PCM of 8, 16, 24 and 32 bits and floats of 32 bits, mono and stereo.
  ///
  /// A data chunk that ends early, as an interrupted recording's may, is taken as far as it goes.
  package init(_ bytes: RawSpan) throws(WAVError) {
    guard bytes.byteCount >= 12 else { throw .truncated(bytes.byteCount) }
    guard bytes.word(at: 0) == "RIFF", bytes.word(at: 8) == "WAVE" else { throw .notWAV }
    var layout: SampleLayout?
    var offset = 12
    while true {
      guard bytes.byteCount - offset >= 8 else { throw .truncated(bytes.byteCount) }
      let length = bytes.littleEndian32(at: offset + 4)
      let body = offset + 8
      switch bytes.word(at: offset) {
      case "fmt ":
        guard bytes.byteCount - body >= length else { throw .truncated(bytes.byteCount) }
        layout = try SampleLayout(bytes.extracting(body..<(body + length)))
      case "data":
        guard let layout else { throw .noFormat }
        let end = min(body + length, bytes.byteCount)
        self.format = layout.format
        self.samples = layout.samples(bytes.extracting(body..<end))
        return
      default: break
      }
      // Chunks start at even offsets.
      offset = min(body + length + length % 2, bytes.byteCount)
    }
  }
}

/// Why a file is not played.
package enum WAVError: Error, Hashable, CustomStringConvertible {
  /// The header ends after so many bytes.
  case truncated(Int)
  case notWAV
  case noFormat
  case shortFormat(Int)
  case unsupportedCoding(Int, bits: Int)
  case unsupportedChannels(Int)
  case unsupportedRate(Int)
  case inconsistentBlocks(Int)

  package var description: String {
    switch self {
    case .truncated(let count): "the WAV header is cut off after \(count) bytes"
    case .notWAV: "not a WAV file"
    case .noFormat: "the WAV header has no fmt chunk before its data"
    case .shortFormat(let count): "a fmt chunk of \(count) bytes"
    case .unsupportedCoding(let tag, let bits):
      "coding \(tag) with \(bits) bits is not PCM of 8, 16, 24, 32 or float of 32"
    case .unsupportedChannels(let count): "\(count) channels; 1 or 2 are possible"
    case .unsupportedRate(let rate): "\(rate) Hz; 1000 to 384000 are possible"
    case .inconsistentBlocks(let size): "blocks of \(size) bytes do not fit the channels and bits"
    }
  }
}

/// How a WAV file stores its samples.
private struct SampleLayout {
  enum Coding { case unsigned8, signed16, signed24, signed32, float32 }

  let format: AudioFormat
  private let coding: Coding
  private let width: Int

  /// Reads the body of a fmt chunk.
  init(_ chunk: RawSpan) throws(WAVError) {
    guard chunk.byteCount >= 16 else { throw .shortFormat(chunk.byteCount) }
    var tag = chunk.littleEndian16(at: 0)
    let channels = chunk.littleEndian16(at: 2)
    let rate = chunk.littleEndian32(at: 4)
    let bits = chunk.littleEndian16(at: 14)
    if tag == 0xFFFE {
      // WAVE_FORMAT_EXTENSIBLE: the tag is the start of a GUID.
      guard chunk.byteCount >= 26 else { throw .shortFormat(chunk.byteCount) }
      tag = chunk.littleEndian16(at: 24)
    }
    switch (tag, bits) {
    case (1, 8): self.coding = .unsigned8
    case (1, 16): self.coding = .signed16
    case (1, 24): self.coding = .signed24
    case (1, 32): self.coding = .signed32
    case (3, 32): self.coding = .float32
    default: throw .unsupportedCoding(tag, bits: bits)
    }
    guard 1...2 ~= channels else { throw .unsupportedChannels(channels) }
    guard 1000...384_000 ~= rate else { throw .unsupportedRate(rate) }
    self.width = bits / 8
    let block = chunk.littleEndian16(at: 12)
    guard block == channels * self.width else { throw .inconsistentBlocks(block) }
    self.format = AudioFormat(sampleRate: rate, channels: channels)
  }

  /// Whole blocks only.
  func samples(_ data: RawSpan) -> [Int16] {
    let count = data.byteCount / (self.width * self.format.channels) * self.format.channels
    var samples = [Int16](repeating: 0, count: count)
    for index in 0..<count { samples[index] = self.sample(data, at: index * self.width) }
    return samples
  }

  private func sample(_ data: RawSpan, at offset: Int) -> Int16 {
    switch self.coding {
    case .unsigned8: (Int16(data.uint8(at: offset)) - 128) << 8
    case .signed16: Int16(truncatingIfNeeded: data.littleEndian16(at: offset))
    case .signed24: Int16(truncatingIfNeeded: data.littleEndian16(at: offset + 1))
    case .signed32: Int16(truncatingIfNeeded: data.littleEndian16(at: offset + 2))
    case .float32: clamped(Float(bitPattern: UInt32(data.littleEndian32(at: offset))))
    }
  }
}

/// Full scale is 1; what is no number is silence.
private func clamped(_ value: Float) -> Int16 {
  value.isNaN ? 0 : Int16(max(min(value * 32_768, 32_767), -32_768).rounded())
}
