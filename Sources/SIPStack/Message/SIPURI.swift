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
  package init(_ text: some StringProtocol) throws(SIPParseError) { try self.init(TextScanner(text)) }

  /// Parses all that `text` has left.
  init(_ text: TextScanner) throws(SIPParseError) {
    var scanner = text
    let name = scanner.skip(while: \.isSchemeCharacter)
    guard !name.isEmpty, scanner.take(.colon) else { throw .malformedURI }
    let start = scanner.position
    var at: Int?
    for index in start..<scanner.end {
      let byte = scanner.bytes[index]
      guard byte.isURICharacter else { throw .malformedURI }
      if byte == .at { at = index }
    }
    self.init(user: nil, host: "")
    self.scheme = Self.scheme(scanner.bytes[name])
    guard self.scheme == .sip || self.scheme == .sips else {
      self.opaque = scanner.text(start..<scanner.end)
      guard !self.opaque.isEmpty else { throw .malformedURI }
      return
    }
    if let at {
      let stop = scanner.bytes[start..<at].firstIndex(of: .colon) ?? at
      guard stop > start else { throw .malformedURI }
      self.user = scanner.text(start..<stop)
      if stop < at { self.password = scanner.text((stop + 1)..<at) }
      scanner.rewind(to: at + 1)
    }
    try self.readHostAndRest(&scanner)
  }

  private static func scheme(_ bytes: ArraySlice<UInt8>) -> Scheme {
    var word: UInt64 = 0
    for byte in bytes.prefix(8) { word = word << 8 | UInt64(byte.lowercased) }
    switch word {
    case 0x73_6970: return .sip
    case 0x7369_7073: return .sips
    case 0x74_656C: return .tel
    default: return .other(String(decoding: bytes.map(\.lowercased), as: UTF8.self))
    }
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

  /// Without its password: for people, logs and programs.
  package var shown: String {
    var uri = self
    uri.password = nil
    return uri.description
  }

  /// The same place by TLS on each hop (RFC 3261 §8.1.1.8), where `transport=tls` has nothing more to say (§26.2.2).
  package var secured: SIPURI {
    guard self.scheme == .sip else { return self }
    var uri = self
    uri.scheme = .sips
    if uri.parameters["transport"] == "tls" { uri.parameters["transport"] = nil }
    return uri
  }

  /// The user part with its escapes resolved.
  package var unescapedUser: String? { self.user.map(Self.unescape) }

  /// Whether the user part is `user`, whichever characters either has escaped (RFC 3261 §19.1.4).
  package func hasUser(_ user: String?) -> Bool { self.unescapedUser == user.map(Self.unescape) }

  /// Whether the host is `host`, in whatever case (RFC 3261 §19.1.4).
  package func hasHost(_ host: String) -> Bool { self.host.isSame(ignoringCaseOf: host) }

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

  /// `text` with its escapes resolved; what is none stays as it is.
  package static func unescape(_ text: String) -> String {
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
      // Letters, digits and `-._`.
      host = scanner.take(while: { $0.isIn(0x03FF_6000_0000_0000, 0x07FF_FFFE_87FF_FFFE) })
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
    self >= 128 || self.isIn(0x07FF_EFFA_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)
  }

  /// Letters, digits and `+-.` (RFC 3986 §3.1).
  var isSchemeCharacter: Bool { self.isIn(0x03FF_6800_0000_0000, 0x07FF_FFFE_07FF_FFFE) }

  /// All that is no white space, control character, quote or angle bracket.
  var isURICharacter: Bool { self >= 128 || self.isIn(0xAFFF_FFFA_0000_0000, 0x7FFF_FFFF_FFFF_FFFF) }
}
