package import NetBase

/// Packets that came before their key: at most 32, for at most 500 ms.
package struct ParkedPackets: ~Copyable {
  package init() {}

  /// Keeps a copy.
  package mutating func park(_ packet: borrowing Packet, from source: SocketAddress, now: Instant) {}

  /// Hands every packet that is not too old to `body`, oldest first, and forgets them all.
  package mutating func drain(now: Instant, body: (inout Packet, SocketAddress) -> Void) {}

  package var count: Int { 0 }
}
