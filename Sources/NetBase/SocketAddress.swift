internal import Glibc

/// An IPv4 or IPv6 address with a port; 16 address bytes, IPv4 in the first four.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address families that the transports speak.
  public enum Family: UInt8, Sendable { case ipv4, ipv6 }

  public var family: Family
  /// Host byte order.
  public var port: UInt16
  /// Interface index of a link-local IPv6 address, else 0.
  public var scope: UInt32
  /// The address as two big-endian words; IPv4 fills the upper half of `high`.
  public var high: UInt64
  public var low: UInt64

  public init(ipv4 address: UInt32, port: UInt16) {
    (self.family, self.port, self.scope) = (.ipv4, port, 0)
    (self.high, self.low) = (UInt64(address) << 32, 0)
  }

  public init(ipv6 high: UInt64, _ low: UInt64, port: UInt16, scope: UInt32 = 0) {
    (self.family, self.port, self.scope) = (.ipv6, port, scope)
    (self.high, self.low) = (high, low)
  }

  /// Parses a literal such as `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` or `fe80::1%2`; nil for a host name.
  public init?(host: some StringProtocol, port: UInt16) {
    var text = String(host)
    if text.hasPrefix("["), text.hasSuffix("]") { text = String(text.dropFirst().dropLast()) }
    var four = in_addr()
    if unsafe inet_pton(AF_INET, text, &four) == 1 {
      self.init(ipv4: UInt32(bigEndian: four.s_addr), port: port)
      return
    }
    var scope: UInt32 = 0
    if let percent = text.firstIndex(of: "%") {
      let zone = String(text[text.index(after: percent)...])
      scope = unsafe UInt32(zone) ?? if_nametoindex(zone)
      guard scope != 0 else { return nil }
      text = String(text[..<percent])
    }
    var six: (UInt64, UInt64) = (0, 0)
    guard unsafe inet_pton(AF_INET6, text, &six) == 1 else { return nil }
    self.init(ipv6: UInt64(bigEndian: six.0), UInt64(bigEndian: six.1), port: port, scope: scope)
  }

  /// Parses `192.0.2.1:5060` or `[2001:db8::1]:5060`; the port may be left out when a default is given.
  public init?(_ text: String, defaultPort: UInt16? = nil) {
    var host = text[...]
    var port = defaultPort
    let afterBracket = text.lastIndex(of: "]") ?? text.startIndex
    if let colon = text[afterBracket...].lastIndex(of: ":"),
      text.hasPrefix("[") || text.firstIndex(of: ":") == colon
    {
      host = text[..<colon]
      port = UInt16(text[text.index(after: colon)...])
    }
    guard let port else { return nil }
    self.init(host: host, port: port)
  }

  /// The address without its port, as RFC 5952 writes it; no brackets.
  public var host: String {
    switch self.family {
    case .ipv4:
      let address = UInt32(truncatingIfNeeded: self.high >> 32)
      return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
    case .ipv6:
      var words = (self.high.bigEndian, self.low.bigEndian)
      let text = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 46) { room in
        unsafe inet_ntop(AF_INET6, &words, room.baseAddress, 46).map { unsafe String(cString: $0) } ?? "::"
      }
      return self.scope == 0 ? text : "\(text)%\(self.scope)"
    }
  }

  /// The address as others may be told of it: a scope means something on its own host only (RFC 4007 §11.2).
  public var unscoped: SocketAddress {
    var copy = self
    copy.scope = 0
    return copy
  }

  /// The host as a URI or Via has it: IPv6 in brackets, never with a scope.
  public var uriHost: String { self.family == .ipv6 ? "[\(self.unscoped.host)]" : self.host }

  public var description: String { "\(self.family == .ipv6 ? "[\(self.host)]" : self.host):\(self.port)" }

  public func with(port: UInt16) -> SocketAddress {
    var copy = self
    copy.port = port
    return copy
  }

  /// Whether both name the same host, whatever their ports.
  public func isSameHost(as other: SocketAddress) -> Bool {
    self.family == other.family && self.high == other.high && self.low == other.low
  }

  /// `0.0.0.0` or `::`.
  public var isUnspecified: Bool { self.high == 0 && self.low == 0 }

  public var isLoopback: Bool {
    switch self.family {
    case .ipv4: self.high >> 56 == 127
    case .ipv6: self.high == 0 && self.low == 1
    }
  }

  /// `fe80::/10`: only on the link that `scope` names.
  public var isLinkLocal: Bool { self.family == .ipv6 && self.high >> 54 == 0xFE80 >> 6 }

  public var isMulticast: Bool {
    switch self.family {
    case .ipv4: self.high >> 60 == 0xE
    case .ipv6: self.high >> 56 == 0xFF
    }
  }
}
