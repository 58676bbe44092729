/// The URI of an account or contact, split as far as a config needs it (RFC 3261 §19.1).
package struct AddressOfRecord: Hashable, Sendable, CustomStringConvertible {
  /// `sip` or `sips`.
  package let scheme: String
  /// Nil when the URI has none.
  package let user: String?
  /// A name, an IPv4 address, or an IPv6 address in brackets.
  package let host: String
  package let port: UInt16?
  /// `;name=value` of the URI, in order.
  package let parameters: [String]

  /// The value of `;transport=`, in lower case.
  package var transport: String? {
    self.parameters.first { $0.lowercased().hasPrefix("transport=") }?.dropFirst(10).lowercased()
  }

  /// `sip:user@host:port`, without parameters and never with a password.
  package var aor: String {
    "\(self.scheme):\(self.user.map { "\($0)@" } ?? "")\(self.host)\(self.port.map { ":\($0)" } ?? "")"
  }

  /// The whole URI, without a password.
  package var description: String { ([self.aor] + self.parameters).joined(separator: ";") }

  /// Nil when `text` is no SIP URI; `hadPassword` tells of a `user:password@` that was left out.
  init?(_ text: String, hadPassword: inout Bool) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    self.scheme = text[..<colon].lowercased()
    guard self.scheme == "sip" || self.scheme == "sips" else { return nil }
    var rest = text[text.index(after: colon)...]
    if let question = rest.firstIndex(of: "?") { rest = rest[..<question] }
    if let at = rest.lastIndex(of: "@") {
      var user = rest[..<at]
      if let password = user.firstIndex(of: ":") {
        hadPassword = true
        user = user[..<password]
      }
      guard !user.isEmpty, user.allSatisfy(Self.isPlain) else { return nil }
      self.user = String(user)
      rest = rest[rest.index(after: at)...]
    } else {
      self.user = nil
    }
    var parts = rest.split(separator: ";", omittingEmptySubsequences: false)
    let hostPort = parts.removeFirst()
    self.parameters = parts.filter { !$0.isEmpty }.map(String.init)
    let bracket = hostPort.lastIndex(of: "]") ?? hostPort.startIndex
    if let portColon = hostPort[bracket...].lastIndex(of: ":") {
      guard let port = UInt16(hostPort[hostPort.index(after: portColon)...]) else { return nil }
      self.port = port
      self.host = String(hostPort[..<portColon])
    } else {
      self.port = nil
      self.host = String(hostPort)
    }
    guard Self.isHost(self.host) else { return nil }
  }

  private static func isPlain(_ character: Character) -> Bool {
    guard let byte = character.asciiValue else { return true }
    return byte > 0x20 && byte != 0x7F && character != "<" && character != ">" && character != "\""
  }

  private static func isHost(_ host: String) -> Bool {
    if host.hasPrefix("[") {
      return host.hasSuffix("]") && host.dropFirst().dropLast().contains(":")
    }
    return !host.isEmpty
      && host.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
          UInt8(ascii: "*"):
          true
        default: false
        }
      }
  }
}
