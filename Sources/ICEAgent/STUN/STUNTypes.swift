package import NetBase

/// The 96 bits that a response has in common with its request (RFC 8489 §5).
package struct STUNTransactionID: Hashable, Sendable {
  package let high: UInt32
  package let low: UInt64

  package init(high: UInt32, low: UInt64) {
    self.high = high
    self.low = low
  }

  package init(using random: inout some RandomNumberGenerator) {
    self.init(high: UInt32(truncatingIfNeeded: random.next()), low: random.next())
  }
}

/// The two class bits of a message (RFC 8489 §5).
package enum STUNClass: UInt16, Sendable { case request, indication, success, failure }

/// What this layer must be given, for it has no cryptographic library of its own.
package struct STUNCrypto: Sendable {
  package enum Hash: Sendable { case md5, sha1, sha256 }

  /// Empty where the provider refuses the algorithm, as FIPS does with MD5.
  package let digest: @Sendable (Hash, RawSpan) -> SecretBytes
  /// HMAC (RFC 2104) of the bytes, under the key.
  package let hmac: @Sendable (Hash, _ key: RawSpan, RawSpan) -> [UInt8]

  package init(
    digest: @escaping @Sendable (Hash, RawSpan) -> SecretBytes,
    hmac: @escaping @Sendable (Hash, _ key: RawSpan, RawSpan) -> [UInt8]
  ) {
    self.digest = digest
    self.hmac = hmac
  }
}

/// Methods, and attribute types (RFC 8489 §18.3, RFC 8445 §16.1, RFC 8656 §18).
package enum STUNType {
  package static let binding: UInt16 = 1
  // RFC 8656 §17
  package static let allocate: UInt16 = 3
  package static let refresh: UInt16 = 4
  package static let send: UInt16 = 6
  package static let data: UInt16 = 7
  package static let createPermission: UInt16 = 8
  package static let channelBind: UInt16 = 9

  package static let mappedAddress: UInt16 = 0x0001
  package static let username: UInt16 = 0x0006
  package static let integrity: UInt16 = 0x0008
  package static let errorCode: UInt16 = 0x0009
  package static let unknownAttributes: UInt16 = 0x000A
  package static let channelNumber: UInt16 = 0x000C
  package static let lifetime: UInt16 = 0x000D
  package static let xorPeerAddress: UInt16 = 0x0012
  package static let dataValue: UInt16 = 0x0013
  package static let realm: UInt16 = 0x0014
  package static let nonce: UInt16 = 0x0015
  package static let xorRelayedAddress: UInt16 = 0x0016
  package static let requestedAddressFamily: UInt16 = 0x0017
  package static let requestedTransport: UInt16 = 0x0019
  package static let integritySHA256: UInt16 = 0x001C
  package static let passwordAlgorithm: UInt16 = 0x001D
  package static let userhash: UInt16 = 0x001E
  package static let xorMappedAddress: UInt16 = 0x0020
  package static let priority: UInt16 = 0x0024
  package static let useCandidate: UInt16 = 0x0025
  package static let passwordAlgorithms: UInt16 = 0x8002
  package static let fingerprint: UInt16 = 0x8028
  package static let controlled: UInt16 = 0x8029
  package static let controlling: UInt16 = 0x802A

  package static let magicCookie: UInt32 = 0x2112_A442

  /// What a receiver must know by rule (below 0x8000) and does.
  package static let known: Set<UInt16> = [
    mappedAddress, username, integrity, errorCode, unknownAttributes, realm, nonce, integritySHA256, passwordAlgorithm,
    userhash, xorMappedAddress, priority, useCandidate,
  ]
}

/// CRC-32 of ITU-T V.42, which FINGERPRINT is made of (RFC 8489 §14.7).
func fingerprint(of bytes: RawSpan) -> UInt32 {
  var sum: UInt32 = 0xFFFF_FFFF
  for offset in 0..<bytes.byteCount {
    sum ^= UInt32(bytes.uint8(at: offset))
    for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
  }
  return ~sum ^ 0x5354_554E
}

/// Takes the same time wherever two values of one length differ.
func isEqualInConstantTime(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  var difference: UInt8 = 0
  for offset in 0..<left.byteCount { difference |= left.uint8(at: offset) ^ right.uint8(at: offset) }
  return difference == 0
}
