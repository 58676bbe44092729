internal import ModuleKit
internal import NetBase

/// The frames of an IVF file, from its first key frame.
package struct IVFFile: Sendable {
  package struct Frame: Sendable {
    /// Where it lies in the file.
    let range: Range<Int>
    /// Nanoseconds since the first.
    package let time: Int64
    package let isKeyFrame: Bool
  }

  package let coding: IVFCoding
  package private(set) var frames: [Frame] = []
  /// The whole file.
  let bytes: [UInt8]

  /// Reads VP8 and H.264. A frame that is cut off, as an interrupted recording's last may be, is left out.
  package init(_ bytes: [UInt8]) throws(IVFError) {
    self.bytes = bytes
    let layout = try bytes.withRawSpan { span throws(IVFError) in try IVFLayout(span) }
    self.coding = layout.coding
    self.frames = try bytes.withRawSpan { span throws(IVFError) in try layout.frames(span) }
  }

  /// From the first frame to where the file begins again.
  var period: Int64 {
    let last = self.frames[self.frames.count - 1].time
    let gap = self.frames.count > 1 ? last - self.frames[self.frames.count - 2].time : 0
    return last + (gap > 0 ? gap : 33_333_333)
  }
}

/// Why a file is not played.
package enum IVFError: Error, Hashable, CustomStringConvertible {
  /// The header ends after so many bytes.
  case truncated(Int)
  case notIVF
  case unsupportedCoding([UInt8])
  case unsupportedTimeBase(rate: Int, scale: Int)
  case noKeyFrame
  /// By number, from 1.
  case impossibleTime(frame: Int)

  package var description: String {
    switch self {
    case .truncated(let count): "the IVF header is cut off after \(count) bytes"
    case .notIVF: "not an IVF file"
    case .unsupportedCoding(let word):
      "coding \"\(String(word.map { Character(UnicodeScalar($0)) }))\" is neither VP80 nor H264"
    case .unsupportedTimeBase(let rate, let scale): "a time base of \(scale)/\(rate) s"
    case .noKeyFrame: "it has no key frame"
    case .impossibleTime(let frame): "frame \(frame) is earlier than the one before it, or months after the first"
    }
  }
}

/// What a file's header says.
private struct IVFLayout {
  let coding: IVFCoding
  private let start: Int
  private let rate: Int
  private let scale: Int

  init(_ bytes: RawSpan) throws(IVFError) {
    guard bytes.byteCount >= IVFHeader.length else { throw .truncated(bytes.byteCount) }
    guard bytes.word(at: 0) == "DKIF" else { throw .notIVF }
    guard let coding = IVFCoding(rawValue: bytes.word(at: 8)) else {
      throw .unsupportedCoding(bytes.extracting(8..<12).copied())
    }
    self.coding = coding
    self.start = max(bytes.littleEndian16(at: 6), IVFHeader.length)
    (self.rate, self.scale) = (bytes.littleEndian32(at: 16), bytes.littleEndian32(at: 20))
    guard self.rate > 0, self.scale > 0 else { throw .unsupportedTimeBase(rate: self.rate, scale: self.scale) }
  }

  func frames(_ bytes: RawSpan) throws(IVFError) -> [IVFFile.Frame] {
    var frames: [IVFFile.Frame] = []
    var (offset, number, first) = (self.start, 0, 0.0)
    while offset + IVFHeader.frameLength <= bytes.byteCount {
      let (begin, length) = (offset + IVFHeader.frameLength, bytes.littleEndian32(at: offset))
      guard begin + length <= bytes.byteCount else { break }
      number += 1
      let stamp =
        Double(bytes.littleEndian32(at: offset + 8)) * 4_294_967_296 + Double(bytes.littleEndian32(at: offset + 4))
      offset = begin + length
      let isKeyFrame = self.coding.isKeyFrame(bytes.extracting(begin..<offset))
      // A frame of no bytes is one that the encoder left out.
      guard length > 0, isKeyFrame || !frames.isEmpty else { continue }
      if frames.isEmpty { first = stamp }
      let time = (stamp - first) * 1e9 * Double(self.scale) / Double(self.rate)
      guard time >= Double(frames.last?.time ?? 0), time < 1e16 else { throw .impossibleTime(frame: number) }
      frames.append(IVFFile.Frame(range: begin..<offset, time: Int64(time), isKeyFrame: isKeyFrame))
    }
    guard !frames.isEmpty else { throw .noKeyFrame }
    return frames
  }
}
