internal import ModuleKit
internal import NetBase

/// Takes the descriptor off payloads.
final class VP8Depacketizer: VideoDepacketizer {
  func place(of payload: RawSpan) -> VideoPayloadPlace? {
    guard let descriptor = PayloadDescriptor(payload) else { return nil }
    guard descriptor.length < payload.byteCount else { return .isIgnored }
    guard descriptor.beginsFrame else { return [] }
    // RFC 6386 §9.1: the lowest bit of a key frame's first byte is 0.
    return payload.uint8(at: descriptor.length) & 1 == 0 ? [.beginsFrame, .isOfKeyFrame] : .beginsFrame
  }

  func append(_ payload: RawSpan, to frame: inout VideoFrameRoom) -> Bool {
    guard let descriptor = PayloadDescriptor(payload) else { return false }
    return frame.append(payload.extracting(descriptor.length..<payload.byteCount))
  }
}

/// The VP8 payload descriptor (RFC 7741 §4.2), of which only the length and the beginning of a frame matter here.
private struct PayloadDescriptor {
  let length: Int
  /// The payload is the start of the frame's first partition.
  let beginsFrame: Bool

  /// Nil when it is cut off.
  init?(_ payload: RawSpan) {
    guard payload.byteCount > 0 else { return nil }
    let first = payload.uint8(at: 0)
    self.beginsFrame = first & 0x17 == 0x10
    guard first & 0x80 != 0 else {
      self.length = 1
      return
    }
    guard payload.byteCount > 1 else { return nil }
    let extensions = payload.uint8(at: 1)
    var length = 2
    if extensions & 0x80 != 0 {
      guard payload.byteCount > length else { return nil }
      length += payload.uint8(at: length) & 0x80 != 0 ? 2 : 1
    }
    if extensions & 0x40 != 0 { length += 1 }
    if extensions & 0x30 != 0 { length += 1 }
    guard payload.byteCount >= length else { return nil }
    self.length = length
  }
}
