internal import Dispatch
internal import ModuleKit
internal import NetBase
internal import Runtime

/// The address of a URI's host: a literal at once, a name by the system's resolver on a thread that may block.
func resolve(host: String, port: UInt16) async throws(ModuleError) -> SocketAddress {
  if let literal = SocketAddress(host: host, port: port) { return literal }
  let found = await withCheckedContinuation { continuation in
    DispatchQueue.global().async { continuation.resume(returning: lookUp(host: host, port: port)) }
  }
  guard let found else { throw ModuleError(.unavailable, "\(host): the name has no address") }
  return found
}
