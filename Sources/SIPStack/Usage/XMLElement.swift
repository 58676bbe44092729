/// An element of a small XML document: what bodies of event packages need of XML 1.0, and no more.
///
/// Names are local ones, their namespaces left out. A document type, and with it every entity but the five that XML
/// itself has, makes a document unreadable; so do more elements, or deeper ones, than any phone sends.
struct XMLElement: Hashable {
  let name: String
  /// By local name; of two with the same one the first.
  var attributes: [String: String] = [:]
  var children: [XMLElement] = []
  /// What stands directly in it.
  var text = ""

  /// Reads a document in time linear in its length; nil when it is none, or too large.
  static func read(_ bytes: [UInt8]) -> XMLElement? {
    guard bytes.count <= XMLReader.maximumLength else { return nil }
    var reader = XMLReader(bytes)
    return reader.document()
  }

  func all(_ name: String) -> [XMLElement] { self.children.filter { $0.name == name } }

  func first(_ name: String) -> XMLElement? { self.children.first { $0.name == name } }

  /// Its text, white space at both ends left out.
  var word: String {
    let bytes = Array(self.text.utf8)
    guard let first = bytes.firstIndex(where: { !$0.isXMLSpace }), let last = bytes.lastIndex(where: { !$0.isXMLSpace })
    else { return "" }
    return String(decoding: bytes[first...last], as: UTF8.self)
  }

  /// `text` as it may stand in an element or in an attribute's quotes; control characters are left out.
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F: break
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

/// Reads one document from left to right.
struct XMLReader {
  static let maximumLength = 65_536
  static let maximumDepth = 16
  static let maximumElements = 1_024
  static let maximumAttributes = 32

  private var scanner: TextScanner
  private var elements = 0

  init(_ bytes: [UInt8]) { self.scanner = TextScanner(bytes) }

  mutating func document() -> XMLElement? {
    _ = self.take([0xEF, 0xBB, 0xBF])
    guard self.skipBetween(), let root = self.element(depth: 0), self.skipBetween(), self.scanner.isAtEnd else {
      return nil
    }
    return root
  }

  /// White space, comments and instructions before and after the root; false where one does not end.
  private mutating func skipBetween() -> Bool {
    while true {
      _ = self.scanner.skip(while: \.isXMLSpace)
      if self.take("<!--") {
        guard self.skip(through: "-->") != nil else { return false }
      } else if self.take("<?") {
        guard self.skip(through: "?>") != nil else { return false }
      } else {
        return true
      }
    }
  }

  private mutating func element(depth: Int) -> XMLElement? {
    guard depth < Self.maximumDepth, self.elements < Self.maximumElements, self.scanner.take(.less),
      let name = self.name()
    else { return nil }
    self.elements += 1
    var element = XMLElement(name: Self.local(name))
    var attributes = 0
    while true {
      let isSeparated = !self.scanner.skip(while: \.isXMLSpace).isEmpty
      if self.take("/>") { return element }
      if self.scanner.take(.greater) { break }
      guard isSeparated, attributes < Self.maximumAttributes, let attribute = self.name(), let value = self.value()
      else { return nil }
      attributes += 1
      let key = Self.local(attribute)
      if element.attributes[key] == nil { element.attributes[key] = value }
    }
    return self.content(of: &element, named: name, depth: depth) ? element : nil
  }

  /// Everything up to and with the end tag; false where it does not come.
  private mutating func content(of element: inout XMLElement, named name: String, depth: Int) -> Bool {
    while let next = self.scanner.peek {
      if next == .ampersand {
        guard let character = self.reference() else { return false }
        element.text.unicodeScalars.append(character)
      } else if next != .less {
        element.text += self.scanner.take { $0 != .less && $0 != .ampersand }
      } else if self.take("</") {
        guard self.name() == name else { return false }
        _ = self.scanner.skip(while: \.isXMLSpace)
        return self.scanner.take(.greater)
      } else if self.take("<!--") {
        guard self.skip(through: "-->") != nil else { return false }
      } else if self.take("<![CDATA[") {
        guard let range = self.skip(through: "]]>") else { return false }
        element.text += self.scanner.text(range)
      } else if self.take("<?") {
        guard self.skip(through: "?>") != nil else { return false }
      } else {
        guard let child = self.element(depth: depth + 1) else { return false }
        element.children.append(child)
      }
    }
    return false
  }

  /// `= "value"` of an attribute.
  private mutating func value() -> String? {
    _ = self.scanner.skip(while: \.isXMLSpace)
    guard self.scanner.take(.equals) else { return nil }
    _ = self.scanner.skip(while: \.isXMLSpace)
    guard let quote = self.scanner.peek, quote == .quote || quote == UInt8(ascii: "'"), self.scanner.take(quote) else {
      return nil
    }
    var value = ""
    while let next = self.scanner.peek {
      if self.scanner.take(quote) { return value }
      if next == .ampersand {
        guard let character = self.reference() else { return nil }
        value.unicodeScalars.append(character)
      } else {
        guard next != .less else { return nil }
        value += self.scanner.take { $0 != quote && $0 != .ampersand && $0 != .less }
      }
    }
    return nil
  }

  /// One of XML's own five entities, or a character by its number.
  private mutating func reference() -> Unicode.Scalar? {
    guard self.scanner.take(.ampersand) else { return nil }
    let range = self.scanner.skip { $0.isAlphanumeric || $0 == UInt8(ascii: "#") }
    guard range.count <= 8, self.scanner.take(.semicolon) else { return nil }
    let word = self.scanner.text(range)
    switch word {
    case "amp": return "&"
    case "lt": return "<"
    case "gt": return ">"
    case "quot": return "\""
    case "apos": return "'"
    default:
      guard word.hasPrefix("#") else { return nil }
      let isHexadecimal = word.hasPrefix("#x")
      let number = UInt32(word.dropFirst(isHexadecimal ? 2 : 1), radix: isHexadecimal ? 16 : 10)
      return number.flatMap { $0 == 0 ? nil : Unicode.Scalar($0) }
    }
  }

  /// A name with its prefix: anything up to what ends one.
  private mutating func name() -> String? {
    let range = self.scanner.skip { byte in
      byte.isAlphanumeric || byte >= 0x80 || byte == .colon || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        || byte == UInt8(ascii: ".")
    }
    return range.isEmpty || range.count > 256 ? nil : self.scanner.text(range)
  }

  private static func local(_ name: String) -> String {
    name.utf8.lastIndex(of: .colon).map { String(name[name.utf8.index(after: $0)...]) } ?? name
  }

  private mutating func take(_ text: StaticString) -> Bool {
    self.take(Array("\(text)".utf8))
  }

  /// Takes `bytes` when they come next.
  private mutating func take(_ bytes: [UInt8]) -> Bool {
    let start = self.scanner.position
    for byte in bytes where !self.scanner.take(byte) {
      self.scanner.rewind(to: start)
      return false
    }
    return true
  }

  /// Goes behind the next `mark`, and says what was before it; nil where none comes.
  private mutating func skip(through mark: StaticString) -> Range<Int>? {
    let (start, mark) = (self.scanner.position, Array("\(mark)".utf8))
    while !self.scanner.isAtEnd {
      _ = self.scanner.skip { $0 != mark[0] }
      let end = self.scanner.position
      if self.take(mark) { return start..<end }
      if let next = self.scanner.peek { _ = self.scanner.take(next) }
    }
    return nil
  }
}

extension UInt8 {
  fileprivate var isXMLSpace: Bool {
    self == .space || self == .tab || self == .carriageReturn || self == .lineFeed
  }
}
