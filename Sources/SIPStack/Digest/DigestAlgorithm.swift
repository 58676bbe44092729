/// The hash of a digest (RFC 7616 §3.2, RFC 8760 §2), weakest first.
package enum DigestAlgorithm: String, Hashable, Sendable, CaseIterable, Comparable {
  case md5 = "MD5"
  case sha256 = "SHA-256"
  /// SHA-512 with its own initial values, cut to 256 bits (FIPS 180-4 §5.3.6.2).
  case sha512Truncated256 = "SHA-512-256"

  package static func < (left: DigestAlgorithm, right: DigestAlgorithm) -> Bool { left.strength < right.strength }

  private var strength: Int {
    switch self {
    case .md5: 0
    case .sha256: 1
    case .sha512Truncated256: 2
    }
  }
}

/// Computes a hash; this layer has no cryptographic library of its own.
package typealias DigestFunction = @Sendable (DigestAlgorithm, RawSpan) -> [UInt8]

/// The directives of a `WWW-Authenticate`, `Authorization` or `Authentication-Info` value, unquoted.
struct AuthenticationParameters: Hashable, Sendable {
  let scheme: String
  private var items: [(name: String, value: String)] = []

  /// - Parameter hasScheme: false for Authentication-Info, which is a list and nothing else.
  init?(_ text: String, hasScheme: Bool = true) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    self.scheme = hasScheme ? scanner.take(while: \.isToken) : ""
    guard !hasScheme || !self.scheme.isEmpty else { return nil }
    while true {
      scanner.skipWhitespace()
      if scanner.take(.comma) { continue }
      guard !scanner.isAtEnd else { return }
      let name = scanner.take(while: \.isToken)
      scanner.skipWhitespace()
      guard !name.isEmpty, scanner.take(.equals) else { return nil }
      scanner.skipWhitespace()
      if scanner.peek == .quote {
        guard let quoted = scanner.quoted() else { return nil }
        self.items.append((name, NameAddress.unquote(quoted)))
      } else {
        self.items.append((name, scanner.take(while: { $0 != .comma && $0 != .space && $0 != .tab })))
      }
      scanner.skipWhitespace()
      guard scanner.isAtEnd || scanner.peek == .comma else { return nil }
    }
  }

  subscript(name: String) -> String? { self.items.first { $0.name.isSame(ignoringCaseOf: name) }?.value }

  static func == (left: Self, right: Self) -> Bool {
    left.scheme == right.scheme && left.items.elementsEqual(right.items, by: ==)
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(self.scheme)
    for item in self.items { hasher.combine(item.value) }
  }
}

/// `text` as a quoted string (RFC 3261 §25.1).
func quotedString(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    if scalar == "\"" || scalar == "\\" { quoted += "\\" }
    quoted.unicodeScalars.append(scalar)
  }
  return quoted + "\""
}
