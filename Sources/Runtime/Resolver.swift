internal import Glibc
package import NetBase

/// Looks up the addresses of a host name in the system's files and DNS; blocks, so never on a loop.
///
/// - Returns: with port 0, in the system's order; empty when there are none.
package func lookUp(host: String, family: SocketAddress.Family) -> [SocketAddress] {
  var hints = unsafe addrinfo()
  unsafe hints.ai_family = family == .ipv4 ? AF_INET : AF_INET6
  unsafe hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
  defer { unsafe freeaddrinfo(list) }
  var found: [SocketAddress] = []
  var next = unsafe list
  while let entry = unsafe next {
    var text = [CChar](repeating: 0, count: 64)
    let status = unsafe getnameinfo(
      entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, Int32(NI_NUMERICHOST))
    let end = text.firstIndex(of: 0) ?? text.endIndex
    let numeric = String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if status == 0, let address = SocketAddress(host: numeric, port: 0), !found.contains(address) {
      found.append(address)
    }
    unsafe next = entry.pointee.ai_next
  }
  return found
}
