package import ICEAgent

/// A server of an account's `stunserver`: `stun:host[:port]` or `turn:host[:port]` (RFC 7064, RFC 7065), where
/// `user:password@` may stand before the host.
package struct STUNServerURI: Hashable, Sendable, CustomStringConvertible {
  package let kind: ICEServer.Kind
  package let host: String
  package let port: UInt16
  package var user: String?
  package var password: Password?

  /// Why a text is none: a sentence that repeats nothing of it, for it may hold a password.
  package struct Refusal: Error { package let message: String }

  package init(_ text: some StringProtocol) throws(Refusal) {
    let form = "it takes stun:host[:port] or turn:host[:port], several with commas"
    guard let colon = text.firstIndex(of: ":") else { throw Refusal(message: form) }
    switch text[..<colon].lowercased() {
    case "stun": self.kind = .stun
    case "turn": self.kind = .turn
    case "stuns", "turns":
      throw Refusal(message: "servers over TLS are not asked: write turn:host for UDP")
    default: throw Refusal(message: form)
    }
    var rest = text[text.index(after: colon)...]
    if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
    if let question = rest.firstIndex(of: "?") {
      guard rest[rest.index(after: question)...].lowercased() == "transport=udp" else {
        throw Refusal(message: "servers are asked over UDP only: leave ?transport= out")
      }
      rest = rest[..<question]
    }
    // The last one: a user's name may be an address.
    if let at = rest.lastIndex(of: "@") {
      let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      self.user = String(parts[0])
      self.password = parts.count > 1 ? Password(String(parts[1])) : nil
      rest = rest[rest.index(after: at)...]
    }
    let afterBracket = rest.lastIndex(of: "]") ?? rest.startIndex
    if let separator = rest[afterBracket...].lastIndex(of: ":") {
      guard let port = UInt16(rest[rest.index(after: separator)...]), port != 0 else {
        throw Refusal(message: "the port is a number from 1 to 65535")
      }
      self.port = port
      rest = rest[..<separator]
    } else {
      self.port = 3478
    }
    if rest.hasPrefix("["), rest.hasSuffix("]") { rest = rest.dropFirst().dropLast() }
    let isHost = rest.utf8.allSatisfy { byte in
      switch byte {
      case 0x2D, 0x2E, 0x30...0x3A, 0x41...0x5A, 0x5F, 0x61...0x7A: true
      default: false
      }
    }
    guard !rest.isEmpty, isHost else { throw Refusal(message: form) }
    self.host = String(rest)
  }

  package var description: String {
    "\(self.kind.rawValue):\(self.host.contains(":") ? "[\(self.host)]" : self.host):\(self.port)"
  }
}
