internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime

/// The sockets that the transports of a loop share (`rtp_single_port`): a pair for each loop and each address of ours,
/// opened when it is needed first. Lives on main.
struct SharedPorts {
  private struct Place: Hashable {
    let loop: ObjectIdentifier
    let host: SocketAddress
  }

  private var pairs: [Place: any SharedDatagrams] = [:]
  /// How many transports have had a part of one.
  private var transports: UInt64 = 0
  /// Of pairs that are not kept any more.
  private var unclaimedBefore = 0

  /// One more transport's part of a pair; sockets of its own where there are none to share.
  ///
  /// At further addresses it has sockets of its own.
  ///
  /// - Throws: `ModuleError`, as `PortAllocator.open`.
  mutating func ports(
    on address: SocketAddress, and others: [SocketAddress], in loop: EventLoop, from allocator: inout PortAllocator,
    leftOut: (SocketAddress, ModuleError) -> Void
  ) throws(ModuleError) -> MediaPorts {
    let place = Place(loop: ObjectIdentifier(loop), host: address.with(port: 0))
    if self.pairs[place] == nil { self.pairs[place] = try allocator.openShared(on: address, by: loop) }
    guard let pair = self.pairs[place] else {
      return try allocator.open(on: address, and: others, for: loop, leftOut: leftOut)
    }
    self.transports += 1
    let ports = PortPair(
      rtp: pair.makePort(self.transports, for: .rtp), rtcp: pair.makePort(self.transports, for: .rtcp))
    let further = allocator.openFurther(others, leftOut)
    return MediaPorts(
      pair: Disconnected(ports), further: further.pairs, address: pair.address, furtherSockets: further.sockets,
      loop: loop)
  }

  /// Lets go of the pairs at addresses that this host has lost; they are open for as long as transports have a part of
  /// them.
  ///
  /// - Parameter gone: with port 0.
  mutating func forget(_ gone: [SocketAddress]) {
    for (place, pair) in self.pairs where gone.contains(place.host) {
      self.unclaimedBefore += pair.unclaimed
      self.pairs[place] = nil
    }
  }

  /// Where RTP is received, sorted.
  var addresses: [SocketAddress] {
    self.pairs.values.map(\.address).sorted { ($0.host, $0.port) < ($1.host, $1.port) }
  }

  /// Datagrams that came for no transport.
  var unclaimed: Int { self.pairs.values.reduce(self.unclaimedBefore) { $0 + $1.unclaimed } }
}
