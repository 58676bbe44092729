internal import Dispatch
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Calls that an account makes: where they go, and what they carry.
extension AgentCore {
  /// Calls `target` from an account, at once or as soon as its name is resolved.
  ///
  /// - Returns: what there is to show.
  /// - Throws: why it can't be called, as far as it is known by then; the rest comes as output.
  func place(
    _ target: SIPURI, from account: LocalAccount, headers: [(String, String)] = []
  ) throws(CommandFailure) -> String {
    var first: Result<CallID, CommandFailure>?
    var isLater = false
    self.place(target, from: account, headers: headers) { [weak self] result in
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

  /// - Parameter then: called once, on main, at once or later.
  func place(
    _ target: SIPURI, from account: LocalAccount, headers: [(String, String)],
    then: @escaping (Result<CallID, CommandFailure>) -> Void
  ) {
    if self.isClosing { return then(.failure(CommandFailure("the agent is about to end"))) }
    self.locate(target, for: account) { [weak self] address in
      guard let self else { return }
      guard let address else { return then(.failure(CommandFailure("\(target.host): the name has no address"))) }
      do {
        let own = account.headers.map { ($0.name, $0.value) }
        then(.success(try self.call(target, at: address, settings: account.settings, headers: own + headers)))
      } catch {
        then(.failure(CommandFailure("\(error)")))
      }
    }
  }

  /// Finds where a request of an account's goes first: to its proxy, else to the target.
  ///
  /// - Parameter then: called once, on main, at once or later; nil when the name has no address.
  func locate(_ target: SIPURI, for account: LocalAccount, then: @escaping (SocketAddress?) -> Void) {
    let proxy = account.settings.account?.outbound.first.flatMap { try? SIPURI($0) }
    let next = proxy ?? target
    let port = next.port ?? 5060
    if let address = SocketAddress(host: next.host, port: port) { return then(address) }
    self.lastLookup += 1
    let number = self.lastLookup
    self.lookups[number] = then
    let (host, main, reference) = (next.host, self.main, self.reference)
    DispatchQueue.global().async {
      let found = Runtime.lookUp(host: host, port: port)
      _ = main.execute { _ in reference.withValue { $0.core?.found(found, for: number) } }
    }
  }

  func found(_ address: SocketAddress?, for number: UInt64) { self.lookups.removeValue(forKey: number)?(address) }
}
