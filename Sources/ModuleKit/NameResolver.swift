package import NetBase
package import SIPStack

/// Answers questions about names; used from main, answers from any thread.
package protocol NameResolver: Sendable {
  /// - Parameter completion: called once, on any thread, when there is an answer or none will come.
  func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void)
}

/// Makes a name resolver.
package protocol NameResolverProvider: Sendable {
  /// - Parameters:
  ///   - servers: asked in place of the system's (`dns_server`); empty for the system's.
  ///   - fallbacks: asked where the system has none (`dns_fallback`).
  func makeResolver(servers: [SocketAddress], fallbacks: [SocketAddress]) throws(ModuleError) -> any NameResolver
}
