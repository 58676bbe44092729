package import ModuleKit
package import NetBase
package import Runtime

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
  ) throws(ModuleError) -> (rtp: any DatagramPort, rtcp: any DatagramPort) {
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
        return (rtp, rtcp)
      } catch { last = error }
    }
    throw last
      ?? ModuleError(.unavailable, "rtp_ports \(self.range.lowerBound)-\(self.range.upperBound): no free pair")
  }
}
