package import NetBase
package import Runtime

/// Opens the sockets of media transports; `udp` is the real one, tests bring a simulated network.
package protocol DatagramTransport: Sendable {
  /// Binds a socket; on main, before it moves to its transport's executor.
  ///
  /// - Parameter typeOfService: the IP TOS or traffic class byte.
  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort
}
