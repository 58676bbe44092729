internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime

/// A transport's part of a socket that it shares: it gets what it claims, and what it sends leaves with what others
/// send.
final class SharedPort: DatagramPort {
  let localAddress: SocketAddress
  let isShared = true
  private let home: LoopBound<SharedSocket>
  private let number: UInt64
  private let component: Component
  private let tally: SharedTally
  /// Whether it is counted as on its way to the loop; one of the two is.
  private var isExpected: Bool
  /// While it is attached.
  private var place: (socket: SharedSocket, end: Int)?
  private var unsentBefore = 0

  init(
    _ home: LoopBound<SharedSocket>, _ number: UInt64, _ component: Component, at address: SocketAddress,
    tally: SharedTally
  ) {
    self.home = home
    self.number = number
    self.component = component
    self.localAddress = address
    self.tally = tally
    self.isExpected = component == .rtp
    if self.isExpected { tally.expect(1) }
  }

  deinit { self.arrive() }

  private func arrive() {
    if self.isExpected { self.tally.expect(-1) }
    self.isExpected = false
  }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {
    guard let socket = self.home.withValue({ $0 }) else { return }
    self.place = (socket, socket.attach(self.number, self.component, to: context, handler))
    self.arrive()
  }

  func detach(from context: LoopContext) {
    guard let place = self.place.take() else { return }
    self.unsentBefore += place.socket.detach(self.number, place.end, from: context)
  }

  func stampArrivals(in context: LoopContext) { self.place?.socket.stampArrivals(in: context) }

  func fill(_ batch: PacketBatch) {
    guard let place else { return batch.clear() }
    place.socket.take(place.end, into: batch)
  }

  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    guard let place else { return .failed(EBADF) }
    return place.socket.send(bytes, to: address, from: place.end)
  }

  @discardableResult
  func claim(_ claim: DatagramClaim) -> Bool {
    guard let place else { return true }
    return place.socket.claim(claim, for: place.end)
  }

  var unsent: Int { self.unsentBefore + (self.place.map { $0.socket.unsent(by: $0.end) } ?? 0) }
}

/// What main holds of a pair of sockets that many transports share.
final class SharedUDP: SharedDatagrams {
  let address: SocketAddress
  private let home: LoopBound<SharedSocket>
  private let tally: SharedTally

  /// - Parameters:
  ///   - address: that of the socket for RTP.
  ///   - home: filled, on its loop, before a port is attached there.
  init(_ address: SocketAddress, _ home: LoopBound<SharedSocket>, tally: SharedTally) {
    (self.address, self.home, self.tally) = (address, home, tally)
  }

  /// The loop lets go of what lives there, unless a port still has it.
  deinit {
    let home = self.home
    home.loop.execute { _ in _ = home.take() }
  }

  var unclaimed: Int { self.tally.unclaimed }

  func makePort(_ number: UInt64, for component: Component) -> sending any DatagramPort {
    let port = component == .rtp ? self.address.port : self.address.port + 1
    return SharedPort(self.home, number, component, at: self.address.with(port: port), tally: self.tally)
  }
}
