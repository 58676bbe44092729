internal import ModuleKit
internal import NetBase

/// How a file's frames are coded.
package enum IVFCoding: String, CaseIterable, Sendable {
  case vp8 = "VP80"
  case h264 = "H264"

  /// As in `a=rtpmap`.
  package var encodingName: String { self == .vp8 ? "VP8" : "H264" }

  init?(encodingName: String) {
    guard let coding = Self.allCases.first(where: { $0.encodingName == encodingName.uppercased() }) else { return nil }
    self = coding
  }

  func isKeyFrame(_ frame: RawSpan) -> Bool {
    switch self {
    case .vp8: return VP8KeyFrame(frame) != nil
    case .h264:
      var next = frame.nalUnit(from: 0)
      while let unit = next {
        if [5, 7].contains(frame.uint8(at: unit.lowerBound) & 0x1F) { return true }
        next = frame.nalUnit(from: unit.upperBound)
      }
      return false
    }
  }
}

/// What a VP8 key frame begins with (RFC 6386 §9.1).
struct VP8KeyFrame {
  let width: Int
  let height: Int

  /// Nil when the frame is none.
  init?(_ frame: RawSpan) {
    guard frame.byteCount >= 10, frame.uint8(at: 0) & 1 == 0, frame.uint16(at: 3) == 0x9D01, frame.uint8(at: 5) == 0x2A
    else { return nil }
    // The upper two bits of each are for scaling.
    self.width = frame.littleEndian16(at: 6) & 0x3FFF
    self.height = frame.littleEndian16(at: 8) & 0x3FFF
  }
}
