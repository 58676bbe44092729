package import ModuleKit
internal import NetBase
internal import SDPCodec
internal import SIPStack

/// Calls that an account makes: where they go, and what they carry.
extension AgentCore {
  /// Calls `target` from an account, at once or as soon as its name is resolved.
  ///
  /// - Parameter then: called once, at once or later, with the call that was made, or nil.
  /// - Returns: what there is to show.
  /// - Throws: why it can't be called, as far as it is known by then; the rest comes as output.
  func place(
    _ target: SIPURI, from account: LocalAccount, headers: [(String, String)] = [],
    directions: CallDirections = CallDirections(), userData: String? = nil, then: @escaping (CallID?) -> Void
  ) throws(CommandFailure) -> String {
    var first: Result<CallID, CommandFailure>?
    var isLater = false
    self.place(target, from: account, headers: headers, directions: directions, userData: userData) {
      [weak self] result in
      then(try? result.get())
      guard isLater, let self else {
        first = result
        return
      }
      switch result {
      case .success(let id): self.warn(self.placed(id))
      case .failure(let failure): self.warn(failure.description)
      }
    }
    isLater = true
    guard let first else { return "looking up \(target.host)" }
    return self.placed(try first.get())
  }

  private func placed(_ id: CallID) -> String {
    guard let call = self.calls[id] else { return "" }
    return "call \(id): calling \(call.peer)\ncall id: \(call.sipCallID)"
  }

  package func dial(_ typed: String, sound: CallSound, then: @escaping (Result<UInt64, CommandFailure>) -> Void) {
    do throws(CommandFailure) {
      let (target, account) = try self.control.target(typed)
      self.place(target, from: account, headers: [], sound: sound) { then($0.map(\.number)) }
      self.drain()
    } catch { then(.failure(error)) }
  }

  /// - Parameters:
  ///   - userData: what the call's events say again.
  ///   - sound: nil as the account says.
  ///   - limit: how many calls there may be by the time that it is known where the target is.
  ///   - then: called once, on main, at once or later.
  func place(
    _ target: SIPURI, from account: LocalAccount, headers: [(String, String)],
    directions: CallDirections = CallDirections(), userData: String? = nil, sound: CallSound? = nil, limit: Int = .max,
    then: @escaping (Result<CallID, CommandFailure>) -> Void
  ) {
    if self.isClosing { return then(.failure(CommandFailure("the agent is about to end"))) }
    self.locate(target, for: account) { [weak self] result in
      guard let self else { return }
      do {
        if self.isClosing { throw CommandFailure("the agent is about to end") }
        if self.calls.count > limit { throw CommandFailure("there are too many calls already (call_max_calls)") }
        var settings = account.settings
        (settings.audioDirection, settings.videoDirection) = (directions.audio, directions.video)
        settings.userData = userData
        if let sound { (settings.source, settings.player) = (sound.source, sound.player) }
        let own = account.headers.map { ($0.name, $0.value) }
        let way = try result.get()
        then(
          .success(
            try self.call(
              target, at: way.targets, settings: settings, headers: own + headers, routeSet: way.routeSet,
              account: account)))
      } catch {
        then(.failure(CommandFailure("\(error)")))
      }
    }
  }

  /// Finds where a request of an account's goes: to its proxy, else to the target.
  ///
  /// - Parameters:
  ///   - lacksDomain: whether a lone name may be a user's; where no proxy is asked, the error then says so.
  ///   - then: called once, on main, at once or later.
  func locate(
    _ target: SIPURI, for account: LocalAccount, lacksDomain: Bool = false,
    then: @escaping (Result<RequestWay, ModuleError>) -> Void
  ) {
    let service = account.route?.serviceRoute ?? []
    let proxies = self.proxies(of: account)
    // A registrar that keeps our flow routes calls over it (RFC 5626 §4.3).
    if let route = account.route, route.isOutbound {
      let path = route.route
      let first = SIPTarget(
        address: path.peer, transport: path.transport, serverName: path.serverName, local: path.local, flow: path.flow)
      let routeSet = service.isEmpty ? Array(proxies.prefix(1)) : service
      return then(.success(RequestWay(targets: [first], routeSet: routeSet)))
    }
    guard let first = proxies.first else {
      guard let first = service.first else {
        return self.locate(target, routeSet: [], lacksDomain: lacksDomain, then: then)
      }
      return self.locate(first.uri, routeSet: service, then: then)
    }
    self.locate(first.uri, routeSet: Self.routeSet(first, service)) { [weak self] result in
      guard let self, case .failure = result, proxies.count > 1 else { return then(result) }
      self.locate(proxies[1].uri, routeSet: Self.routeSet(proxies[1], service), then: then)
    }
  }

  /// A registrar's route begins behind the proxy that the registration went by (RFC 3608 §6.1), or with it.
  private static func routeSet(_ proxy: NameAddress, _ service: [NameAddress]) -> [NameAddress] {
    let isNamed = service.first.map { $0.uri.host == proxy.uri.host && $0.uri.port == proxy.uri.port } ?? false
    return isNamed ? service : [proxy] + service
  }

  private func locate(
    _ hop: SIPURI, routeSet: [NameAddress], lacksDomain: Bool = false,
    then: @escaping (Result<RequestWay, ModuleError>) -> Void
  ) {
    self.locate(hop, lacksDomain: lacksDomain) { result in
      then(result.map { RequestWay(targets: $0, routeSet: routeSet) })
    }
  }

  /// The account's outbound proxies as Route has them, in the order in which they are tried: the one that took the
  /// REGISTER comes first, for the others may be down.
  private func proxies(of account: LocalAccount) -> [NameAddress] {
    let proxies = account.settings.account?.outbound.compactMap { try? SIPURI($0) } ?? []
    let server = account.route?.server
    return (proxies.filter { $0 == server } + proxies.filter { $0 != server }).map { proxy in
      var uri = proxy
      if !uri.parameters.contains("lr") { uri.parameters.set("lr", nil) }
      return NameAddress(uri: uri)
    }
  }
}

/// Where a request of an account's goes, and the proxies that it passes (RFC 3261 §8.1.2, RFC 3608).
struct RequestWay {
  let targets: [SIPTarget]
  let routeSet: [NameAddress]
}
