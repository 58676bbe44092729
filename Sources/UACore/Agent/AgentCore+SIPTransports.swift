package import ModuleKit
internal import NetBase
internal import Runtime
package import SIPStack

/// Which SIP transports an agent opens, and how the endpoint's messages travel on them.
extension AgentCore {
  /// Opens every transport that the config wants and a module brings, in the order of the modules.
  func openTransports() throws(ModuleError) {
    let wanted = Self.transportProviders(self.settings, self.registry)
    guard !wanted.isEmpty else {
      let isAny = !(self.settings.sipTransports ?? self.registry.sipTransports).isEmpty
      let advice = isAny ? "sip_transports names none that a module brings" : "add \"module sip_udp\""
      throw ModuleError(.configuration, "no SIP transport is active: \(advice)")
    }
    try self.open(wanted)
  }

  /// Closes or opens one kind while the agent runs (`entransp`); `sip_transports` does not count here.
  func switchTransport(_ kind: SIPTransportKind, isOn: Bool) throws(CommandFailure) {
    let isOpen = self.transports.kinds.contains(kind)
    guard isOn != isOpen else { return }
    if isOn {
      let providers = (self.settings.sipTransports ?? self.registry.sipTransports).filter { $0.kind == kind }
      guard !providers.isEmpty else { throw CommandFailure("no module brings SIP over \(kind.name)") }
      do throws(ModuleError) { try self.open(providers) } catch { throw CommandFailure("\(error)") }
    } else {
      guard self.transports.kinds.count > 1 else {
        throw CommandFailure("SIP over \(kind.name) is all that is left: it stays")
      }
      self.transports.close(kind)
    }
  }

  private func open(_ wanted: [any SIPTransportProvider]) throws(ModuleError) {
    for address in self.listenAddresses {
      // A free port is the same one for all, if it can be.
      var port = address.port
      for provider in wanted {
        var listen = address.with(port: port)
        if provider.kind.isSecure, port != 0 { listen.port = port &+ 1 }
        do throws(ModuleError) {
          try self.open(provider, at: listen)
        } catch  where address.port == 0 && port != 0 {
          try self.open(provider, at: address)
        }
        if port == 0 { port = self.transports.all.last?.localAddress.port ?? 0 }
      }
    }
  }

  /// Those that the config wants.
  static func transportProviders(_ settings: AgentSettings, _ registry: ModuleRegistry) -> [any SIPTransportProvider] {
    let wanted = settings.configuration.sipTransports
    return (settings.sipTransports ?? registry.sipTransports).filter { wanted?.contains($0.kind) ?? true }
  }

  private func open(_ provider: any SIPTransportProvider, at listen: SocketAddress) throws(ModuleError) {
    try self.transports.open(
      provider,
      SIPTransportSettings(
        listen: listen, typeOfService: self.settings.configuration.sipTOS,
        security: self.settings.configuration.sipSecurity))
  }

  /// Where SIP listens: the address that was asked for, and where that is every address of IPv4, every one of IPv6 too.
  private var listenAddresses: [SocketAddress] {
    let listen = self.settings.listen
    guard listen.isUnspecified, listen.family == .ipv4, self.settings.configuration.netAf == nil,
      routeSource(to: SocketAddress(ipv6: 0, 1, port: 9)) != nil
    else { return [listen] }
    return [listen, SocketAddress(ipv6: 0, 0, port: listen.port)]
  }

  /// Where `uri`, which is reached at `target`, reaches us: by what a registrar gave out, or else at our address.
  ///
  /// - Parameter uri: where the request goes first: its first route, or else its target (RFC 3261 §8.1.1.8).
  func contact(
    of account: LocalAccount?, _ identity: SIPURI, towards uri: SIPURI, at target: SIPTarget, from local: SocketAddress
  ) -> SIPURI {
    let contact = self.registeredContact(of: account, at: target) ?? self.contact(identity, local, target.transport)
    return uri.scheme == .sips && target.transport.isSecure ? contact.secured : contact
  }

  /// What a registrar gave out for us, or what we are registered by where `target` is reached by the same way.
  private func registeredContact(of account: LocalAccount?, at target: SIPTarget) -> SIPURI? {
    guard let route = account?.route else { return nil }
    if let gruu = route.publicGRUU { return gruu }
    let isSameWay = route.route.transport == target.transport && route.route.peer == target.address
    return isSameWay ? route.contact.uri : nil
  }

  /// Where the peer reaches us: `identity`'s user at our address (RFC 3261 §8.1.1.8, RFC 7118 §5.1).
  func contact(_ identity: SIPURI, _ local: SocketAddress, _ transport: SIPTransportKind) -> SIPURI {
    var uri = SIPURI(user: identity.user, host: local.uriHost, port: local.port)
    switch transport {
    case .udp: break
    case .tcp, .tls: uri.parameters.set("transport", transport.uriParameter)
    case .ws, .wss:
      (uri.host, uri.port) = (self.transports.webSocketHost, nil)
      uri.parameters.set("transport", transport.uriParameter)
    }
    return identity.scheme == .sips && transport.isSecure ? uri.secured : uri
  }
}

extension AgentCore: SIPTransportsOwner {
  package func received(_ bytes: RawSpan, over path: SIPPath) {
    var local = path.local
    if local.isUnspecified {
      local = (try? self.transports.localAddress(path.transport, towards: path.peer)) ?? local
    }
    if self.isTracing { self.trace(.received, bytes.copied(), local: local, peer: path.peer) }
    self.endpoint.receive(
      bytes, from: path.peer, on: local, transport: path.transport, flow: path.flow, now: self.context.now)
    self.drain()
  }

  package func failed(_ path: SIPPath, reason: String) {
    self.endpoint.flowFailed(path, error: reason, now: self.context.now)
    self.drain()
  }

  package func ponged(_ flow: SIPFlow) {
    self.endpoint.noteLife(of: flow, now: self.context.now)
    self.endpoint.ponged(flow)
    self.drain()
  }
}

/// Where requests go.
extension AgentCore {
  /// Finds the targets of `uri`: the first Route, the outbound proxy, or the request URI itself (RFC 3263).
  ///
  /// - Parameters:
  ///   - lacksDomain: whether a lone name may be a user's, whose domain nobody adds; the error then says so.
  ///   - completion: called once, on main: at once when no name has to be looked up. Targets that no open transport
  ///     leads to are left out.
  package func locate(
    _ uri: SIPURI, lacksDomain: Bool = false, completion: @escaping (Result<[SIPTarget], ModuleError>) -> Void
  ) {
    let configuration = self.settings.configuration
    var kinds = self.transports.kinds
    if let index = kinds.firstIndex(of: configuration.sipDefaultTransport) {
      kinds.insert(kinds.remove(at: index), at: 0)
    }
    let families: SIPLocator.Families =
      switch configuration.netAf {
      case .ipv4: .ipv4Only
      case .ipv6: .ipv6Only
      case nil: .ipv6First
      }
    let locator = SIPLocator(
      uri: uri, available: kinds, families: families, generator: SeededGenerator(seed: self.environment.random()))
    self.locations.locate(locator) { [weak self] result in
      guard let self else { return completion(.failure(ModuleError(.unavailable, "the agent is not running"))) }
      switch result {
      case .failure(let failure): completion(.failure(Self.error(failure, uri, lacksDomain: lacksDomain)))
      case .success(let targets): completion(self.reachable(targets))
      }
    }
  }

  /// The targets that a transport and a route lead to, each with our address towards it.
  private func reachable(_ targets: [SIPTarget]) -> Result<[SIPTarget], ModuleError> {
    var reachable: [SIPTarget] = []
    var first: ModuleError?
    for var target in targets {
      do throws(ModuleError) {
        target.local = try self.transports.localAddress(target.transport, towards: target.address)
        reachable.append(target)
      } catch { first = first ?? error }
    }
    return reachable.isEmpty ? .failure(first ?? ModuleError(.unavailable, "nobody to send to")) : .success(reachable)
  }

  private static func error(_ failure: SIPLocator.Failure, _ uri: SIPURI, lacksDomain: Bool) -> ModuleError {
    switch failure {
    case .notSIP: ModuleError(.configuration, "\(uri.shown) is not a SIP URI: write sip:user@host")
    case .unknownTransport, .unavailableTransport:
      ModuleError(.configuration, "\(uri.shown): \(failure) (sip_transports, and the sip_ modules)")
    case .noAddress(let host) where lacksDomain && uri.user == nil && !host.contains("."):
      ModuleError(
        .unavailable,
        "\(host): the name has no address; a user is called as sip:\(host)@DOMAIN, for example sip:\(host)@192.0.2.1 "
          + "(only \"apus run\" adds the domain of its account by itself)")
    case .noAddress(let host):
      ModuleError(.unavailable, "\(host): the name has no address; check it, or write the host's IP address")
    case .noAnswer: ModuleError(.unavailable, "\(failure)")
    }
  }
}
