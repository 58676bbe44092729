import NetBase

/// How a NAT maps and filters (RFC 4787 §4, §5, by their older names).
enum NATKind: CaseIterable {
  /// There is none: the host has a public address.
  case none
  /// One mapping for all destinations, open to everyone.
  case fullCone
  /// One mapping, open to hosts that were sent to.
  case restricted
  /// One mapping, open to addresses with port that were sent to.
  case portRestricted
  /// A mapping for each destination, open to that one.
  case symmetric
  /// Nothing leaves and nothing enters.
  case blocked
}

/// A NAT with one public IPv4 address.
struct ModelledNAT {
  struct Mapping {
    let inside: SocketAddress
    let destination: SocketAddress?
    let outside: SocketAddress
    var sentTo: Set<SocketAddress> = []
  }

  let kind: NATKind
  let address: SocketAddress
  let isHairpinning: Bool
  private(set) var mappings: [Mapping] = []
  private var nextPort: UInt16 = 40_000

  init(kind: NATKind, address: SocketAddress, isHairpinning: Bool) {
    (self.kind, self.address, self.isHairpinning) = (kind, address, isHairpinning)
  }

  /// The public address that a datagram leaves from.
  mutating func leave(_ inside: SocketAddress, to destination: SocketAddress) -> SocketAddress {
    let key = self.kind == .symmetric ? destination : nil
    let place: Int
    if let known = self.mappings.firstIndex(where: { $0.inside == inside && $0.destination == key }) {
      place = known
    } else {
      self.mappings.append(
        Mapping(inside: inside, destination: key, outside: self.address.with(port: self.nextPort)))
      self.nextPort += 1
      place = self.mappings.count - 1
    }
    self.mappings[place].sentTo.insert(destination)
    return self.mappings[place].outside
  }

  /// Whom a datagram from outside is for; nil when it is filtered.
  func enter(_ outside: SocketAddress, from source: SocketAddress) -> SocketAddress? {
    guard let mapping = self.mappings.first(where: { $0.outside == outside }) else { return nil }
    let isOpen =
      switch self.kind {
      case .fullCone: true
      case .restricted: mapping.sentTo.contains { $0.isSameHost(as: source) }
      case .portRestricted, .symmetric: mapping.sentTo.contains(source)
      case .none, .blocked: false
      }
    return isOpen ? mapping.inside : nil
  }
}
