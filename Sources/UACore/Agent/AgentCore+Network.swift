internal import ModuleKit
package import NetBase
internal import Runtime
internal import SIPStack

/// What a change of network did to the addresses that an agent may use (`net_interface`, `net_af`).
package struct NetworkChange: Hashable, Sendable {
  /// With port 0, sorted.
  package var gone: [SocketAddress]
  package var new: [SocketAddress]
}

extension AgentCore {
  /// Watches the network, where the agent's transports are real.
  func watchNetwork() {
    guard self.settings.sipTransports == nil else { return }
    var known = self.usable(InterfaceAddress.current())
    self.networkWatch = NetworkWatch(on: self.context) { [unowned self] addresses in
      let usable = self.usable(addresses)
      guard usable != known else { return }
      let change = NetworkChange(
        gone: known.subtracting(usable).sorted { "\($0)" < "\($1)" },
        new: usable.subtracting(known).sorted { "\($0)" < "\($1)" })
      known = usable
      self.networkChanged(change, addresses: addresses)
    }
  }

  private func usable(_ addresses: Set<InterfaceAddress>) -> Set<SocketAddress> {
    let configuration = self.settings.configuration
    return Set(
      addresses.filter { one in
        (configuration.netAf.map { $0 == one.address.family } ?? true)
          && (configuration.netInterface.map { $0 == one.interface || $0 == one.address.host } ?? true)
      }.map(\.address))
  }

  /// Ends the connections that left from an address that is gone, and says so.
  func networkChanged(_ change: NetworkChange, addresses: Set<InterfaceAddress>) {
    if !change.gone.isEmpty { self.transports.addressesChanged(Set(addresses.map(\.address.host))) }
    self.onNetworkChange?(change)
  }
}
