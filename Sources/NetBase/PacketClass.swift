/// What a datagram on a media socket is, told by its first bytes (RFC 7983, RFC 5761 §4).
public enum PacketClass: Sendable {
  case stun, dtls, turnChannel, rtp, rtcp, unknown

  @inlinable public init(_ bytes: RawSpan) {
    guard bytes.byteCount >= 2 else {
      self = .unknown
      return
    }
    switch bytes.uint8(at: 0) {
    case 0...3: self = .stun
    case 20...63: self = .dtls
    case 64...79: self = .turnChannel
    case 128...191:
      // RTCP packet types 192 to 223 are RTP payload types 64 to 95 with the marker set.
      self = (192...223).contains(bytes.uint8(at: 1)) ? .rtcp : .rtp
    default: self = .unknown
    }
  }
}
