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

  package init(transport: any DatagramTransport, range: ClosedRange<UInt16>, typeOfService: Int, start: UInt64) {
    self.transport = transport
    self.range = range
    self.typeOfService = typeOfService
    self.first = (Int(range.lowerBound) + 1) / 2 * 2
    self.pairs = max(0, (Int(range.upperBound) - self.first + 1) / 2)
    self.next = self.pairs > 0 ? Int(start % UInt64(self.pairs)) : 0
  }

  /// - Throws: when no pair of the range is free, `.exhausted` when no socket can be opened at all.
  package mutating func open(on address: SocketAddress) throws(ModuleError) -> MediaPorts {
    var last: ModuleError?
    for _ in 0..<self.pairs {
      let port = UInt16(self.first + 2 * self.next)
      self.next = (self.next + 1) % self.pairs
      do throws(ModuleError) {
        let rtp = try self.transport.open(address.with(port: port), typeOfService: self.typeOfService)
        let rtcp = try self.transport.open(address.with(port: port + 1), typeOfService: self.typeOfService)
        let bound = rtp.localAddress
        return MediaPorts(rtp: Disconnected(rtp), rtcp: Disconnected(rtcp), address: bound)
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
