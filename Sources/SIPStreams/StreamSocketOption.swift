internal import Glibc
internal import NIOCore
internal import NetBase

/// Socket options that NIO has no name for.
enum StreamSocketOption {
  static let ipv6Only = ChannelOptions.Types.SocketOption(
    level: .ipv6, name: NIOBSDSocket.Option(rawValue: IPV6_V6ONLY))

  /// The IP TOS or traffic class byte.
  static func trafficClass(_ family: NetBase.SocketAddress.Family) -> ChannelOptions.Types.SocketOption {
    switch family {
    case .ipv4: ChannelOptions.Types.SocketOption(level: .ip, name: NIOBSDSocket.Option(rawValue: IP_TOS))
    case .ipv6: ChannelOptions.Types.SocketOption(level: .ipv6, name: NIOBSDSocket.Option(rawValue: IPV6_TCLASS))
    }
  }
}

/// Main has taken what had piled up.
struct StreamResume: Sendable {}

/// Main wants a sign of life of the peer.
struct StreamPing: Sendable {}
