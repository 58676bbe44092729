package import NetBase

/// Writes a STUN message, attribute by attribute (RFC 8489 §5).
package struct STUNWriter {
  package private(set) var bytes: [UInt8]
  private let id: STUNTransactionID

  package init(_ messageClass: STUNClass, method: UInt16 = 1, id: STUNTransactionID) {
    self.id = id
    self.bytes = []
    self.bytes.reserveCapacity(160)
    let type = method & 0xF | method << 1 & 0xE0 | method << 2 & 0x3E00
    let bits = (messageClass.rawValue & 1) << 4 | (messageClass.rawValue & 2) << 7
    Self.append(type | bits, to: &self.bytes)
    Self.append(UInt16(0), to: &self.bytes)
    Self.append(STUNType.magicCookie, to: &self.bytes)
    Self.append(id.high, to: &self.bytes)
    Self.append(id.low, to: &self.bytes)
  }

  /// - Parameter padding: what fills the last word; any value is right.
  package mutating func add(_ type: UInt16, _ value: [UInt8], padding: UInt8 = 0) {
    Self.append(type, to: &self.bytes)
    Self.append(UInt16(value.count), to: &self.bytes)
    self.bytes += value
    while self.bytes.count % 4 != 0 { self.bytes.append(padding) }
    self.setLength(self.bytes.count - 20)
  }

  package mutating func add(_ type: UInt16, _ text: String, padding: UInt8 = 0) {
    self.add(type, Array(text.utf8), padding: padding)
  }

  package mutating func add(_ type: UInt16, _ number: some FixedWidthInteger) {
    var value: [UInt8] = []
    Self.append(number, to: &value)
    self.add(type, value)
  }

  /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
  package mutating func addMapped(_ address: SocketAddress) { self.add(STUNType.xorMappedAddress, address) }

  /// An address as XOR-MAPPED-ADDRESS has it.
  package mutating func add(_ type: UInt16, _ address: SocketAddress) {
    var value: [UInt8] = [0, address.family == .ipv4 ? 1 : 2]
    Self.append(address.port ^ UInt16(STUNType.magicCookie >> 16), to: &value)
    switch address.family {
    case .ipv4: Self.append(UInt32(truncatingIfNeeded: address.high >> 32) ^ STUNType.magicCookie, to: &value)
    case .ipv6:
      Self.append(address.high ^ (UInt64(STUNType.magicCookie) << 32 | UInt64(self.id.high)), to: &value)
      Self.append(address.low ^ self.id.low, to: &value)
    }
    self.add(type, value)
  }

  package mutating func addError(_ code: Int, _ reason: String) {
    self.add(STUNType.errorCode, [0, 0, UInt8(code / 100), UInt8(code % 100)] + Array(reason.utf8))
  }

  /// MESSAGE-INTEGRITY, or MESSAGE-INTEGRITY-SHA256 where `hash` says so: covers what was added before it.
  package mutating func addIntegrity(_ hash: STUNCrypto.Hash = .sha1, key: RawSpan, crypto: STUNCrypto) {
    let isSHA256 = hash == .sha256
    self.setLength(self.bytes.count - 20 + 4 + (isSHA256 ? 32 : 20))
    let sum = self.bytes.withRawSpan { crypto.hmac(hash, key, $0) }
    self.add(isSHA256 ? STUNType.integritySHA256 : STUNType.integrity, sum)
  }

  /// Under what an ICE description shows anyway.
  package mutating func addIntegrity(_ hash: STUNCrypto.Hash = .sha1, key: [UInt8], crypto: STUNCrypto) {
    key.withRawSpan { self.addIntegrity(hash, key: $0, crypto: crypto) }
  }

  /// The last attribute.
  package mutating func addFingerprint() {
    self.setLength(self.bytes.count - 20 + 8)
    self.add(STUNType.fingerprint, self.bytes.withRawSpan { fingerprint(of: $0) })
  }

  private mutating func setLength(_ length: Int) {
    (self.bytes[2], self.bytes[3]) = (UInt8(length >> 8 & 255), UInt8(length & 255))
  }

  private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
}
