internal import Glibc
package import NetBase

/// Looks up a host name in the system's files and DNS; blocks, so never on a loop.
///
/// - Parameter host: a name or a literal, IPv6 in brackets or not.
/// - Returns: the first address; nil when there is none.
package func lookUp(host: String, port: UInt16) -> SocketAddress? {
  if let literal = SocketAddress(host: host, port: port) { return literal }
  var hints = unsafe addrinfo()
  unsafe hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  guard unsafe getaddrinfo(host, nil, &hints, &list) == 0, let first = unsafe list else { return nil }
  defer { unsafe freeaddrinfo(first) }
  var text = [CChar](repeating: 0, count: 64)
  guard
    unsafe getnameinfo(
      first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, Int32(NI_NUMERICHOST)) == 0
  else { return nil }
  let end = text.firstIndex(of: 0) ?? text.endIndex
  return SocketAddress(host: String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self), port: port)
}
