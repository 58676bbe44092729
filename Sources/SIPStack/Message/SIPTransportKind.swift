/// What carries the messages; the raw value is the token in Via (RFC 3261 §20.42, RFC 7118 §5.2).
package enum SIPTransportKind: String, Hashable, Sendable, CaseIterable {
  case udp = "UDP"
  case tcp = "TCP"
  case tls = "TLS"
  case ws = "WS"
  case wss = "WSS"

  /// A reliable transport needs no retransmission by the transactions, and its messages come in connections.
  package var isReliable: Bool { self != .udp }

  /// Whether TLS protects the hop, as a sips URI demands (RFC 3261 §26.2.2).
  package var isSecure: Bool { self == .tls || self == .wss }

  /// The transport's word in config files and module names, in lower case.
  package var name: String { self.rawValue.lowercased() }

  /// The transport of a word such as `tcp`; case does not count.
  package init?(name: some StringProtocol) { self.init(rawValue: name.uppercased()) }

  /// The port where a URI or Via names none.
  package var defaultPort: UInt16 {
    switch self {
    case .udp, .tcp: 5060
    case .tls: 5061
    case .ws: 80
    case .wss: 443
    }
  }

  /// The value of the `transport` parameter of a URI; nil for UDP, which is the default.
  package var uriParameter: String? {
    switch self {
    case .udp: nil
    case .tcp: "tcp"
    case .tls: "tls"
    case .ws, .wss: "ws"
    }
  }

  /// The service of a NAPTR record that leads to this transport (RFC 3263 §4.1, RFC 7118 §6).
  package var naptrService: String {
    switch self {
    case .udp: "SIP+D2U"
    case .tcp: "SIP+D2T"
    case .tls: "SIPS+D2T"
    case .ws: "SIP+D2W"
    case .wss: "SIPS+D2W"
    }
  }

  /// What stands before a domain in the name of its SRV records (RFC 3263 §4.1); WebSocket has no such name of its own.
  package var srvPrefix: String? {
    switch self {
    case .udp: "_sip._udp."
    case .tcp: "_sip._tcp."
    case .tls: "_sips._tcp."
    case .ws, .wss: nil
    }
  }
}
