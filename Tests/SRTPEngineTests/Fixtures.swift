import NetBase
import SRTPEngine

/// Bytes written as hexadecimal digits; spaces are for the eye.
func hex(_ text: String) -> [UInt8] {
  let digits = text.filter { $0.isHexDigit }.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func material(
  _ profile: SRTPProfile, _ keyAndSalt: [UInt8], identifier: [UInt8]? = nil, lifetime: UInt64? = nil
) throws -> SRTPKeyMaterial {
  try SRTPKeyMaterial(
    profile: profile, keyAndSalt: keyAndSalt.withRawSpan { SecretBytes($0) },
    masterKeyIdentifier: identifier.map { bytes throws(SRTPError) in try MasterKeyIdentifier(bytes: bytes) },
    lifetime: lifetime)
}

/// Key number `seed` of a test, always the same bytes.
func key(
  _ seed: Int, _ profile: SRTPProfile = .aesCM128HMACSHA1Tag80, identifier: [UInt8]? = nil, lifetime: UInt64? = nil
) throws -> SRTPKeyMaterial {
  let bytes = (0..<profile.keyAndSaltLength).map { UInt8(truncatingIfNeeded: seed &* 131 &+ $0 &* 7 &+ seed >> 8) }
  return try material(profile, bytes, identifier: identifier, lifetime: lifetime)
}

/// A packet as RFC 3550 §5.1 has it, its payload told by its sequence number.
func rtp(_ sequenceNumber: Int, ssrc: UInt32 = 0xCAFE_BABE, length: Int = 20) -> [UInt8] {
  let number = UInt16(truncatingIfNeeded: sequenceNumber)
  return [0x80, 0x0F, UInt8(number >> 8), UInt8(number & 255), 0, 0, 0, 1] + big(ssrc)
    + (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ sequenceNumber) }
}

/// An empty receiver report with some bytes of a profile's own (RFC 3550 §6.4.2).
func rtcp(ssrc: UInt32 = 0xCAFE_BABE, mark: UInt8 = 0xAB) -> [UInt8] {
  [0x80, 201, 0, 5] + big(ssrc) + [UInt8](repeating: mark, count: 16)
}

func big(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) } }

func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds) }

/// What came out: the result, and the datagram after it.
struct Outcome: Equatable {
  var result: SRTPResult
  var bytes: [UInt8]
}

func ok(_ bytes: [UInt8]) -> Outcome { Outcome(result: .ok, bytes: bytes) }

/// Runs `body` on a packet with room for any trailer.
func transform(_ datagram: [UInt8], room: Int = 160, _ body: (inout Packet) -> SRTPResult) -> Outcome {
  var memory = datagram + [UInt8](repeating: 0xEE, count: room)
  let (result, count) = memory.withPacket(count: datagram.count) { packet in (body(&packet), packet.count) }
  return Outcome(result: result, bytes: Array(memory.prefix(count)))
}

extension OutboundSRTP {
  mutating func sent(_ datagram: [UInt8], isRTCP: Bool = false) -> Outcome {
    transform(datagram) { isRTCP ? self.protect(rtcp: &$0) : self.protect(rtp: &$0) }
  }
}

extension InboundSRTP {
  mutating func received(_ datagram: [UInt8], isRTCP: Bool = false) -> Outcome {
    transform(datagram) { isRTCP ? self.unprotect(rtcp: &$0) : self.unprotect(rtp: &$0) }
  }
}

extension OutboundKeys {
  /// The datagram on the wire; empty when nothing may be sent.
  mutating func sent(_ datagram: [UInt8], isRTCP: Bool = false) -> [UInt8] {
    let outcome = transform(datagram) { isRTCP ? self.protect(rtcp: &$0) : self.protect(rtp: &$0) }
    return outcome.result == .ok ? outcome.bytes : []
  }
}

extension InboundKeys {
  mutating func received(_ datagram: [UInt8], isRTCP: Bool = false, _ now: Instant = at(0)) -> Outcome {
    transform(datagram) { self.unprotect(&$0, isRTCP: isRTCP, now: now) }
  }
}
