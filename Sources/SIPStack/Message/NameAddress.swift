/// A display name, a URI and the header field's parameters: From, To, Contact, Route (RFC 3261 §20.10).
package struct NameAddress: Hashable, Sendable, CustomStringConvertible {
  /// Without quotes and escapes; nil when there is none.
  package var displayName: String?
  package var uri: SIPURI
  /// The parameters of the header field, such as `tag`; not those of the URI.
  package var parameters: SIPParameters

  package init(displayName: String? = nil, uri: SIPURI, tag: String? = nil) {
    (self.displayName, self.uri, self.parameters) = (displayName, uri, SIPParameters())
    self.tag = tag
  }

  /// Parses `"Name" <uri>;parameters`, `Name <uri>;parameters` or `uri;parameters`.
  package init(_ text: some StringProtocol) throws(SIPParseError) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    let start = scanner.position
    var name: String?
    if scanner.peek == .quote {
      guard let quoted = scanner.quoted() else { throw .malformedAddress }
      name = Self.unquote(quoted)
      scanner.skipWhitespace()
      guard scanner.peek == .less else { throw .malformedAddress }
    } else {
      let words = scanner.skip(while: { $0 != .less && $0 != .quote })
      if scanner.peek == .less {
        let trimmed = scanner.trimmed(words)
        name = trimmed.isEmpty ? nil : scanner.text(trimmed)
      } else {
        scanner.rewind(to: start)
      }
    }
    if scanner.take(.less) {
      let uri = scanner.skip(while: { $0 != .greater })
      guard scanner.take(.greater) else { throw .malformedAddress }
      self.init(displayName: name, uri: try SIPURI(TextScanner(scanner.bytes, uri)))
    } else {
      // Without brackets, everything after the first semicolon belongs to the header field (RFC 3261 §20.10).
      let uri = scanner.skip(while: { $0 != .semicolon && $0 != .space && $0 != .tab && $0 != .comma })
      self.init(uri: try SIPURI(TextScanner(scanner.bytes, uri)))
    }
    guard let parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter }) else { throw .malformedAddress }
    scanner.skipWhitespace()
    guard scanner.isAtEnd else { throw .malformedAddress }
    self.parameters = parameters
  }

  /// The dialog tag; nil when it is absent or empty.
  package var tag: String? {
    get { self.parameters["tag"].flatMap { $0.isEmpty ? nil : $0 } }
    set { self.parameters["tag"] = newValue }
  }

  package var description: String {
    var text = ""
    if let name = self.displayName {
      text += "\""
      for character in name.unicodeScalars {
        if character == "\"" || character == "\\" { text += "\\" }
        text.unicodeScalars.append(character)
      }
      text += "\" "
    }
    return text + "<\(self.uri)>\(self.parameters)"
  }

  static func unquote(_ quoted: String) -> String {
    var plain: [UInt8] = []
    var isEscaped = false
    for byte in quoted.utf8.dropFirst().dropLast() {
      if byte == .backslash && !isEscaped {
        isEscaped = true
      } else {
        plain.append(byte)
        isEscaped = false
      }
    }
    return String(decoding: plain, as: UTF8.self)
  }
}

extension UInt8 {
  /// Characters of a header parameter's name or value; IPv6 literals and more are met there.
  var isHeaderParameter: Bool {
    self >= 128 || self.isIn(0x87FF_EFFA_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)
  }
}
