internal import NetBase
internal import RTPStack
internal import SRTPEngine

/// The packets that every leg is sent: one each 20 ms, PCMU, protected where the case says so.
struct PacketSource: ~Copyable {
  static let period = 160
  private var room = [UInt8](repeating: 0, count: 256)
  private var sequence: UInt16 = 1000
  private var timestamp: UInt32 = 0
  private var context: OutboundSRTP?
  /// The packet that is to be sent now.
  private(set) var packet: [UInt8] = []

  init(_ material: consuming SRTPKeyMaterial?) throws {
    if let material { self.context = try OutboundSRTP(material) } else { self.context = nil }
  }

  mutating func advance() throws {
    self.sequence &+= 1
    self.timestamp &+= UInt32(Self.period)
    let (sequence, timestamp) = (self.sequence, self.timestamp)
    var result = SRTPResult.ok
    let count = self.room.withPacket(count: 12 + Self.period) { packet in
      packet.storage.set(uint8: 0x80, at: 0)
      packet.storage.set(uint8: 0, at: 1)
      packet.storage.set(uint16: sequence, at: 2)
      packet.storage.set(uint32: timestamp, at: 4)
      packet.storage.set(uint32: 0xA905_BE4C, at: 8)
      // No byte that decodes to silence, so that the sink can tell decoded samples from none.
      for index in 0..<Self.period { packet.storage.set(uint8: UInt8(index % 100), at: 12 + index) }
      if let protected = self.context?.protect(rtp: &packet) { result = protected }
      return packet.count
    }
    guard case .ok = result else { throw BenchFailure("a packet could not be protected") }
    self.packet = Array(self.room[..<count])
  }
}
