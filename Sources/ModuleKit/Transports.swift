package import NetBase
package import Runtime

/// Opens the sockets of media transports; `udp` is the real one, tests bring a simulated network.
package protocol DatagramTransport: Sendable {
  /// Binds a socket; on main, before it moves to its transport's executor.
  ///
  /// - Parameter typeOfService: the IP TOS or traffic class byte.
  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort
}

/// Opens the listening sockets of SIP; used on main only.
package protocol SIPTransportProvider: Sendable {
  /// The word in Via and `transport=`, in lower case.
  var name: String { get }
  /// - Parameter receiver: told, on main, of what arrives.
  func open(
    _ address: SocketAddress, typeOfService: Int, on loop: LoopContext, receiver: any SIPTransportReceiver
  ) throws(ModuleError) -> any SIPTransport
}

/// An open SIP transport; lives on main.
package protocol SIPTransport: AnyObject {
  /// The address that it is bound to.
  var localAddress: SocketAddress { get }
  /// - Returns: nil, or why the kernel refused, in a few words.
  func send(_ bytes: [UInt8], to address: SocketAddress) -> String?
  func close()
}

/// Who is told of what arrives on a SIP transport.
package protocol SIPTransportReceiver: AnyObject {
  func received(_ bytes: RawSpan, from source: SocketAddress, on transport: any SIPTransport)
  /// The network reported, for example by ICMP, that nothing listens at `address`.
  func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport)
}
