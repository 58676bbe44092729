internal import NetBase

/// Where an HTTP resource is (RFC 9110 §4.2), without user and fragment.
package struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
  package let isSecure: Bool
  /// A name or an address, an IPv6 one without its brackets.
  package let host: String
  package let port: UInt16
  /// Path and query, as a request's first line has them.
  package let target: String

  /// Nil for what is no absolute URL of http or https, and for one with a user or a password in it.
  package init?(_ text: String) {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let colon = text.firstIndex(of: ":") else { return nil }
    let isSecure: Bool
    switch text[..<colon].lowercased() {
    case "http": isSecure = false
    case "https": isSecure = true
    default: return nil
    }
    let rest = text[text.index(after: colon)...].prefix { $0 != "#" }
    guard rest.hasPrefix("//") else { return nil }
    let authority = rest.dropFirst(2).prefix { $0 != "/" && $0 != "?" }
    let path = rest.dropFirst(2 + authority.count)
    guard let (host, port) = Self.split(authority, standard: isSecure ? 443 : 80) else { return nil }
    (self.isSecure, self.host, self.port) = (isSecure, host, port)
    self.target = path.hasPrefix("/") ? String(path) : "/\(path)"
  }

  private init(of base: HTTPURL, target: String) {
    (self.isSecure, self.host, self.port, self.target) = (base.isSecure, base.host, base.port, target)
  }

  private static func split(_ authority: Substring, standard: UInt16) -> (host: String, port: UInt16)? {
    let isBracketed = authority.hasPrefix("[")
    let host = authority.prefix { $0 != (isBracketed ? "]" : ":") }
    guard !isBracketed || authority.contains("]") else { return nil }
    let after = authority.dropFirst(host.count + (isBracketed ? 1 : 0))
    let name = isBracketed ? host.dropFirst() : host
    guard !name.isEmpty, !name.contains("@"), !after.contains("@") else { return nil }
    if isBracketed, SocketAddress(host: name, port: 0) == nil { return nil }
    if after.isEmpty || after == ":" { return (String(name), standard) }
    guard after.hasPrefix(":"), !after.hasPrefix(":+"), let port = UInt16(after.dropFirst()), port > 0 else {
      return nil
    }
    return (String(name), port)
  }

  /// What a reference means here (RFC 3986 §5.2); nil for another scheme, or none at all.
  package func resolving(_ reference: String) -> HTTPURL? {
    guard !reference.isEmpty, reference.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
    let scheme = reference.prefix { $0.isLetter || $0.isNumber || "+-.".contains($0) }
    if !scheme.isEmpty, reference.dropFirst(scheme.count).hasPrefix(":") { return HTTPURL(reference) }
    if reference.hasPrefix("//") { return HTTPURL("\(self.isSecure ? "https" : "http"):\(reference)") }
    let wanted = reference.prefix { $0 != "#" }
    if wanted.isEmpty { return self }
    let path = self.target.prefix { $0 != "?" }
    if wanted.hasPrefix("?") { return HTTPURL(of: self, target: "\(path)\(wanted)") }
    let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
    return HTTPURL(of: self, target: Self.withoutDots(wanted.hasPrefix("/") ? String(wanted) : "\(folder)\(wanted)"))
  }

  /// RFC 3986 §5.2.4.
  private static func withoutDots(_ target: String) -> String {
    let path = target.prefix { $0 != "?" }
    var kept: [Substring] = []
    let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    for (index, segment) in segments.enumerated() {
      let isLast = index == segments.count - 1
      switch segment {
      case ".": if isLast { kept.append("") }
      case "..":
        _ = kept.popLast()
        if isLast { kept.append("") }
      default: kept.append(segment)
      }
    }
    return "/\(kept.joined(separator: "/"))\(target.dropFirst(path.count))"
  }

  /// Whether both are one server's (RFC 6454 §4).
  package func hasOrigin(of other: HTTPURL) -> Bool {
    self.isSecure == other.isSecure && self.host.lowercased() == other.host.lowercased() && self.port == other.port
  }

  /// As HTTP's Host has it.
  package var authority: String {
    let host = self.host.contains(":") ? "[\(self.host)]" : self.host
    return self.port == (self.isSecure ? 443 : 80) ? host : "\(host):\(self.port)"
  }

  /// Without the query, which may have a secret in it.
  package var description: String {
    "\(self.isSecure ? "https" : "http")://\(self.authority)\(self.target.prefix { $0 != "?" })"
  }
}
