package import NetBase

extension ModuleError {
  /// Why a module can't listen at an address that no interface has.
  ///
  /// - Parameter keys: what names the address.
  package static func foreignAddress(_ address: SocketAddress, module: String, keys: String) -> ModuleError {
    ModuleError(
      .unavailable,
      "module \(module): cannot listen on \(address): it is no address of this machine; choose another \(keys)")
  }
}
