internal import NetBase
internal import RTPStack

/// RTP packets in the clear.
package enum PlainPackets {
  /// A PCMU packet of 20 ms, every byte of it `fill`.
  package static func pcmu(
    sequence: UInt16, timestamp: UInt32? = nil, ssrc: UInt32 = 0x5EED, payloadType: UInt8 = 0, fill: UInt8 = 0x10
  ) -> [UInt8] {
    let header = RTPHeader(
      marker: false, payloadType: payloadType, sequenceNumber: sequence,
      timestamp: timestamp ?? UInt32(sequence) * 160, ssrc: ssrc)
    var bytes = [UInt8](repeating: fill, count: 172)
    bytes.withPacket { packet in _ = header.write(into: &packet.storage) }
    return bytes
  }

  /// An empty receiver report and a name, long enough to be SRTCP; read as that, the E bit is clear.
  package static let rtcp: [UInt8] =
    [0x80, 201, 0, 1, 0, 0, 0x5E, 0xED, 0x81, 202, 0, 9, 0, 0, 0x5E, 0xED, 1, 27]
    + [UInt8](repeating: 0x61, count: 27) + [0, 0, 0]
}
