/// Reads a header field's value from left to right; every step is bounded by the bytes that are left.
struct TextScanner {
  private let bytes: [UInt8]
  private(set) var position = 0

  init(_ text: some StringProtocol) { self.bytes = Array(text.utf8) }

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { self.position >= self.bytes.count }

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

  mutating func take(while accepts: (UInt8) -> Bool) -> String {
    let start = self.position
    while let byte = self.peek, accepts(byte) { self.position += 1 }
    return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
  }

  /// The rest, whitespace at both ends left out.
  mutating func rest() -> String {
    self.skipWhitespace()
    var end = self.bytes.count
    while end > self.position, self.bytes[end - 1] == .space || self.bytes[end - 1] == .tab { end -= 1 }
    defer { self.position = self.bytes.count }
    return String(decoding: self.bytes[self.position..<end], as: UTF8.self)
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
        return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
      }
    }
    return nil
  }

  /// Goes back to a place that `position` named.
  mutating func rewind(to position: Int) { self.position = position }

  /// The elements of a comma-separated list; commas in quotes and in angle brackets do not separate.
  static func list(_ value: String) -> [String] {
    var elements: [String] = []
    var element: [UInt8] = []
    var isQuoted = false
    var isEscaped = false
    var isBracketed = false
    func trimmed(_ bytes: [UInt8]) -> String {
      var scanner = TextScanner(bytes)
      return scanner.rest()
    }
    for byte in value.utf8 {
      switch byte {
      case _ where isEscaped: isEscaped = false
      case .backslash where isQuoted: isEscaped = true
      case .quote where !isBracketed: isQuoted.toggle()
      case .less where !isQuoted: isBracketed = true
      case .greater where !isQuoted: isBracketed = false
      case .comma where !isQuoted && !isBracketed:
        elements.append(trimmed(element))
        element.removeAll(keepingCapacity: true)
        continue
      default: break
      }
      element.append(byte)
    }
    elements.append(trimmed(element))
    return elements.filter { !$0.isEmpty }
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

  /// `token` characters (RFC 3261 §25.1).
  var isToken: Bool {
    switch self {
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "%"), UInt8(ascii: "*"),
      UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "`"), UInt8(ascii: "'"), UInt8(ascii: "~"):
      true
    default: self.isAlphanumeric
    }
  }

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
    self.utf8.count == other.utf8.count && zip(self.utf8, other.utf8).allSatisfy { $0.lowercased == $1.lowercased }
  }

  /// Decimal digits and nothing else, up to `limit`.
  func decimal(upTo limit: Int) -> Int? {
    guard !self.isEmpty, self.utf8.allSatisfy(\.isDigit), let value = Int(self), value <= limit else { return nil }
    return value
  }
}
