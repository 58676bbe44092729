package import NetBase
package import Runtime

/// Opens the sockets of media transports; `udp` is the real one, tests bring a simulated network.
package protocol DatagramTransport: Sendable {
  /// Binds a socket; on main, before it moves to its transport's executor.
  ///
  /// - Parameter typeOfService: the IP TOS or traffic class byte.
  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort
  /// Binds a pair of sockets that all transports of `loop` are to share, at `address` and at the next port; on main.
  /// Nil where there is no such thing.
  func openShared(
    _ address: SocketAddress, typeOfService: Int, on loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)?
}

extension DatagramTransport {
  package func openShared(
    _ address: SocketAddress, typeOfService: Int, on loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)? { nil }
}

/// What main holds of a pair of sockets that the transports of one loop share; they are open for as long as it, or a
/// port, is held.
package protocol SharedDatagrams: AnyObject, Sendable {
  /// Where RTP is received; RTCP at the next port.
  var address: SocketAddress { get }
  /// Datagrams that came for none of the ports.
  var unclaimed: Int { get }
  /// One of the two ports of one more transport, to be used on the pair's loop.
  ///
  /// - Parameter number: the same for both ports of a transport, and for no other transport's.
  func makePort(_ number: UInt64, for component: Component) -> sending any DatagramPort
}
