package import NetBase

/// A bound socket of a media transport, or its part of one that many share: the transport's own, used on its executor.
package protocol DatagramPort: AnyObject {
  var localAddress: SocketAddress { get }
  /// Calls `handler` on the loop whenever there is something to receive.
  func attach(to context: LoopContext, _ handler: @escaping () -> Void)
  /// After this `handler` is not called again, and is released.
  func detach(from context: LoopContext)
  /// From now on the loop's batch tells when the kernel took each datagram in; where there is no kernel, nothing does.
  func stampArrivals(in context: LoopContext)
  /// Replaces what `batch` holds with what has arrived; never blocks.
  func fill(_ batch: PacketBatch)
  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult
  /// Whether others have the same socket: then this port gets what is its own by what it claims, and nothing else.
  var isShared: Bool { get }
  /// Tells a shared socket what is this port's, until the port is detached. A transport's ports for RTP and RTCP have
  /// their claims in common. What several claim goes to the one of which more is known, or to none.
  ///
  /// - Returns: false where the claim is another's, and nothing could tell whose a datagram is.
  @discardableResult
  func claim(_ claim: DatagramClaim) -> Bool
  /// Datagrams that `send` has taken and the kernel has not: of those that left later, together with others.
  var unsent: Int { get }
}

extension DatagramPort {
  package func stampArrivals(in context: LoopContext) {}
  package var isShared: Bool { false }
  @discardableResult
  package func claim(_ claim: DatagramClaim) -> Bool { true }
  package var unsent: Int { 0 }
}

/// What tells that a datagram on a shared socket is a port's.
package enum DatagramClaim: Hashable, Sendable {
  /// It comes from there.
  case source(SocketAddress)
  /// The same; and of whoever is there this port has the DTLS association, of which there can be one.
  case handshake(SocketAddress)
  /// It does not come from there any more.
  case formerSource(SocketAddress)
  /// What the peer sends comes another way: over a relay, or to a socket that is this transport's alone.
  case elsewhere
  /// It is a check that names this `ice-ufrag` of ours.
  case fragment(String)
  /// It is RTP or RTCP of this SSRC, as the peer's description says.
  case ssrc(UInt32)
}
