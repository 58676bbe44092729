/// Names an agent to registrars (RFC 5626 §4.1): a UUID.
enum InstanceIdentifier {
  /// A random one (RFC 9562 §5.4).
  static func make(_ high: UInt64, _ low: UInt64) -> String {
    func hexadecimal(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    let (high, low) = (high & ~0xF000 | 0x4000, low & ~(0xC000 << 48) | 0x8000 << 48)
    let first = hexadecimal(high, 16)
    let second = hexadecimal(low, 16)
    let parts = [
      first.prefix(8), first.dropFirst(8).prefix(4), first.suffix(4), second.prefix(4), second.suffix(12),
    ]
    return parts.joined(separator: "-")
  }

  /// Reads baresip's file `uuid`, a line, with blanks around it or not; nil where that is no UUID. Any version will do:
  /// baresip's own have none.
  static func read(_ text: String) -> String? {
    // No blank stands within a UUID.
    let words = text.split { $0.isBlank || $0.isNewline }
    guard let line = words.first, words.count == 1 else { return nil }
    let groups = line.split(separator: "-", omittingEmptySubsequences: false)
    let isWhole = groups.map(\.utf8.count) == [8, 4, 4, 4, 12] && groups.joined().utf8.allSatisfy(\.isHexadecimal)
    return isWhole ? line.lowercased() : nil
  }
}

extension UInt8 {
  fileprivate var isHexadecimal: Bool {
    (0x30...0x39).contains(self) || (0x41...0x46).contains(self & 0xDF)
  }
}
