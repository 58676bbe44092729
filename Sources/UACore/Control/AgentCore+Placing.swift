package import ModuleKit
internal import NetBase
internal import SDPCodec
internal import SIPStack

/// Calls that an account makes: where they go, and what they carry.
extension AgentCore {
  /// Calls `target` from an account, at once or as soon as its name is resolved.
  ///
  /// - Returns: what there is to show.
  /// - Throws: why it can't be called, as far as it is known by then; the rest comes as output.
  func place(
    _ target: SIPURI, from account: LocalAccount, headers: [(String, String)] = [],
    directions: CallDirections = CallDirections()
  ) throws(CommandFailure) -> String {
    var first: Result<CallID, CommandFailure>?
    var isLater = false
    self.place(target, from: account, headers: headers, directions: directions) { [weak self] result in
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
  ///   - sound: nil as the account says.
  ///   - then: called once, on main, at once or later.
  func place(
    _ target: SIPURI, from account: LocalAccount, headers: [(String, String)],
    directions: CallDirections = CallDirections(), sound: CallSound? = nil,
    then: @escaping (Result<CallID, CommandFailure>) -> Void
  ) {
    if self.isClosing { return then(.failure(CommandFailure("the agent is about to end"))) }
    self.locate(target, for: account) { [weak self] result in
      guard let self else { return }
      do {
        var settings = account.settings
        (settings.audioDirection, settings.videoDirection) = (directions.audio, directions.video)
        if let sound { (settings.source, settings.player) = (sound.source, sound.player) }
        let own = account.headers.map { ($0.name, $0.value) }
        then(
          .success(
            try self.call(
              target, at: try result.get(), settings: settings, headers: own + headers,
              routeSet: self.routeSet(of: account), account: account)))
      } catch {
        then(.failure(CommandFailure("\(error)")))
      }
    }
  }

  /// Finds where a request of an account's goes: to its proxy, else to the target.
  ///
  /// - Parameter then: called once, on main, at once or later.
  func locate(
    _ target: SIPURI, for account: LocalAccount, then: @escaping (Result<[SIPTarget], ModuleError>) -> Void
  ) {
    // A registrar that keeps our flow routes calls over it (RFC 5626 §4.3).
    if let route = account.route, route.isOutbound {
      let path = route.route
      return then(
        .success([
          SIPTarget(
            address: path.peer, transport: path.transport, serverName: path.serverName, local: path.local,
            flow: path.flow)
        ]))
    }
    if let first = account.route?.serviceRoute.first { return self.locate(first.uri, completion: then) }
    let proxies = account.settings.account?.outbound.compactMap { try? SIPURI($0) } ?? []
    guard let first = proxies.first else { return self.locate(target, completion: then) }
    self.locate(first) { [weak self] result in
      guard let self, case .failure = result, proxies.count > 1 else { return then(result) }
      self.locate(proxies[1], completion: then)
    }
  }

  /// The proxies that an account's requests pass (RFC 3261 §8.1.2, RFC 3608).
  func routeSet(of account: LocalAccount) -> [NameAddress] {
    if let route = account.route?.serviceRoute, !route.isEmpty { return route }
    guard let proxy = account.settings.account?.outbound.first, var uri = try? SIPURI(proxy) else { return [] }
    if !uri.parameters.contains("lr") { uri.parameters.set("lr", nil) }
    return [NameAddress(uri: uri)]
  }
}
