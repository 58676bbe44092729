/// A method name; case counts (RFC 3261 §7.1).
package struct SIPMethod: Hashable, Sendable, CustomStringConvertible {
  package let name: String

  package init(_ name: String) { self.name = name }

  package static let invite = SIPMethod("INVITE")
  package static let ack = SIPMethod("ACK")
  package static let bye = SIPMethod("BYE")
  package static let cancel = SIPMethod("CANCEL")
  package static let options = SIPMethod("OPTIONS")
  package static let update = SIPMethod("UPDATE")
  package static let register = SIPMethod("REGISTER")
  package static let prack = SIPMethod("PRACK")
  package static let info = SIPMethod("INFO")
  package static let message = SIPMethod("MESSAGE")
  package static let refer = SIPMethod("REFER")
  package static let subscribe = SIPMethod("SUBSCRIBE")
  package static let notify = SIPMethod("NOTIFY")

  package var description: String { self.name }
}

/// What carries the messages, as Via names it (RFC 3261 §20.42, RFC 7118 §5.2).
package enum SIPTransportKind: String, Hashable, Sendable {
  case udp = "UDP"
  case tcp = "TCP"
  case tls = "TLS"
  case ws = "WS"
  case wss = "WSS"

  /// A reliable transport needs no retransmission by the transactions.
  package var isReliable: Bool { self != .udp }

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
}
