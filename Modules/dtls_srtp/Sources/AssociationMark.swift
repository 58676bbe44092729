internal import NetBase

/// Tells the DTLS associations of one 5-tuple apart, which RFC 8842 §3.1 leaves to whoever has a way to.
///
/// A record's sequence number has 48 bits, and an association of ours sends some dozens of records in an epoch. The upper
/// 32 bits carry the mark, from the first ClientHello to the last alert and in both epochs; OpenSSL, at either end, sees
/// them as zero. So nothing of the handshake or its keys depends on it, and a record with the mark of another association
/// can do no more than one that was damaged. Who did not see the descriptions must guess it.
struct AssociationMark: Hashable, Sendable, CustomStringConvertible {
  /// Of the first association of a call, and of all with peers that know no marks.
  static let none = AssociationMark(value: 0)

  let value: UInt32

  private init(value: UInt32) { self.value = value }

  /// A random one; another than `none`.
  static func makeRandom() throws(LibraryError) -> AssociationMark {
    let random = try Association.makeCookie()
    let value = random.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    return AssociationMark(value: max(value, 1))
  }

  // MARK: In descriptions

  /// The attribute that shows that its sender knows marks, and the mark of the association that the description is for.
  static let attribute = "apus-dtls-mark"

  /// - Parameter text: eight hexadecimal digits.
  init?(_ text: String) {
    guard text.utf8.count == 8, text.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
      let value = UInt32(text, radix: 16)
    else { return nil }
    self.value = value
  }

  var description: String {
    let digits = String(self.value, radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }

  // MARK: In records

  /// The mark of all records of `datagram`; nil unless they are whole and have one in common.
  init?(of datagram: RawSpan) {
    guard let length = Self.recordLength(datagram, at: 0) else { return nil }
    self.value = datagram.uint32(at: Self.place)
    var offset = length
    while offset < datagram.byteCount {
      guard let length = Self.recordLength(datagram, at: offset),
        datagram.uint32(at: offset + Self.place) == self.value
      else { return nil }
      offset += length
    }
  }

  /// `datagram` with this mark in each of its records.
  func marking(_ datagram: [UInt8]) -> [UInt8] { Self.writing(self.value, into: datagram) }

  /// `datagram`, which has a mark, as OpenSSL is to see it.
  static func unmarking(_ datagram: RawSpan) -> [UInt8] { Self.writing(0, into: datagram.copied()) }

  private static func writing(_ value: UInt32, into datagram: [UInt8]) -> [UInt8] {
    var bytes = datagram
    var offset = 0
    while let length = bytes.withRawSpan({ Self.recordLength($0, at: offset) }) {
      for index in 0..<4 { bytes[offset + Self.place + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * index)) }
      offset += length
    }
    return bytes
  }

  private static let header = 13
  /// Of the sequence number, behind type, version and epoch.
  private static let place = 5

  /// Header included; nil where no whole record begins.
  private static func recordLength(_ bytes: RawSpan, at offset: Int) -> Int? {
    guard bytes.byteCount - offset >= self.header else { return nil }
    let length = self.header + Int(bytes.uint16(at: offset + 11))
    return length <= bytes.byteCount - offset ? length : nil
  }
}
