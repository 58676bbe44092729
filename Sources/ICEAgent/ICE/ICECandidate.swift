package import NetBase

/// A transport address that may lead to an agent (RFC 8445 §5.1).
package struct ICECandidate: Hashable, Sendable {
  package enum Kind: String, Sendable {
    case host
    case serverReflexive = "srflx"
    case peerReflexive = "prflx"
    case relayed = "relay"

    /// RFC 8445 §5.1.2.2.
    var preference: UInt32 {
      switch self {
      case .host: 126
      case .peerReflexive: 110
      case .serverReflexive: 100
      case .relayed: 0
      }
    }
  }

  package var foundation: String
  /// 1 for RTP, 2 for RTCP.
  package var component: Int
  package var priority: UInt32
  package var address: SocketAddress
  package var kind: Kind
  /// The base of a reflexive candidate; what a host would rather not tell is `0.0.0.0`.
  package var related: SocketAddress?

  package init(
    foundation: String, component: Int, priority: UInt32, address: SocketAddress, kind: Kind,
    related: SocketAddress? = nil
  ) {
    (self.foundation, self.component, self.priority) = (foundation, component, priority)
    (self.address, self.kind, self.related) = (address, kind, related)
  }

  /// RFC 8445 §5.1.2.1.
  static func priority(_ kind: Kind, localPreference: UInt16, component: Int) -> UInt32 {
    kind.preference << 24 | UInt32(localPreference) << 8 | UInt32(256 - component)
  }
}

/// Why a candidate line is not used; the others are.
package enum ICECandidateError: Error, Hashable, Sendable {
  case malformed
  /// Only UDP is spoken: ICE-TCP (RFC 6544) is not.
  case transport(String)
  /// A name instead of an address, as browsers write for a host that wants to stay unknown (mDNS).
  case name(String)
  /// A type of candidate that is not known.
  case kind(String)
}

// `a=candidate` (RFC 8839 §5.1).
extension ICECandidate {
  /// Parses the value of a candidate attribute, all that follows `candidate:`.
  package init(parsing line: some StringProtocol) throws(ICECandidateError) {
    let words = String(line).split(separator: " ", maxSplits: 64, omittingEmptySubsequences: true).map(String.init)
    guard words.count >= 8, words[6] == "typ", (1...32).contains(words[0].utf8.count),
      words[0].utf8.allSatisfy(Self.isICECharacter), let component = Self.number(words[1], in: 1...256),
      let priority = Self.number(words[3], in: 1...Int(Int32.max)), let port = Self.number(words[5], in: 0...65535)
    else { throw .malformed }
    guard words[2].lowercased() == "udp" else { throw .transport(words[2]) }
    guard let kind = Kind(rawValue: words[7].lowercased()) else { throw .kind(words[7]) }
    guard let address = Self.address(words[4], UInt16(port)) else { throw .name(words[4]) }
    self.init(
      foundation: words[0], component: component, priority: UInt32(priority), address: address, kind: kind)
    var extensions: [String: String] = [:]
    for index in stride(from: 8, to: words.count - 1, by: 2) { extensions[words[index]] = words[index + 1] }
    if let host = extensions["raddr"], let port = extensions["rport"].flatMap({ Self.number($0, in: 0...65535) }) {
      self.related = Self.address(host, UInt16(port))
    }
  }

  /// The value of its attribute.
  package var attributeValue: String {
    let address = "\(self.address.unscoped.host) \(self.address.port)"
    let value = "\(self.foundation) \(self.component) UDP \(self.priority) \(address) typ \(self.kind.rawValue)"
    guard let related else { return value }
    return "\(value) raddr \(related.unscoped.host) rport \(related.port)"
  }

  /// A letter, a digit, `+` or `/`.
  package static func isICECharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x2B, 0x2F, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: false
    }
  }

  private static func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
    guard text.utf8.count <= 10, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
      range.contains(number)
    else { return nil }
    return number
  }

  /// A scope of another host's means nothing here.
  private static func address(_ text: String, _ port: UInt16) -> SocketAddress? {
    guard !text.contains("%"), !text.contains("[") else { return nil }
    return SocketAddress(host: text, port: port)
  }
}
