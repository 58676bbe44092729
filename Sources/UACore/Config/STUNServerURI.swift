package import ICEAgent
internal import SIPStack

/// A server of an account's `stunserver`: `stun:host[:port]`, `turn:host[:port]`, `turn:host[:port]?transport=tcp` or
/// `turns:host[:port]` (RFC 7064, RFC 7065), where `user:password@` may stand before the host; what either has of `:`, `@`,
/// `?` or `%` is escaped there, as `%3A` (RFC 3986 §3.2.1).
package struct STUNServerURI: Hashable, Sendable, CustomStringConvertible {
  package let kind: ICEServer.Kind
  package let transport: ICEServer.Transport
  package let host: String
  package let port: UInt16
  package var user: String?
  package var password: Password?

  /// Why a text is none: a sentence that repeats nothing of it, for it may hold a password.
  package struct Refusal: Error { package let message: String }

  package init(_ text: some StringProtocol) throws(Refusal) {
    let form =
      "it takes stun:host[:port], turn:host[:port], turn:host[:port]?transport=tcp or turns:host[:port], several with commas"
    guard let colon = text.firstIndex(of: ":") else { throw Refusal(message: form) }
    let isSecure: Bool
    switch text[..<colon].lowercased() {
    case "stun": (self.kind, isSecure) = (.stun, false)
    case "turn": (self.kind, isSecure) = (.turn, false)
    case "turns": (self.kind, isSecure) = (.turn, true)
    case "stuns":
      throw Refusal(message: "what a server sees of a connection is of no use for media: write stun:host")
    default: throw Refusal(message: form)
    }
    var rest = text[text.index(after: colon)...]
    if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
    let question = rest.firstIndex(of: "?")
    switch (question.map { rest[$0...].lowercased() }, self.kind, isSecure) {
    case (nil, _, false), ("?transport=udp", _, false): self.transport = .udp
    case ("?transport=tcp", .turn, false): self.transport = .tcp
    case (nil, _, true), ("?transport=tcp", _, true): self.transport = .tls
    case ("?transport=udp", _, true): throw Refusal(message: "TLS is over TCP only: leave ?transport=udp out")
    case ("?transport=tcp", .stun, _):
      throw Refusal(message: "what a server sees of a connection is of no use for media: leave ?transport=tcp out")
    default: throw Refusal(message: "?transport= is udp or tcp")
    }
    if let question { rest = rest[..<question] }
    // The last one: a user's name may be an address.
    if let at = rest.lastIndex(of: "@") {
      let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      self.user = SIPURI.unescape(String(parts[0]))
      self.password = parts.count > 1 ? Password(SIPURI.unescape(String(parts[1]))) : nil
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
      self.port = isSecure ? 5349 : 3478
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

  /// Whether it is asked from media's own socket for a relay, of which a socket can have one: an allocation is known
  /// by the addresses of both ends (RFC 8656 §7.2).
  var relaysSocket: Bool { self.kind == .turn && self.transport == .udp }

  package var description: String {
    let place = "\(self.host.contains(":") ? "[\(self.host)]" : self.host):\(self.port)"
    return switch self.transport {
    case .udp: "\(self.kind.rawValue):\(place)"
    case .tcp: "\(self.kind.rawValue):\(place)?transport=tcp"
    case .tls: "\(self.kind.rawValue)s:\(place)"
    }
  }
}
