internal import Handoff
package import ModuleKit
package import NetBase
internal import Runtime

/// Bound sockets that no transport owns yet.
package struct MediaPorts: ~Copyable, Sendable {
  let rtp: Disconnected<any DatagramPort>
  let rtcp: Disconnected<any DatagramPort>
  /// Where RTP is received.
  package let address: SocketAddress
}

/// Opens the sockets of a transport: an even port for RTP, the next one for RTCP (RFC 3550 §11), within `rtp_ports`.
package struct PortAllocator {
  private let transport: any DatagramTransport
  private let range: ClosedRange<UInt16>
  private let typeOfService: Int
  private var next: UInt16

  package init(transport: any DatagramTransport, range: ClosedRange<UInt16>, typeOfService: Int, start: UInt64) {
    self.transport = transport
    self.range = range
    self.typeOfService = typeOfService
    let pairs = max(1, UInt64(range.count / 2))
    self.next = (range.lowerBound &+ range.lowerBound % 2) &+ UInt16(start % pairs * 2)
  }

  /// - Throws: when no pair of the range is free.
  package mutating func open(
    on address: SocketAddress
  ) throws(ModuleError) -> MediaPorts {
    var last: ModuleError?
    for _ in 0..<max(1, self.range.count / 2) {
      let port = self.next
      self.next = port &+ 2
      if self.next < self.range.lowerBound || Int(self.next) + 1 > Int(self.range.upperBound) {
        self.next = self.range.lowerBound &+ self.range.lowerBound % 2
      }
      do throws(ModuleError) {
        let rtp = try self.transport.open(address.with(port: port), typeOfService: self.typeOfService)
        let rtcp = try self.transport.open(address.with(port: port + 1), typeOfService: self.typeOfService)
        let bound = rtp.localAddress
        return MediaPorts(rtp: Disconnected(rtp), rtcp: Disconnected(rtcp), address: bound)
      } catch { last = error }
    }
    throw last
      ?? ModuleError(.unavailable, "rtp_ports \(self.range.lowerBound)-\(self.range.upperBound): no free pair")
  }
}
