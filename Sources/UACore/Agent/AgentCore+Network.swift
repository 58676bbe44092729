internal import ModuleKit
package import NetBase
internal import Runtime
internal import SDPCodec
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
    var known = self.usable(InterfaceAddress.current() ?? [])
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
    return Set(addresses.filter { configuration.allows($0) }.map(\.address))
  }

  /// Ends the connections that left from an address that is gone, forgets the sockets that calls share there, registers
  /// anew, and takes along the calls.
  func networkChanged(_ change: NetworkChange, addresses: Set<InterfaceAddress>) {
    let hosts = Set(addresses.map(\.address.host))
    self.hostAddresses = hosts
    if !change.gone.isEmpty { self.transports.addressesChanged(hosts) }
    self.environment.forget(change.gone)
    self.onNetworkChange?(change)
    for call in self.sortedCalls {
      // One without SIP is moved by whoever carries its descriptions.
      guard case .none = call.move, call.session != nil, let media = call.media,
        media.addressesInUse.contains(where: { !$0.isLoopback && !hosts.contains($0.host) })
      else { continue }
      call.move = .needed(refusals: 0)
    }
    self.moveCalls()
  }

  /// Offers an address that we have to the peers of calls whose address is gone; what can't be offered now is, later.
  private func moveCalls() {
    var isLeft = false
    for call in self.sortedCalls {
      if case .offered = call.move { isLeft = true }
      guard case .needed(let refusals) = call.move, call.state != .ended else { continue }
      guard refusals < Self.maximumMoves else {
        call.move = .none
        self.emit(.warning(call.id, "the peer does not follow us to another address"))
        continue
      }
      if self.move(call) { call.move = .offered(refusals: refusals) }
      isLeft = true
    }
    guard isLeft, !self.movesLater else { return }
    self.movesLater = true
    self.context.schedule(at: self.context.now.advanced(by: .seconds(1))) { [weak self] in
      guard let self else { return }
      self.movesLater = false
      self.moveCalls()
    }
  }

  /// How often a peer is asked to follow.
  private static let maximumMoves = 5

  /// - Returns: whether an offer is on its way.
  private func move(_ call: Call) -> Bool {
    guard call.state == .established, let session = call.session, let media = call.media, !media.awaitsAnswer,
      let path = self.endpoint.path(of: session)
    else { return false }
    let account = self.account(call.settings.identity)
    // Who keeps our connection must have the new one first, or the peer's answer would get lost (RFC 5626 §4.3).
    if account?.registration == .registering { return false }
    let local = try? self.transports.localAddress(path.transport, towards: path.peer)
    let towards = media.negotiated?.remoteRTP?.address ?? path.peer
    guard let local, self.hasAddress(local),
      let own = try? self.environment.localAddress(towards: towards, listening: local), self.hasAddress(own)
    else { return false }
    let flow = account?.route?.route.peer == path.peer ? account?.route?.route.flow : nil
    self.endpoint.move(session, to: local, flow: flow, now: self.context.now)
    self.drain()
    // The peer's own offer is done with first: it gets our answer once more, from here.
    guard !self.endpoint.isChanging(session), media.move(to: own, has: self.hasAddress) else { return false }
    return self.reoffer(call)
  }

  private func hasAddress(_ address: SocketAddress) -> Bool {
    self.hostAddresses?.contains(address.host) ?? true || address.isLoopback
  }
}
