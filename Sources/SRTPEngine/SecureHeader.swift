internal import NetBase

/// The part of an RTP or RTCP packet that stays in the clear, as far as the transforms need it.
struct SecureHeader {
  /// The clear part of an RTCP packet (RFC 3711 §3.4).
  static let controlLength = 8

  /// Bytes before the part that is encrypted.
  let length: Int
  let ssrc: UInt32
  /// RTP only, else 0.
  let sequenceNumber: UInt16

  /// Nil when the bytes are not version 2, or the header runs past their end (RFC 3550 §5.1, §5.3.1, §6.4.1).
  init?(_ bytes: RawSpan, isRTCP: Bool) {
    guard bytes.byteCount >= Self.controlLength, bytes.uint8(at: 0) >> 6 == 2 else { return nil }
    if isRTCP {
      (self.length, self.ssrc, self.sequenceNumber) = (Self.controlLength, bytes.uint32(at: 4), 0)
      return
    }
    guard bytes.byteCount >= 12 else { return nil }
    var length = 12 + 4 * Int(bytes.uint8(at: 0) & 0x0F)
    if bytes.uint8(at: 0) & 0x10 != 0 {
      guard bytes.byteCount >= length + 4 else { return nil }
      length += 4 + 4 * Int(bytes.uint16(at: length + 2))
    }
    guard bytes.byteCount >= length else { return nil }
    (self.length, self.ssrc, self.sequenceNumber) = (length, bytes.uint32(at: 8), bytes.uint16(at: 2))
  }
}
