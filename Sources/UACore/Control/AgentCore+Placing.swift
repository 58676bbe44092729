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
    if self.isClosing { throw CommandFailure("the agent is about to end") }
    let proxy = account.settings.account?.outbound.first.flatMap { try? SIPURI($0) }
    let next = proxy ?? target
    if let address = SocketAddress(host: next.host, port: next.port ?? 5060) {
      return try self.place(target, at: address, from: account, headers: headers)
    }
    self.lookUp(next) { [weak self] address in
      guard let self else { return }
      guard let address else { return self.warn("\(next.host): the name has no address") }
      do throws(CommandFailure) {
        self.warn(try self.place(target, at: address, from: account, headers: headers))
      } catch { self.warn(error.description) }
    }
    return "looking up \(next.host)"
  }

  private func place(
    _ target: SIPURI, at address: SocketAddress, from account: LocalAccount, headers: [(String, String)]
  ) throws(CommandFailure) -> String {
    do {
      let own = account.headers.map { ($0.name, $0.value) }
      let id = try self.call(target, at: address, settings: account.settings, headers: own + headers)
      return "call \(id): calling \(target)\ncall id: \(self.calls[id]?.sipCallID ?? "")"
    } catch {
      throw CommandFailure("\(error)")
    }
  }

  /// Resolves a name on a thread that may block; `then` is called on main.
  private func lookUp(_ uri: SIPURI, then: @escaping (SocketAddress?) -> Void) {
    self.lastLookup += 1
    let number = self.lastLookup
    self.lookups[number] = then
    let (host, port, main, reference) = (uri.host, uri.port ?? 5060, self.main, self.reference)
    DispatchQueue.global().async {
      let found = Runtime.lookUp(host: host, port: port)
      _ = main.execute { _ in reference.withValue { $0.core?.found(found, for: number) } }
    }
  }

  func found(_ address: SocketAddress?, for number: UInt64) {
    self.lookups.removeValue(forKey: number)?(address)
  }
}
