internal import CLinux
internal import Glibc
package import NetBase

/// What the kernel said, with the address that it said it of.
package struct SocketError: Error, Equatable, CustomStringConvertible {
  package let code: Int32
  package let address: SocketAddress

  package init(code: Int32, address: SocketAddress) {
    self.code = code
    self.address = address
  }

  package var description: String {
    "\(self.address): \(unsafe String(cString: strerror(self.code)).lowercased())"
  }

  package var isAddressInUse: Bool { self.code == EADDRINUSE }
  /// Whether no interface of this machine has the address.
  package var isAddressForeign: Bool { self.code == EADDRNOTAVAIL }

  /// Whether any other address would fare the same: the process or the system can't have more sockets.
  package var isOutOfResources: Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(self.code) }
}

/// What became of a datagram.
package enum SendResult: Equatable, Sendable {
  case sent
  /// The socket's buffer is full; nothing was sent.
  case wouldBlock
  case failed(Int32)

  /// - Parameter code: -errno.
  init(code: Int) {
    self = code == -Int(EAGAIN) || code == -Int(ENOBUFS) ? .wouldBlock : .failed(Int32(truncatingIfNeeded: -code))
  }
}

/// A bound UDP socket; closed with its owner.
package struct UDPSocket: ~Copyable, Sendable {
  package let descriptor: Int32
  package let localAddress: SocketAddress
  private let reportsErrors: Bool

  /// - Parameters:
  ///   - typeOfService: the IP TOS or traffic class byte.
  ///   - buffer: bytes the kernel may keep of what comes, and of what leaves; 0 for its defaults.
  ///   - reportsErrors: whether ICMP errors are queued for `nextError`.
  package init(
    _ address: SocketAddress, typeOfService: Int = 0, buffer: Int = 0, reportsErrors: Bool = false
  ) throws(SocketError) {
    let descriptor = clinux_udp_open(address.clinux, Int32(typeOfService), Int32(buffer), reportsErrors)
    guard descriptor >= 0 else { throw SocketError(code: -descriptor, address: address) }
    self.descriptor = descriptor
    self.reportsErrors = reportsErrors
    self.localAddress = SocketAddress(clinux_local_address(self.descriptor))
  }

  deinit { close(self.descriptor) }

  /// Has the kernel note from now on when each datagram comes, for `PacketBatch.arrival`.
  package func stampArrivals() { clinux_stamp_arrivals(self.descriptor) }

  package func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    let result = self.trySending(bytes, to: address)
    // Of a socket that reports errors the kernel tells the next sender, whomever he writes to, of the ICMP error of an earlier
    // datagram, and sends nothing; told once, the error is gone. Whose it was, `nextError` says.
    guard case .failed = result, self.reportsErrors else { return result }
    return self.trySending(bytes, to: address)
  }

  private func trySending(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    let sent = unsafe bytes.withUnsafeBytes { buffer in
      unsafe clinux_send(self.descriptor, buffer.baseAddress, buffer.count, address.clinux)
    }
    return sent == bytes.byteCount ? .sent : SendResult(code: sent)
  }

  /// The next queued ICMP error, with the address that the datagram had been sent to.
  package func nextError() -> SocketError? {
    var address = clinux_address()
    let code = unsafe clinux_next_error(self.descriptor, &address)
    return code == 0 ? nil : SocketError(code: code, address: SocketAddress(address))
  }
}

/// The local address from which the kernel would reach `destination`; nil without a route.
///
/// - Parameter interface: the name of the one whose address it has to be; nil for any. This host's own are reached anyway.
package func routeSource(to destination: SocketAddress, by interface: String? = nil) -> SocketAddress? {
  if let interface, !destination.isLoopback {
    let isLinkLocal = destination.host.hasPrefix("fe80:")
    let addresses = (InterfaceAddress.current() ?? []).filter { one in
      one.interface == interface && one.address.family == destination.family
        && one.address.host.hasPrefix("fe80:") == isLinkLocal
    }
    return addresses.map(\.address).min { $0.description < $1.description }
  }
  var source = clinux_address()
  guard unsafe clinux_route_source(destination.clinux, &source) else { return nil }
  return SocketAddress(source).with(port: 0)
}

extension SocketAddress {
  init(_ address: clinux_address) {
    if address.is_ipv6 {
      self.init(ipv6: address.high, address.low, port: address.port, scope: address.scope)
    } else {
      self.init(ipv4: UInt32(truncatingIfNeeded: address.high >> 32), port: address.port)
    }
  }

  var clinux: clinux_address {
    clinux_address(
      high: self.high, low: self.low, scope: self.scope, port: self.port, is_ipv6: self.family == .ipv6)
  }
}
