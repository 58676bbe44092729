internal import Handoff
package import ModuleKit
package import NetBase
package import Runtime

/// The sockets of RTP and RTCP at one address of this host.
package struct PortPair {
  let rtp: any DatagramPort
  let rtcp: any DatagramPort

  var addresses: MediaSockets { MediaSockets(rtp: self.rtp.localAddress, rtcp: self.rtcp.localAddress) }

  subscript(component: Component) -> any DatagramPort {
    switch component {
    case .rtp: self.rtp
    case .rtcp: self.rtcp
    }
  }
}

/// Pairs at further addresses of this host, and where they are.
struct FurtherPorts: ~Copyable {
  let pairs: Disconnected<[PortPair]>
  let sockets: [MediaSockets]
}

/// Bound sockets, or parts of shared ones, that no transport owns yet.
package struct MediaPorts: ~Copyable, Sendable {
  let pair: Disconnected<PortPair>
  /// At further addresses of this host, for connectivity checks.
  let further: Disconnected<[PortPair]>
  /// Where RTP is received.
  package let address: SocketAddress
  /// The addresses of `further`, in its order.
  let furtherSockets: [MediaSockets]
  /// Where the transport has to live; nil where that is all the same to them.
  let loop: EventLoop?

  /// The addresses of both.
  var sockets: MediaSockets { MediaSockets(rtp: self.address, rtcp: self.address.with(port: self.address.port + 1)) }
}

/// Opens the sockets of a transport: an even port for RTP, the next one for RTCP (RFC 3550 §11), within `rtp_ports`.
package struct PortAllocator {
  private let transport: any DatagramTransport
  private let range: ClosedRange<UInt16>
  private let typeOfService: Int
  /// The first even port of the range.
  private let first: Int
  /// How many pairs fit.
  private let pairs: Int
  private var next: Int

  /// How many ports are tried at a further address: one that can't be had at all is no better at another port.
  private static let triesElsewhere = 16

  package init(transport: any DatagramTransport, range: ClosedRange<UInt16>, typeOfService: Int, start: UInt64) {
    self.transport = transport
    self.range = range
    self.typeOfService = typeOfService
    self.first = (Int(range.lowerBound) + 1) / 2 * 2
    self.pairs = max(0, (Int(range.upperBound) - self.first + 1) / 2)
    self.next = self.pairs > 0 ? Int(start % UInt64(self.pairs)) : 0
  }

  /// Opens sockets for one transport.
  ///
  /// - Parameters:
  ///   - others: further addresses, of which those that can't be had are left out.
  ///   - loop: where the transport has to live; nil where that is all the same.
  ///   - leftOut: told of each of them.
  /// - Throws: when no pair of the range is free, `.exhausted` when no socket can be opened at all.
  package mutating func open(
    on address: SocketAddress, and others: [SocketAddress] = [], for loop: EventLoop? = nil,
    leftOut: (SocketAddress, ModuleError) -> Void = { _, _ in }
  ) throws(ModuleError) -> MediaPorts {
    let pair = try self.openPair(on: address, tries: self.pairs)
    let bound = pair.rtp.localAddress
    let further = self.openFurther(others, leftOut)
    return MediaPorts(
      pair: Disconnected(pair), further: further.pairs, address: bound, furtherSockets: further.sockets, loop: loop)
  }

  /// Opens a pair that the transports of `loop` are to share; nil where the transport of datagrams knows no such thing.
  ///
  /// - Throws: as `open`.
  mutating func openShared(
    on address: SocketAddress, by loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)? {
    let (transport, typeOfService) = (self.transport, self.typeOfService)
    return try self.tryPairs(self.pairs) { (port: UInt16) throws(ModuleError) -> (any SharedDatagrams)? in
      try transport.openShared(address.with(port: port), typeOfService: typeOfService, on: loop)
    }
  }

  /// Pairs at further addresses, of which those that can't be had are left out. Where no more sockets can be opened at
  /// all, there are none: other calls can't do without theirs.
  mutating func openFurther(
    _ others: [SocketAddress], _ leftOut: (SocketAddress, ModuleError) -> Void
  ) -> FurtherPorts {
    var untold = others
    var pairs: [PortPair] = []
    var sockets: [MediaSockets] = []
    for other in others {
      do throws(ModuleError) {
        let one = try self.openPair(on: other, tries: min(self.pairs, Self.triesElsewhere))
        sockets.append(one.addresses)
        pairs.append(one)
      } catch {
        guard error.kind != .exhausted else {
          for one in untold { leftOut(one, error) }
          return FurtherPorts(pairs: Disconnected([]), sockets: [])
        }
        untold.removeAll { $0 == other }
        leftOut(other, error)
      }
    }
    return FurtherPorts(pairs: Disconnected(pairs), sockets: sockets)
  }

  private mutating func openPair(on address: SocketAddress, tries: Int) throws(ModuleError) -> sending PortPair {
    let (transport, typeOfService) = (self.transport, self.typeOfService)
    return try self.tryPairs(tries) { (port: UInt16) throws(ModuleError) -> sending PortPair in
      let rtp = try transport.open(address.with(port: port), typeOfService: typeOfService)
      let rtcp = try transport.open(address.with(port: port + 1), typeOfService: typeOfService)
      return PortPair(rtp: rtp, rtcp: rtcp)
    }
  }

  private mutating func tryPairs<Pair>(
    _ tries: Int, _ open: (_ port: UInt16) throws(ModuleError) -> sending Pair
  ) throws(ModuleError) -> sending Pair {
    var last: ModuleError?
    for _ in 0..<tries {
      let port = UInt16(self.first + 2 * self.next)
      self.next = (self.next + 1) % self.pairs
      do throws(ModuleError) {
        return try open(port)
      } catch {
        // No other port would fare better.
        guard error.kind != .exhausted else { throw error }
        last = error
      }
    }
    throw last
      ?? ModuleError(
        .configuration,
        "rtp_ports \(self.range.lowerBound)-\(self.range.upperBound): not one even port with the next one")
  }
}
