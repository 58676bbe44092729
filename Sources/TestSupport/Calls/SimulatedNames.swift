internal import ModuleKit
package import NetBase
package import SIPStack

/// A name resolver of a few hosts, which answers at once.
package struct SimulatedNames: NameResolver {
  private let hosts: [String: [SocketAddress]]

  package init(_ hosts: [String: [SocketAddress]] = [:]) { self.hosts = hosts }

  package func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
    let family: SocketAddress.Family
    switch question {
    case .a: family = .ipv4
    case .aaaa: family = .ipv6
    case .naptr, .srv: return completion(.nothing)
    }
    let found = self.hosts[question.name]?.filter { $0.family == family } ?? []
    completion(found.isEmpty ? .nothing : .addresses(found))
  }
}
