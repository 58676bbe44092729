// Splitting on bytes, not on characters: a combining mark behind a separator must not hide it.

extension StringProtocol {
  /// The words between runs of spaces and tabs.
  func fields(atMost count: Int = .max) -> [String] {
    let splits = count == .max ? Int.max : count - 1
    return self.utf8.split(maxSplits: splits, omittingEmptySubsequences: true) { $0 == 0x20 || $0 == 0x09 }
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// What is before and after the first `separator`; nil behind when there is none.
  func cut(at separator: Unicode.Scalar) -> (String, String?) {
    let bytes = self.utf8
    guard let place = bytes.firstIndex(of: UInt8(ascii: separator)) else { return (String(self), nil) }
    return (
      String(decoding: bytes[..<place], as: UTF8.self),
      String(decoding: bytes[bytes.index(after: place)...], as: UTF8.self)
    )
  }

  /// The value of a text of ASCII digits only; nil when it is empty, signed or does not fit.
  func decimal<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number? {
    guard !self.isEmpty, self.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
    return Number(self)
  }
}
