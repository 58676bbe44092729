package import NetBase

/// SIP messages as a ladder: a rung says which way, the message follows, secrets left out.
package enum SIPTrace {
  package enum Direction: Sendable { case sent, received }

  /// `    1.234 s  10.0.0.1:5060 --- INVITE sip:bob@10.0.0.2 --> 10.0.0.2:5060`, and the message.
  package static func text(
    _ direction: Direction, _ bytes: [UInt8], local: SocketAddress, peer: SocketAddress, at now: Instant
  ) -> String {
    let message = SIPRedaction.redacted(String(decoding: bytes, as: UTF8.self))
    let first = message.prefix { !$0.isNewline }
    // Of a request its method and target, of a response its status and phrase.
    let title =
      first.hasPrefix("SIP/2.0 ")
      ? String(first.dropFirst(8)) : first.split(separator: " ").prefix(2).joined(separator: " ")
    let rung =
      switch direction {
      case .sent: "\(local) --- \(title) --> \(peer)"
      case .received: "\(local) <-- \(title) --- \(peer)"
      }
    let milliseconds = now.nanoseconds / 1_000_000
    let fraction = String(milliseconds % 1000)
    let seconds = "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    return "\(String(repeating: " ", count: max(0, 9 - seconds.count)))\(seconds) s  \(rung)\n\(message)"
  }
}
