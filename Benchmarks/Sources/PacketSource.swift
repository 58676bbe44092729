internal import ModuleKit
internal import NetBase
internal import RTPStack
internal import SRTPEngine

/// The packets that every leg is sent: one each 20 ms, protected where the case says so.
struct PacketSource: ~Copyable {
  private let codec: BenchCodec
  /// For what is not made by hand.
  private let encoder: (any AudioEncoder)?
  private var room = [UInt8](repeating: 0, count: 1500)
  private var sequence: UInt16 = 1000
  private var timestamp: UInt32 = 0
  private var context: OutboundSRTP?
  /// The packet that is to be sent now.
  private(set) var packet: [UInt8] = []

  init(_ codec: BenchCodec, _ encoder: (any AudioEncoder)?, _ material: consuming SRTPKeyMaterial?) throws {
    (self.codec, self.encoder) = (codec, encoder)
    if let material { self.context = try OutboundSRTP(material) } else { self.context = nil }
  }

  mutating func advance() throws {
    self.sequence &+= 1
    self.timestamp &+= UInt32(self.codec.samples)
    let (sequence, timestamp) = (self.sequence, self.timestamp)
    let payload = self.makePayload()
    guard !payload.isEmpty else { throw BenchFailure("a packet could not be encoded") }
    var result = SRTPResult.ok
    let type = self.codec.payloadType
    let count = self.room.withPacket(count: 12 + payload.count) { packet in
      packet.storage.set(uint8: 0x80, at: 0)
      packet.storage.set(uint8: type, at: 1)
      packet.storage.set(uint16: sequence, at: 2)
      packet.storage.set(uint32: timestamp, at: 4)
      packet.storage.set(uint32: 0xA905_BE4C, at: 8)
      for index in payload.indices { packet.storage.set(uint8: payload[index], at: 12 + index) }
      if let protected = self.context?.protect(rtp: &packet) { result = protected }
      return packet.count
    }
    guard case .ok = result else { throw BenchFailure("a packet could not be protected") }
    self.packet = Array(self.room[..<count])
  }

  private func makePayload() -> [UInt8] {
    // No byte that decodes to silence, so that the sink can tell decoded samples from none.
    guard let encoder else { return (0..<self.codec.samples).map { UInt8($0 % 100) } }
    let tone = Array(BenchAudio.tone.prefix(self.codec.samples))
    var payload = [UInt8](repeating: 0, count: 1300)
    let result = payload.withPacket { encoder.encode(tone.span, into: &$0.storage) }
    guard case .payload(let count) = result else { return [] }
    return Array(payload[..<count])
  }
}
