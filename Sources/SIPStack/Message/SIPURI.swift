/// A URI of a SIP message: sip and sips are taken apart, tel and others are kept as they are (RFC 3261 §19.1).
package struct SIPURI: Hashable, Sendable, CustomStringConvertible {
  /// The schemes that this endpoint tells apart.
  package enum Scheme: Hashable, Sendable {
    case sip, sips, tel
    /// Any other, in lower case.
    case other(String)
  }

  package var scheme: Scheme
  /// The user part as written, escapes left in; nil when there is none.
  package var user: String?
  package var password: String?
  /// The host as written, IPv6 in brackets; empty unless the scheme is sip or sips.
  package var host: String
  package var port: UInt16?
  package var parameters: SIPParameters
  /// What follows `?`, as written; nil when there is none.
  package var headers: String?
  /// What follows the colon of a scheme other than sip and sips.
  package var opaque: String

  /// A sip URI of `host`, which has brackets when it is IPv6.
  package init(user: String?, host: String, port: UInt16? = nil) {
    (self.scheme, self.user, self.password, self.host, self.port) = (.sip, user, nil, host, port)
    (self.parameters, self.headers, self.opaque) = (SIPParameters(), nil, "")
  }

  /// Parses `sip:user:password@host:port;parameters?headers`, or keeps another scheme's URI.
  package init(_ text: some StringProtocol) throws(SIPParseError) {
    let bytes = Array(text.utf8)
    guard let colon = bytes.firstIndex(of: .colon), colon > 0,
      bytes[..<colon].allSatisfy({ $0.isAlphanumeric || $0 == 0x2B || $0 == 0x2D || $0 == 0x2E }),
      bytes.allSatisfy({ $0 > .space && $0 != 0x7F && $0 != .less && $0 != .greater && $0 != .quote })
    else { throw .malformedURI }
    let scheme = String(decoding: bytes[..<colon].map(\.lowercased), as: UTF8.self)
    self.init(user: nil, host: "")
    let rest = bytes[(colon + 1)...]
    switch scheme {
    case "sip": self.scheme = .sip
    case "sips": self.scheme = .sips
    default:
      self.scheme = scheme == "tel" ? .tel : .other(scheme)
      self.opaque = String(decoding: rest, as: UTF8.self)
      guard !rest.isEmpty else { throw .malformedURI }
      return
    }
    var scanner = TextScanner(Array(rest))
    if let at = rest.lastIndex(of: .at) {
      let information = rest[..<at]
      let end = information.firstIndex(of: .colon) ?? at
      guard end > rest.startIndex else { throw .malformedURI }
      self.user = String(decoding: rest[..<end], as: UTF8.self)
      if end < at { self.password = String(decoding: rest[(end + 1)..<at], as: UTF8.self) }
      scanner.rewind(to: at + 1 - rest.startIndex)
    }
    try self.readHostAndRest(&scanner)
  }

  private mutating func readHostAndRest(_ scanner: inout TextScanner) throws(SIPParseError) {
    guard let (host, port) = HostPort.read(&scanner) else { throw .malformedURI }
    (self.host, self.port) = (host, port)
    guard let parameters = SIPParameters(&scanner, accepts: { $0.isURIParameter }) else { throw .malformedURI }
    self.parameters = parameters
    if scanner.take(.question) { self.headers = scanner.rest() }
    guard scanner.isAtEnd else { throw .malformedURI }
  }

  package var description: String {
    let name =
      switch self.scheme {
      case .sip: "sip"
      case .sips: "sips"
      case .tel: "tel"
      case .other(let name): name
      }
    switch self.scheme {
    case .tel, .other: return "\(name):\(self.opaque)"
    case .sip, .sips: break
    }
    var text = name + ":"
    if let user = self.user {
      text += user
      if let password = self.password { text += ":" + password }
      text += "@"
    }
    text += self.host
    if let port = self.port { text += ":\(port)" }
    text += self.parameters.description
    if let headers = self.headers { text += "?" + headers }
    return text
  }

  /// The user part with its escapes resolved.
  package var unescapedUser: String? { self.user.map(Self.unescape) }

  /// `text` with everything escaped that a user part may not hold as it is (RFC 3261 §25.1).
  package static func escape(user text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    let plain = Set("-_.!~*'()&=+$,;?/".utf8)
    return String(
      decoding: text.utf8.flatMap { byte in
        byte.isAlphanumeric || plain.contains(byte)
          ? [byte] : [.percent, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }, as: UTF8.self)
  }

  /// `text` with everything escaped that the value of a URI's header may not hold as it is (RFC 3261 §25.1).
  static func escape(header text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    let plain = Set("-_.!~*'()[]/?:+$".utf8)
    return String(
      decoding: text.utf8.flatMap { byte in
        byte.isAlphanumeric || plain.contains(byte)
          ? [byte] : [.percent, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }, as: UTF8.self)
  }

  /// The value of one of the header fields that the URI asks for, unescaped.
  package func header(_ name: String) -> String? {
    for pair in (self.headers ?? "").split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1)
      if parts.count == 2, Self.unescape(String(parts[0])).isSame(ignoringCaseOf: name) {
        return Self.unescape(String(parts[1]))
      }
    }
    return nil
  }

  static func unescape(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var plain: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == .percent, index + 2 < bytes.count, let high = bytes[index + 1].hexadecimalValue,
        let low = bytes[index + 2].hexadecimalValue
      {
        plain.append(high << 4 | low)
        index += 3
      } else {
        plain.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: plain, as: UTF8.self)
  }

  /// Whether both name the same resource (RFC 3261 §19.1.4).
  package func isEquivalent(to other: SIPURI) -> Bool {
    guard self.scheme == other.scheme, self.opaque == other.opaque, self.unescapedUser == other.unescapedUser,
      self.password.map(Self.unescape) == other.password.map(Self.unescape),
      self.host.isSame(ignoringCaseOf: other.host), self.port == other.port,
      (self.headers ?? "").isSame(ignoringCaseOf: other.headers ?? "")
    else { return false }
    for name in Set((self.parameters.names + other.parameters.names).map { $0.lowercased() }) {
      let (left, right) = (self.parameters.contains(name), other.parameters.contains(name))
      let mustMatch = ["user", "ttl", "method", "maddr", "transport"].contains(name)
      if left && right || mustMatch {
        guard left == right,
          (self.parameters[name] ?? "").isSame(ignoringCaseOf: other.parameters[name] ?? "")
        else { return false }
      }
    }
    return true
  }
}

/// `host[:port]`, as URIs and Via have it.
enum HostPort {
  static func read(_ scanner: inout TextScanner, spaced: Bool = false) -> (host: String, port: UInt16?)? {
    var host: String
    if scanner.take(UInt8(ascii: "[")) {
      host = "[" + scanner.take(while: { $0.hexadecimalValue != nil || $0 == .colon || $0 == UInt8(ascii: ".") }) + "]"
      guard scanner.take(UInt8(ascii: "]")), host.utf8.count > 3 else { return nil }
    } else {
      host = scanner.take(while: {
        $0.isAlphanumeric || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
      })
      guard !host.isEmpty else { return nil }
    }
    let end = scanner.position
    if spaced { scanner.skipWhitespace() }
    guard scanner.take(.colon) else {
      scanner.rewind(to: end)
      return (host, nil)
    }
    if spaced { scanner.skipWhitespace() }
    guard let port = scanner.take(while: \.isDigit).decimal(upTo: 65_535) else { return nil }
    return (host, UInt16(port))
  }
}

extension UInt8 {
  /// Characters of a URI parameter's name or value; broader than the grammar, which peers do not keep.
  var isURIParameter: Bool {
    self > .space && self != 0x7F && self != .semicolon && self != .equals && self != .question && self != .quote
      && self != .less && self != .greater && self != .comma
  }
}
