internal import NIOCore
internal import NetBase

extension NetBase.SocketAddress {
  /// Nil for addresses that are not of the Internet.
  init?(_ address: NIOCore.SocketAddress) {
    guard let host = address.ipAddress, let port = address.port else { return nil }
    let zone = host.firstIndex(of: "%") ?? host.endIndex
    self.init(host: host[..<zone], port: UInt16(clamping: port))
    // A sockaddr_in6 has its scope after family, port, flow and address.
    if case .v6 = address {
      self.scope = unsafe address.withSockAddr { pointer, _ in
        unsafe UnsafeRawPointer(pointer).loadUnaligned(fromByteOffset: 24, as: UInt32.self)
      }
    }
  }

  /// As NIO has it.
  var nio: NIOCore.SocketAddress? {
    // Only the resolver takes a zone; it asks nobody about a numeric address.
    guard self.scope == 0 else {
      return try? NIOCore.SocketAddress.makeAddressResolvingHost(self.host, port: Int(self.port))
    }
    return try? NIOCore.SocketAddress(ipAddress: self.host, port: Int(self.port))
  }
}
