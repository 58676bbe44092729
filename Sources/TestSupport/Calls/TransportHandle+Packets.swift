internal import NetBase
internal import Runtime
package import UACore

extension TransportHandle {
  /// Sends bytes as RTP or RTCP, protected as the transport's own packets are; false where nothing leaves.
  package func send(_ bytes: [UInt8], isRTCP: Bool = false) -> Bool {
    var room = bytes + [UInt8](repeating: 0, count: 200)
    return self.loop.asOwner { _ in
      self.transport.withValue { transport in
        room.withPacket { packet in
          packet.count = bytes.count
          return isRTCP ? transport.send(report: &packet) : transport.send(packet: &packet)
        }
      }
    } ?? false
  }
}
