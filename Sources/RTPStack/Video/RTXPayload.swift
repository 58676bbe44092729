internal import NetBase

/// The payload of a retransmission stream (RFC 4588 §4): the original sequence number, and then the original payload.
package enum RTXPayload {
  /// Bytes of the original sequence number, which a packet grows by.
  package static let overhead = 2

  /// The sequence number of the packet that is sent again; nil when the payload is too short to have one.
  package static func original(of payload: RawSpan) -> UInt16? {
    payload.byteCount >= Self.overhead ? payload.uint16(at: 0) : nil
  }

  /// Writes the packet that sends `packet` again at the start of `room` and returns its length; 0 when `packet` is no RTP packet or
  /// `room` has no place for it. Marker, timestamp, contributing sources and header extension are kept, padding is not.
  package static func write(
    original packet: RawSpan, payloadType: UInt8, sequenceNumber: UInt16, ssrc: UInt32, into room: inout MutableRawSpan
  ) -> Int {
    guard let header = try? RTPHeader(parsing: packet) else { return 0 }
    let start = header.payload.lowerBound
    let count = header.payload.upperBound + Self.overhead
    guard count <= room.byteCount else { return 0 }
    room.copy(packet.extracting(0..<start), at: 0)
    room.set(uint8: packet.uint8(at: 0) & ~0x20, at: 0)
    room.set(uint8: packet.uint8(at: 1) & 0x80 | payloadType & 0x7F, at: 1)
    room.set(uint16: sequenceNumber, at: 2)
    room.set(uint32: ssrc, at: 8)
    room.set(uint16: header.sequenceNumber, at: start)
    room.copy(packet.extracting(header.payload), at: start + Self.overhead)
    return count
  }
}
