package import NetBase

/// The three words of a `c=` line (RFC 8866 §5.7), also found in `o=` and `a=rtcp`.
package struct SDPConnection: Hashable, Sendable {
  /// `IN` on the Internet.
  package var networkType: String
  /// `IP4` or `IP6`.
  package var addressType: String
  /// A literal or a host name, with `/ttl` or `/count` when it is multicast.
  package var address: String

  package init(networkType: String = "IN", addressType: String, address: String) {
    self.networkType = networkType
    self.addressType = addressType
    self.address = address
  }

  /// The host of `address`; its port and scope do not matter.
  package init(_ address: SocketAddress) {
    self.init(addressType: address.family == .ipv4 ? "IP4" : "IP6", address: address.unscoped.host)
  }

  init?(_ text: String) {
    let words = text.fields()
    guard words.count == 3 else { return nil }
    self.init(networkType: words[0], addressType: words[1], address: words[2])
  }

  /// The host alone: literal or name.
  package var host: String { self.address.cut(at: "/").0 }

  /// The literal with `port`; nil for a host name or another network than the Internet's.
  package func socketAddress(port: UInt16) -> SocketAddress? {
    self.networkType == "IN" ? SocketAddress(host: self.host, port: port) : nil
  }

  /// `0.0.0.0` or `::`: nothing may be sent there (RFC 3264 §8.4).
  package var isUnspecified: Bool { self.socketAddress(port: 0)?.isUnspecified ?? false }

  /// The line's value.
  package var text: String { "\(self.networkType) \(self.addressType) \(self.address)" }
}

/// The `o=` line (RFC 8866 §5.2).
package struct SDPOrigin: Hashable, Sendable {
  package var username: String
  /// Digits by the RFC; kept as written.
  package var sessionID: String
  /// Digits by the RFC; kept as written.
  package var sessionVersion: String
  package var connection: SDPConnection

  package init(username: String = "-", sessionID: String, sessionVersion: String, connection: SDPConnection) {
    self.username = username
    self.sessionID = sessionID
    self.sessionVersion = sessionVersion
    self.connection = connection
  }

  init?(_ text: String) {
    let words = text.fields()
    guard words.count == 6 else { return nil }
    self.init(
      username: words[0], sessionID: words[1], sessionVersion: words[2],
      connection: SDPConnection(networkType: words[3], addressType: words[4], address: words[5]))
  }

  /// The line's value.
  package var text: String { "\(self.username) \(self.sessionID) \(self.sessionVersion) \(self.connection.text)" }
}

/// A `b=` line (RFC 8866 §5.8).
package struct SDPBandwidth: Hashable, Sendable {
  /// Such as `AS` (kbit/s) or `TIAS` (bit/s, RFC 3890).
  package var type: String
  package var value: UInt64

  package init(type: String, value: UInt64) {
    self.type = type
    self.value = value
  }

  init?(_ text: String) {
    let (type, rest) = text.cut(at: ":")
    guard !type.isEmpty, let value = rest?.decimal(UInt64.self) else { return nil }
    self.init(type: type, value: value)
  }
}

/// A `t=` line and the `r=` lines behind it (RFC 8866 §5.9, §5.10).
package struct SDPTiming: Hashable, Sendable {
  /// Seconds since 1900; 0 means always.
  package var start: UInt64
  /// Seconds since 1900; 0 means without end.
  package var stop: UInt64
  /// The `r=` lines, unread.
  package var repeats: [String]

  package init(start: UInt64 = 0, stop: UInt64 = 0, repeats: [String] = []) {
    self.start = start
    self.stop = stop
    self.repeats = repeats
  }

  init?(_ text: String) {
    let words = text.fields()
    guard words.count == 2, let start = words[0].decimal(UInt64.self), let stop = words[1].decimal(UInt64.self) else {
      return nil
    }
    self.init(start: start, stop: stop)
  }
}
