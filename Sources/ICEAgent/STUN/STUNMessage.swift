package import NetBase

/// A STUN message that came from the network: well-formed, and nothing more is known of it (RFC 8489 §5, §6.3).
package struct STUNMessage: Sendable {
  package let messageClass: STUNClass
  package let method: UInt16
  package let id: STUNTransactionID
  private let bytes: [UInt8]
  private var attributes: [(type: UInt16, start: Int, length: Int)] = []
  private var integrityAt: (start: Int, length: Int)?
  private var integritySHA256At: (start: Int, length: Int)?
  /// Whether it ends with a FINGERPRINT, which then is right.
  package private(set) var hasFingerprint = false

  /// No message that means well has more.
  private static let maximumAttributes = 64
  private static let maximumLength = 2048

  /// Nil for what is not a STUN message, is malformed, or has a wrong FINGERPRINT.
  package init?(_ datagram: RawSpan) {
    let count = datagram.byteCount
    guard (20...Self.maximumLength).contains(count), datagram.uint8(at: 0) < 64,
      datagram.uint32(at: 4) == STUNType.magicCookie, Int(datagram.uint16(at: 2)) == count - 20, count % 4 == 0
    else { return nil }
    let type = datagram.uint16(at: 0)
    guard let messageClass = STUNClass(rawValue: type >> 4 & 1 | type >> 7 & 2) else { return nil }
    self.messageClass = messageClass
    self.method = type & 0xF | type >> 1 & 0x70 | type >> 2 & 0xF80
    self.id = STUNTransactionID(high: datagram.uint32(at: 8), low: datagram.uint64(at: 12))
    self.bytes = datagram.copied()
    guard self.parseAttributes(datagram) else { return nil }
  }

  /// What follows an integrity attribute is not protected by it, and is skipped (RFC 8489 §14.5, §14.6).
  private mutating func parseAttributes(_ datagram: RawSpan) -> Bool {
    var offset = 20
    var seen = 0
    while offset < datagram.byteCount {
      guard offset + 4 <= datagram.byteCount, !self.hasFingerprint, seen < Self.maximumAttributes else { return false }
      seen += 1
      let type = datagram.uint16(at: offset)
      let length = Int(datagram.uint16(at: offset + 2))
      let start = offset + 4
      let end = start + (length + 3) / 4 * 4
      guard end <= datagram.byteCount else { return false }
      switch type {
      case STUNType.fingerprint:
        guard length == 4, datagram.uint32(at: start) == fingerprint(of: datagram.extracting(0..<offset)) else {
          return false
        }
        self.hasFingerprint = true
      case STUNType.integritySHA256:
        guard (16...32).contains(length), length % 4 == 0 else { return false }
        if self.integritySHA256At == nil { self.integritySHA256At = (start, length) }
      case STUNType.integrity:
        guard length == 20 else { return false }
        if self.integrityAt == nil, self.integritySHA256At == nil { self.integrityAt = (start, length) }
      default:
        if self.integrityAt == nil, self.integritySHA256At == nil { self.attributes.append((type, start, length)) }
      }
      offset = end
    }
    return true
  }

  package var hasIntegrity: Bool { self.integrityAt != nil || self.integritySHA256At != nil }
  package var hasIntegritySHA256: Bool { self.integritySHA256At != nil }

  /// Whether the strongest integrity attribute that it has was made with `key`.
  package func isAuthentic(key: RawSpan, crypto: STUNCrypto) -> Bool {
    if let place = self.integritySHA256At { return self.isAuthentic(.sha256, place, key, crypto) }
    if let place = self.integrityAt { return self.isAuthentic(.sha1, place, key, crypto) }
    return false
  }

  /// Whether it was made under what an ICE description shows anyway.
  package func isAuthentic(key: [UInt8], crypto: STUNCrypto) -> Bool {
    key.withRawSpan { self.isAuthentic(key: $0, crypto: crypto) }
  }

  private func isAuthentic(
    _ hash: STUNCrypto.Hash, _ place: (start: Int, length: Int), _ key: RawSpan, _ crypto: STUNCrypto
  ) -> Bool {
    var covered = Array(self.bytes[..<(place.start - 4)])
    let length = place.start + place.length - 20
    (covered[2], covered[3]) = (UInt8(length >> 8), UInt8(length & 255))
    let sum = covered.withRawSpan { crypto.hmac(hash, key, $0) }
    guard sum.count >= place.length else { return false }
    return self.bytes.withRawSpan { bytes in
      let theirs = bytes.extracting(place.start..<(place.start + place.length))
      return sum.withRawSpan { isEqualInConstantTime($0.extracting(0..<place.length), theirs) }
    }
  }

  // MARK: Attributes

  /// Nil when it has no such attribute; the first counts.
  package func value(_ type: UInt16) -> ArraySlice<UInt8>? {
    guard let found = self.attributes.first(where: { $0.type == type }) else { return nil }
    return self.bytes[found.start..<(found.start + found.length)]
  }

  package func has(_ type: UInt16) -> Bool { self.attributes.contains { $0.type == type } }

  package func text(_ type: UInt16) -> String? { self.value(type).map { String(decoding: $0, as: UTF8.self) } }

  package func uint32(_ type: UInt16) -> UInt32? {
    guard let value = self.value(type), value.count == 4 else { return nil }
    return value.reduce(0) { $0 << 8 | UInt32($1) }
  }

  package func uint64(_ type: UInt16) -> UInt64? {
    guard let value = self.value(type), value.count == 8 else { return nil }
    return value.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// ERROR-CODE (RFC 8489 §14.8).
  package var errorCode: Int? {
    guard let value = self.value(STUNType.errorCode), value.count >= 4 else { return nil }
    let hundreds = Int(value[value.startIndex + 2] & 7)
    let rest = Int(value[value.startIndex + 3])
    guard (3...6).contains(hundreds), rest < 100 else { return nil }
    return hundreds * 100 + rest
  }

  /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS from a server of RFC 3489's time.
  package var mappedAddress: SocketAddress? {
    if self.has(STUNType.xorMappedAddress) { return self.address(STUNType.xorMappedAddress) }
    guard let value = self.value(STUNType.mappedAddress) else { return nil }
    return Array(value).withRawSpan { SocketAddress(stun: $0, maskedBy: nil) }
  }

  /// An address as XOR-MAPPED-ADDRESS has it.
  package func address(_ type: UInt16) -> SocketAddress? {
    guard let value = self.value(type) else { return nil }
    return Array(value).withRawSpan { SocketAddress(stun: $0, maskedBy: self.id) }
  }

  /// Attributes that must be understood, and are not (RFC 8489 §6.3.1).
  var unknownAttributes: [UInt16] {
    self.attributes.map(\.type).filter { $0 < 0x8000 && !STUNType.known.contains($0) }
  }
}

extension SocketAddress {
  /// The value of an address attribute (RFC 8489 §14.1, §14.2), masked where a transaction is given.
  init?(stun value: RawSpan, maskedBy id: STUNTransactionID?) {
    guard value.byteCount >= 8 else { return nil }
    let mask = id == nil ? 0 : STUNType.magicCookie
    let port = value.uint16(at: 2) ^ UInt16(mask >> 16)
    switch (value.uint8(at: 1), value.byteCount) {
    case (1, 8): self.init(ipv4: value.uint32(at: 4) ^ mask, port: port)
    case (2, 20):
      let high = UInt64(mask) << 32 | UInt64(id?.high ?? 0)
      self.init(ipv6: value.uint64(at: 4) ^ high, value.uint64(at: 12) ^ (id?.low ?? 0), port: port)
    default: return nil
    }
  }
}
