internal import NetBase

/// Why bytes are not an RTP packet.
package enum RTPHeaderError: Error, Equatable, Sendable {
  /// Fewer bytes than the fixed header has.
  case short
  /// A version other than 2.
  case version
  /// The CSRC list runs past the end.
  case contributingSources
  /// The header extension runs past the end.
  case headerExtension
  /// The padding count is zero or reaches into the header.
  case padding
}

/// The RTP header (RFC 3550 §5.1), with the places of what follows it as offsets into the packet.
package struct RTPHeader: Equatable, Sendable {
  /// Length of the fixed header, in bytes.
  package static let fixedLength = 12

  /// A header extension, its elements not interpreted (RFC 3550 §5.3.1, RFC 8285).
  package struct Extension: Equatable, Sendable {
    /// "Defined by profile": 0xBEDE for one-byte elements, 0x1000 to 0x100F for two-byte ones.
    package let profile: UInt16
    /// Where the extension's words are.
    package let bytes: Range<Int>

    package init(profile: UInt16, bytes: Range<Int>) { (self.profile, self.bytes) = (profile, bytes) }
  }

  package var marker: Bool
  /// 0 to 127.
  package var payloadType: UInt8
  package var sequenceNumber: UInt16
  package var timestamp: UInt32
  package var ssrc: UInt32
  /// How many CSRC identifiers follow the fixed header, 0 to 15.
  package private(set) var contributingSourceCount = 0
  package private(set) var headerExtension: Extension?
  /// Where the payload is, its padding removed; empty for a header that is to be sent.
  package private(set) var payload: Range<Int> = 0..<0

  /// A header to send: no CSRC, no extension, no padding. Only the low seven bits of `payloadType` count.
  package init(marker: Bool, payloadType: UInt8, sequenceNumber: UInt16, timestamp: UInt32, ssrc: UInt32) {
    self.marker = marker
    self.payloadType = payloadType & 0x7F
    self.sequenceNumber = sequenceNumber
    self.timestamp = timestamp
    self.ssrc = ssrc
  }

  /// Parses the header of a whole packet; every length in it is checked against the packet's own.
  package init(parsing packet: RawSpan) throws(RTPHeaderError) {
    guard packet.byteCount >= Self.fixedLength else { throw .short }
    let first = packet.uint8(at: 0)
    guard first >> 6 == 2 else { throw .version }
    let second = packet.uint8(at: 1)
    self.init(
      marker: second & 0x80 != 0, payloadType: second, sequenceNumber: packet.uint16(at: 2),
      timestamp: packet.uint32(at: 4), ssrc: packet.uint32(at: 8))

    self.contributingSourceCount = Int(first & 0x0F)
    var start = Self.fixedLength + 4 * self.contributingSourceCount
    guard start <= packet.byteCount else { throw .contributingSources }
    if first & 0x10 != 0 {
      guard start + 4 <= packet.byteCount else { throw .headerExtension }
      let end = start + 4 + 4 * Int(packet.uint16(at: start + 2))
      guard end <= packet.byteCount else { throw .headerExtension }
      self.headerExtension = Extension(profile: packet.uint16(at: start), bytes: start + 4..<end)
      start = end
    }
    var end = packet.byteCount
    if first & 0x20 != 0 {
      let padding = Int(packet.uint8(at: end - 1))
      guard padding > 0, padding <= end - start else { throw .padding }
      end -= padding
    }
    self.payload = start..<end
  }

  /// The CSRC identifier at `index`, which is below `contributingSourceCount`; `packet` is the one that was parsed.
  package func contributingSource(_ index: Int, in packet: RawSpan) -> UInt32 {
    precondition(index >= 0 && index < self.contributingSourceCount, "no such contributing source")
    return packet.uint32(at: Self.fixedLength + 4 * index)
  }

  /// Writes the fixed header at the start of `room`, which has at least 12 bytes, and returns its length.
  @discardableResult
  package func write(into room: inout MutableRawSpan) -> Int {
    room.set(uint8: 0x80, at: 0)
    room.set(uint8: self.payloadType & 0x7F | (self.marker ? 0x80 : 0), at: 1)
    room.set(uint16: self.sequenceNumber, at: 2)
    room.set(uint32: self.timestamp, at: 4)
    room.set(uint32: self.ssrc, at: 8)
    return Self.fixedLength
  }
}
