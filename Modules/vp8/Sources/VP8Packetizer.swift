internal import ModuleKit
internal import NetBase

/// Cuts a frame into payloads that are full but for the last, each with a picture ID of 15 bits (RFC 7741 §4.2).
///
/// All of a frame counts as its first partition: where the others begin is of use to a decoder only.
final class VP8Packetizer: VideoPacketizer {
  /// The required byte, the extension's, and the picture ID.
  static let descriptorLength = 4

  private var pictureID: UInt16 = 0x7FFF
  private var position = 0

  func begin(_ frame: RawSpan) {
    self.pictureID = (self.pictureID + 1) & 0x7FFF
    self.position = isVP8Frame(frame) ? 0 : frame.byteCount
  }

  func next(_ frame: RawSpan, into payload: inout MutableRawSpan) -> VideoPayload? {
    let count = min(frame.byteCount - self.position, payload.byteCount - Self.descriptorLength)
    guard count > 0 else { return nil }
    payload.set(uint8: self.position == 0 ? 0x90 : 0x80, at: 0)
    payload.set(uint8: 0x80, at: 1)
    payload.set(uint16: 0x8000 | self.pictureID, at: 2)
    payload.copy(frame.extracting(self.position..<(self.position + count)), at: Self.descriptorLength)
    self.position += count
    return VideoPayload(count: Self.descriptorLength + count, isLast: self.position == frame.byteCount)
  }
}

/// Whether the bytes begin as a frame does: three bytes of tag, and in a key frame the start code and the size
/// (RFC 6386 §9.1).
private func isVP8Frame(_ frame: RawSpan) -> Bool {
  guard frame.byteCount >= 3 else { return false }
  guard frame.uint8(at: 0) & 1 == 0 else { return true }
  return frame.byteCount >= 10 && frame.uint16(at: 3) == 0x9D01 && frame.uint8(at: 5) == 0x2A
}
