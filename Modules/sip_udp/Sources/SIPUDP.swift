public import ModuleKit
internal import NetBase
package import Runtime
package import SIPStack

/// SIP over UDP (RFC 3261 §18), on the main loop.
public struct SIPUDP: Module {
  public static let name = "sip_udp"
  public static let summary = "SIP over UDP; a refused port is known at once, by ICMP"

  public init(settings: ModuleSettings) {}

  public var facets: [Facet] { [Facet(.sipTransport(SIPUDPProvider()))] }
}

/// Opens SIP's UDP sockets.
package struct SIPUDPProvider: SIPTransportProvider {
  package let kind = SIPTransportKind.udp

  package init() {}

  package func open(
    _ settings: SIPTransportSettings, on main: EventLoop, receiver: any SIPTransportReceiver
  ) throws(ModuleError) -> any SIPTransport {
    let listen = settings.listen ?? SocketAddress(ipv4: 0, port: 0)
    do throws(SocketError) {
      let socket = try UDPSocket(listen, typeOfService: settings.typeOfService, buffer: 1 << 20, reportsErrors: true)
      return SIPUDPTransport(socket, main.withContext { $0 }, receiver)
    } catch {
      if error.isAddressForeign {
        throw ModuleError.foreignAddress(listen, module: "sip_udp", keys: "sip_listen or net_interface")
      }
      let advice = error.isAddressInUse ? "; choose another sip_listen" : ""
      throw ModuleError(.unavailable, "module sip_udp: cannot listen on \(error)\(advice)")
    }
  }
}

/// One bound socket of SIP; lives on main.
final class SIPUDPTransport: SIPTransport {
  let kind = SIPTransportKind.udp
  private let socket: UDPSocket
  private let loop: LoopContext
  private weak var receiver: (any SIPTransportReceiver)?
  private var watch: WatchID?
  /// Messages that were not sent, for the socket's buffer was full.
  private var overflows = 0
  /// Room for a message of the largest size that UDP carries.
  private let batch = PacketBatch(slots: 8, slotSize: 65_536)

  init(_ socket: consuming UDPSocket, _ loop: LoopContext, _ receiver: any SIPTransportReceiver) {
    self.socket = socket
    self.loop = loop
    self.receiver = receiver
    self.watch = loop.watch(self.socket.descriptor) { [unowned self] in self.receive() }
  }

  var localAddress: SocketAddress { self.socket.localAddress }

  var counts: [(name: String, count: Int)] {
    self.overflows == 0 ? [] : [("messages lost to a full socket", self.overflows)]
  }

  func send(_ bytes: [UInt8], to destination: SIPDestination) -> SIPSendResult {
    let address = destination.address
    let result = bytes.withRawSpan { self.socket.send($0, to: address) }
    if result == .wouldBlock { self.overflows += 1 }
    return SIPSendResult(result, to: address)
  }

  func close() {
    if let watch { self.loop.unwatch(watch, self.socket.descriptor) }
    self.watch = nil
  }

  private func receive() {
    while let error = self.socket.nextError() {
      self.receiver?.failed(to: error.address, reason: error.description, on: self)
    }
    self.batch.fill(from: self.socket)
    for index in 0..<self.batch.count {
      let origin = SIPOrigin(self.batch.source(index), local: self.socket.localAddress)
      self.batch.withPacket(index) { packet in
        self.receiver?.received(packet.bytes, from: origin, on: self)
      }
    }
  }
}
