public import ModuleKit
package import NetBase
package import Runtime

/// SIP over UDP (RFC 3261 §18), on the main loop.
public struct SIPUDP: Module {
  public static let name = "sip_udp"
  public static let summary = "SIP over UDP; a refused port is known at once, by ICMP"

  public init(settings: ModuleSettings) {}

  public var facets: [Facet] { [Facet(.sipTransport(SIPUDPProvider()))] }
}

/// Opens SIP's UDP sockets.
package struct SIPUDPProvider: SIPTransportProvider {
  package let name = "udp"

  package init() {}

  package func open(
    _ address: SocketAddress, typeOfService: Int, on loop: LoopContext, receiver: any SIPTransportReceiver
  ) throws(ModuleError) -> any SIPTransport {
    do throws(SocketError) {
      let socket = try UDPSocket(
        address, typeOfService: typeOfService, receiveBuffer: 1 << 20, reportsErrors: true)
      return SIPUDPTransport(socket, loop, receiver)
    } catch {
      let advice = error.isAddressInUse ? "; choose another sip_listen" : ""
      throw ModuleError(.unavailable, "module sip_udp: cannot listen on \(error)\(advice)")
    }
  }
}

/// One bound socket of SIP; lives on main.
final class SIPUDPTransport: SIPTransport {
  private let socket: UDPSocket
  private let loop: LoopContext
  private weak var receiver: (any SIPTransportReceiver)?
  private var watch: WatchID?
  /// Room for a message of the largest size that UDP carries.
  private var batch = PacketBatch(slots: 8, slotSize: 65_536)

  init(_ socket: consuming UDPSocket, _ loop: LoopContext, _ receiver: any SIPTransportReceiver) {
    self.socket = socket
    self.loop = loop
    self.receiver = receiver
    self.watch = loop.watch(self.socket.descriptor) { [unowned self] in self.receive() }
  }

  var localAddress: SocketAddress { self.socket.localAddress }

  func send(_ bytes: [UInt8], to address: SocketAddress) -> String? {
    let result = bytes.withRawSpan { self.socket.send($0, to: address) }
    switch result {
    case .sent: return nil
    case .wouldBlock: return "the socket's buffer is full"
    case .failed(let code): return SocketError(code: code, address: address).description
    }
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
      let source = self.batch.source(index)
      self.batch.withPacket(index) { packet in
        self.receiver?.received(packet.bytes, from: source, on: self)
      }
    }
  }
}
