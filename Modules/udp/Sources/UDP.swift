internal import Glibc
public import ModuleKit
package import NetBase
package import Runtime

/// Media over UDP sockets of the kernel.
public struct UDP: Module {
  public static let name = "udp"
  public static let summary = "RTP and RTCP over UDP, received in batches"

  public init(settings: ModuleSettings) {}

  public var facets: [Facet] { [Facet(.datagrams(UDPTransport()))] }
}

/// Opens UDP sockets for media.
package struct UDPTransport: DatagramTransport {
  package init() {}

  package func open(
    _ address: SocketAddress, typeOfService: Int
  ) throws(ModuleError) -> sending any DatagramPort {
    UDPPort(try self.bind(address, typeOfService))
  }

  package func openShared(
    _ address: SocketAddress, typeOfService: Int, on loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)? {
    let rtp = try self.bind(address, typeOfService, buffer: Self.sharedBuffer)
    let rtcp = try self.bind(address.with(port: address.port + 1), typeOfService, buffer: Self.sharedBuffer)
    let bound = rtp.localAddress
    let tally = SharedTally()
    let home = LoopBound<SharedSocket>(on: loop)
    let socket = SharedSocket(rtp, rtcp, tally: tally)
    loop.execute { _ in home.put(socket) }
    return SharedUDP(bound, home, tally: tally)
  }

  /// Bytes, or as many as the system allows (`net.core.rmem_max` and `net.core.wmem_max`): all calls' packets wait
  /// there while the loop, or the network, is busy.
  private static let sharedBuffer = 4 << 20

  private func bind(_ address: SocketAddress, _ typeOfService: Int, buffer: Int = 0) throws(ModuleError) -> UDPSocket {
    do throws(SocketError) {
      return try UDPSocket(address, typeOfService: typeOfService, buffer: buffer)
    } catch {
      guard !error.isOutOfResources else {
        throw ModuleError(.exhausted, "module udp: cannot open a media socket on \(error): raise the limit (ulimit -n)")
      }
      throw ModuleError(.unavailable, "module udp: cannot open a media socket on \(error): choose other rtp_ports")
    }
  }
}

/// A UDP socket watched by its transport's loop: what comes is received with what others' sockets have, and what is sent
/// leaves with what others send when the loop's turn ends.
final class UDPPort: DatagramPort {
  private let socket: UDPSocket
  /// While it is attached.
  private var place: (context: LoopContext, watch: WatchID)?
  private var unsentBefore = 0

  init(_ socket: consuming UDPSocket) { self.socket = socket }

  var localAddress: SocketAddress { self.socket.localAddress }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {
    self.place = (context, context.watch(datagramsOf: self.socket, handler))
  }

  func detach(from context: LoopContext) {
    guard let place = self.place.take() else { return }
    context.flush()
    self.unsentBefore += context.unsent(place.watch)
    context.unwatch(place.watch, self.socket.descriptor)
  }

  func stampArrivals(in context: LoopContext) {
    self.socket.stampArrivals()
    context.batch.takeArrivals()
  }

  func fill(_ batch: PacketBatch) { batch.fill(from: self.socket, self.place?.watch) }

  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    guard let place else { return self.socket.send(bytes, to: address) }
    return place.context.send(bytes, to: address, on: self.socket, place.watch)
  }

  var unsent: Int { self.unsentBefore + (self.place.map { $0.context.unsent($0.watch) } ?? 0) }
}
