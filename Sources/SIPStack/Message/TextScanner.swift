/// Reads a header field's value from left to right; every step is bounded by the bytes that are left.
struct TextScanner {
  let bytes: [UInt8]
  /// Where reading stops.
  let end: Int
  private(set) var position: Int

  init(_ text: some StringProtocol) { self.init(Array(text.utf8)) }

  init(_ bytes: [UInt8]) { self.init(bytes, 0..<bytes.count) }

  /// A part of `bytes`; positions count from the start of all of them.
  init(_ bytes: [UInt8], _ range: Range<Int>) {
    (self.bytes, self.position, self.end) = (bytes, range.lowerBound, range.upperBound)
  }

  var isAtEnd: Bool { self.position >= self.end }

  func text(_ range: Range<Int>) -> String { String(decoding: self.bytes[range], as: UTF8.self) }

  /// Goes on while `accepts` does, and says over which bytes.
  @inline(__always)
  mutating func skip(while accepts: (UInt8) -> Bool) -> Range<Int> {
    let start = self.position
    var position = start
    while position < self.end, accepts(self.bytes[position]) { position += 1 }
    self.position = position
    return start..<position
  }

  var peek: UInt8? { self.isAtEnd ? nil : self.bytes[self.position] }

  mutating func skipWhitespace() {
    while let byte = self.peek, byte == .space || byte == .tab { self.position += 1 }
  }

  /// Takes `byte` when it comes next.
  mutating func take(_ byte: UInt8) -> Bool {
    guard self.peek == byte else { return false }
    self.position += 1
    return true
  }

  @inline(__always)
  mutating func take(while accepts: (UInt8) -> Bool) -> String {
    let range = self.skip(while: accepts)
    return range.isEmpty ? "" : self.text(range)
  }

  /// The rest, whitespace at both ends left out.
  mutating func rest() -> String {
    self.skipWhitespace()
    let range = self.trimmed(self.position..<self.end)
    self.position = self.end
    return self.text(range)
  }

  /// `range` without the whitespace at its ends.
  func trimmed(_ range: Range<Int>) -> Range<Int> {
    var (start, end) = (range.lowerBound, range.upperBound)
    while start < end, self.bytes[start] == .space || self.bytes[start] == .tab { start += 1 }
    while end > start, self.bytes[end - 1] == .space || self.bytes[end - 1] == .tab { end -= 1 }
    return start..<end
  }

  /// A quoted string, its quotes left on; nil when it does not end (RFC 3261 §25.1).
  mutating func quoted() -> String? {
    let start = self.position
    guard self.take(.quote) else { return nil }
    while let byte = self.peek {
      self.position += 1
      if byte == .backslash {
        guard !self.isAtEnd else { return nil }
        self.position += 1
      } else if byte == .quote {
        return self.text(start..<self.position)
      }
    }
    return nil
  }

  /// Goes back to a place that `position` named.
  mutating func rewind(to position: Int) { self.position = position }

  /// The elements of a comma-separated list; commas in quotes and in angle brackets do not separate.
  static func list(_ value: String) -> [String] {
    let scanner = TextScanner(value)
    // Most lists have one element, which is the value itself.
    if !scanner.bytes.contains(.comma), let first = scanner.bytes.first, let last = scanner.bytes.last,
      first != .space, first != .tab, last != .space, last != .tab
    {
      return [value]
    }
    var elements: [String] = []
    var start = 0
    var isQuoted = false
    var isEscaped = false
    var isBracketed = false
    func add(_ end: Int) {
      let range = scanner.trimmed(start..<end)
      if !range.isEmpty { elements.append(scanner.text(range)) }
    }
    for index in 0..<scanner.end {
      switch scanner.bytes[index] {
      case _ where isEscaped: isEscaped = false
      case .backslash where isQuoted: isEscaped = true
      case .quote where !isBracketed: isQuoted.toggle()
      case .less where !isQuoted: isBracketed = true
      case .greater where !isQuoted: isBracketed = false
      case .comma where !isQuoted && !isBracketed:
        add(index)
        start = index + 1
      default: break
      }
    }
    add(scanner.end)
    return elements
  }
}

extension UInt8 {
  static let tab = UInt8(ascii: "\t")
  static let lineFeed = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")
  static let space = UInt8(ascii: " ")
  static let quote = UInt8(ascii: "\"")
  static let backslash = UInt8(ascii: "\\")
  static let comma = UInt8(ascii: ",")
  static let colon = UInt8(ascii: ":")
  static let semicolon = UInt8(ascii: ";")
  static let equals = UInt8(ascii: "=")
  static let less = UInt8(ascii: "<")
  static let greater = UInt8(ascii: ">")
  static let slash = UInt8(ascii: "/")
  static let question = UInt8(ascii: "?")
  static let ampersand = UInt8(ascii: "&")
  static let percent = UInt8(ascii: "%")
  static let at = UInt8(ascii: "@")

  /// A control character; the tab counts as white space.
  var isControl: Bool { self < .space && self != .tab || self == 0x7F }

  var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }

  var lowercased: UInt8 { self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") ? self | 0x20 : self }

  var isAlphanumeric: Bool {
    self.isDigit || (self.lowercased >= UInt8(ascii: "a") && self.lowercased <= UInt8(ascii: "z"))
  }

  /// Whether the bit of this ASCII character is set in a set of two words.
  @inline(__always)
  func isIn(_ low: UInt64, _ high: UInt64) -> Bool {
    if self < 64 { return low >> UInt64(self) & 1 == 1 }
    return self < 128 && high >> UInt64(self - 64) & 1 == 1
  }

  /// `token` characters (RFC 3261 §25.1): letters, digits and `-.!%*_+\`'~`.
  var isToken: Bool { self.isIn(0x03FF_6CA2_0000_0000, 0x47FF_FFFF_87FF_FFFE) }

  var hexadecimalValue: UInt8? {
    switch self.lowercased {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self.lowercased - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}

extension StringProtocol {
  /// Whether both are the same but for the case of ASCII letters.
  func isSame(ignoringCaseOf other: some StringProtocol) -> Bool {
    guard self.utf8.count == other.utf8.count else { return false }
    var (left, right) = (self.utf8.makeIterator(), other.utf8.makeIterator())
    while let one = left.next(), let another = right.next() {
      guard one == another || one.lowercased == another.lowercased else { return false }
    }
    return true
  }

  /// Decimal digits and nothing else, up to `limit`.
  func decimal(upTo limit: Int) -> Int? {
    guard !self.isEmpty, self.utf8.allSatisfy(\.isDigit), let value = Int(self), value <= limit else { return nil }
    return value
  }
}
