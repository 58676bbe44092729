internal import NetBase

/// Base64 (RFC 4648 §4) from and to memory that is wiped.
enum Base64 {
  /// Nil for a character that is none of base64's, for a wrong length, and for padding in a wrong place.
  ///
  /// The padding may be missing: some peers leave it out.
  static func decode(_ text: some Sequence<UInt8>) -> SecretBytes? {
    var count = 0
    var padding = 0
    for character in text {
      if character == Self.padding {
        padding += 1
      } else {
        guard padding == 0, Self.value(of: character) != nil else { return nil }
        count += 1
      }
    }
    guard count % 4 != 1, padding == 0 || (padding <= 2 && (count + padding) % 4 == 0) else { return nil }
    var bytes = SecretBytes(count: count * 3 / 4)
    unsafe bytes.withUnsafeMutableBytes { room in
      var (bits, available, offset): (UInt32, Int, Int) = (0, 0, 0)
      for character in text {
        guard let value = Self.value(of: character) else { continue }
        bits = bits << 6 | UInt32(value)
        available += 6
        guard available >= 8 else { continue }
        available -= 8
        unsafe room[offset] = UInt8(truncatingIfNeeded: bits >> UInt32(available))
        offset += 1
      }
    }
    return bytes
  }

  /// With padding, since some peers insist on it.
  static func encode(_ bytes: RawSpan) -> String {
    let length = (bytes.byteCount + 2) / 3 * 4
    return unsafe String(unsafeUninitializedCapacity: length) { room in
      for start in stride(from: 0, to: bytes.byteCount, by: 3) {
        let present = min(3, bytes.byteCount - start)
        var bits: UInt32 = 0
        for offset in 0..<3 { bits = bits << 8 | (offset < present ? UInt32(bytes.uint8(at: start + offset)) : 0) }
        for position in 0..<4 {
          let character =
            position <= present ? Self.character(of: bits >> UInt32(18 - 6 * position) & 63) : Self.padding
          unsafe room.initializeElement(at: start / 3 * 4 + position, to: character)
        }
      }
      return length
    }
  }

  private static let padding = UInt8(ascii: "=")

  private static func value(of character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }

  private static func character(of value: UInt32) -> UInt8 {
    switch UInt8(truncatingIfNeeded: value) {
    case let value where value < 26: UInt8(ascii: "A") + value
    case let value where value < 52: UInt8(ascii: "a") + value - 26
    case let value where value < 62: UInt8(ascii: "0") + value - 52
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
  }
}
