internal import NetBase

/// Which pages a browser may send here on behalf of: those of this server, and those that the config names.
package struct OriginPolicy {
  private let origins: [String]
  /// Whether a name that leads to this machine is good enough, for there is no token that a stranger's page would lack.
  private let isOpen: Bool

  package init(origins: [String], isOpen: Bool) { (self.origins, self.isOpen) = (origins, isOpen) }

  /// The headers that tell a browser so; nil when the page may not.
  package func admit(_ request: HTTPRequest) -> [(name: String, value: String)]? {
    let host = request["Host"] ?? ""
    // A page whose name was made to lead here (DNS rebinding) asks for its own name.
    guard !self.isOpen || Self.isThisMachine(host) else { return nil }
    guard let origin = request["Origin"] else { return [] }
    if origin == "\(request.isSecure ? "https" : "http")://\(host)" { return [] }
    guard self.origins.contains(origin) else { return nil }
    return [
      ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "Location, ETag"), ("Vary", "Origin"),
    ]
  }

  private static func isThisMachine(_ host: String) -> Bool {
    if host == "localhost" || host.hasPrefix("localhost:") { return true }
    return SocketAddress(host, defaultPort: 80)?.isLoopback ?? false
  }
}
