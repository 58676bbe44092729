internal import ModuleKit
internal import NetBase
internal import Runtime

/// The addresses of this host that media with connectivity checks may have.
struct HostAddresses {
  /// Beside the one that media has anyway: each costs two descriptors a call, and checks with all that the peer names.
  static let maximumFurther = 4

  private let configuration: Configuration
  private let current: @Sendable () -> Set<InterfaceAddress>

  /// - Parameter interfaces: what the kernel tells; an interface without carrier would take another's place.
  init(
    _ settings: AgentSettings,
    interfaces: @escaping @Sendable () -> Set<InterfaceAddress>? = { InterfaceAddress.current(withCarrier: true) }
  ) {
    self.configuration = settings.configuration
    // Who listens at one address has that one only.
    let listensEverywhere = settings.listen.isUnspecified
    let own: @Sendable () -> Set<InterfaceAddress> = { listensEverywhere ? interfaces() ?? [] : [] }
    self.current = settings.hostAddresses ?? own
  }

  /// Those beside `own`, the best first: families take turns, beginning with the other one (RFC 8421 §4), and the first
  /// address of each interface goes before the second of any. On loopback there are none.
  func further(beside own: SocketAddress, _ wanted: FurtherAddresses) -> [SocketAddress] {
    guard !own.isLoopback else { return [] }
    let usable = self.current().filter { one in
      self.configuration.allows(one) && !one.address.isLoopback && !one.address.isOfOneLink
    }
    let other = Self.ranked(usable.filter { $0.address.family != own.family }, beside: own)
    guard case .all = wanted else { return Array(other.prefix(1)) }
    let same = Self.ranked(usable.filter { $0.address.family == own.family }, beside: own)
    var further: [SocketAddress] = []
    for place in 0..<max(other.count, same.count) {
      further += other.dropFirst(place).prefix(1)
      further += same.dropFirst(place).prefix(1)
    }
    return Array(further.prefix(Self.maximumFurther))
  }

  /// Each interface's first, then each one's second, and so on; `own` is the first of its interface, and left out.
  private static func ranked(_ addresses: Set<InterfaceAddress>, beside own: SocketAddress) -> [SocketAddress] {
    func key(_ one: InterfaceAddress) -> (String, Int, String) {
      (one.interface, one.address.isSameHost(as: own) ? 0 : 1, one.address.host)
    }
    var ranks: [String: Int] = [:]
    var places: [(rank: Int, address: SocketAddress)] = []
    for one in addresses.sorted(by: { key($0) < key($1) }) {
      let rank = ranks[one.interface, default: 0]
      ranks[one.interface] = rank + 1
      places.append((rank, one.address.with(port: 0)))
    }
    let last = places.map(\.rank).max() ?? 0
    return (0...last).flatMap { rank in places.filter { $0.rank == rank }.map(\.address) }
      .filter { !$0.isSameHost(as: own) }
  }
}

extension SocketAddress {
  /// Link-local of either family: `fe80::/10`, or `169.254/16` (RFC 3927).
  fileprivate var isOfOneLink: Bool { self.isLinkLocal || self.family == .ipv4 && self.high >> 48 == 0xA9FE }
}

extension Configuration {
  /// Whether an agent may use an address of this host (`net_interface`, `net_af`).
  func allows(_ one: InterfaceAddress) -> Bool {
    (self.netAf.map { $0 == one.address.family } ?? true)
      && (self.netInterface.map { $0 == one.interface || $0 == one.address.host } ?? true)
  }
}
