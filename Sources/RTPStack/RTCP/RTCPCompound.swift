internal import NetBase

/// Why bytes are not an RTCP compound packet (RFC 3550 A.2).
package enum RTCPError: Error, Equatable, Sendable {
  /// Fewer bytes than one header has.
  case short
  /// A version other than 2, in any of the packets.
  case version
  /// The lengths do not add up to the datagram's.
  case length
  /// Padding on a packet that is not the last, or a padding count that does not fit.
  case padding
  /// It does not begin with a report, and reduced size was not agreed (RFC 5506).
  case order
  /// A report is shorter than its counts say.
  case truncated
}

/// One packet inside a compound packet: what it is and where its body lies.
package struct RTCPPacket: Equatable, Sendable {
  /// The packet types that are understood, by their numbers on the wire.
  package enum Kind: UInt8, Sendable {
    case senderReport = 200
    case receiverReport, sourceDescription, goodbye, application
    /// RTPFB and PSFB (RFC 4585 §6.1).
    case transportFeedback, payloadFeedback
  }

  /// What the packet is; nil for a type to be skipped.
  package let kind: Kind?
  /// The packet type's number.
  package let type: UInt8
  /// The five bits below the padding bit: report, source or chunk count, subtype or feedback message type.
  package let count: Int
  /// Everything after the first four bytes, padding removed.
  package let body: Range<Int>

  /// Where the report blocks begin; nil for a packet without any.
  package var firstBlock: Int? {
    switch self.kind {
    case .senderReport: self.body.lowerBound + 24
    case .receiverReport: self.body.lowerBound + 4
    case .sourceDescription, .goodbye, .application, .transportFeedback, .payloadFeedback, nil: nil
    }
  }

  /// Where the feedback control information of a feedback packet lies (RFC 4585 §6.1); not interpreted.
  package var feedbackControl: Range<Int>? {
    switch self.kind {
    case .transportFeedback, .payloadFeedback: self.body.lowerBound + 8..<self.body.upperBound
    case .senderReport, .receiverReport, .sourceDescription, .goodbye, .application, nil: nil
    }
  }

  /// The least body that a packet of this kind and count may have, in bytes.
  var leastBody: Int {
    switch self.kind {
    case .senderReport: 24 + RTCPReportBlock.length * self.count
    case .receiverReport: 4 + RTCPReportBlock.length * self.count
    case .goodbye: 4 * self.count
    case .application, .transportFeedback, .payloadFeedback: 8
    case .sourceDescription, nil: 0
    }
  }
}

/// The packets of a compound or reduced-size RTCP packet (RFC 3550 §6.1, RFC 5506), validated as a whole before the first
/// is handed out.
package struct RTCPCompound: ~Escapable {
  private let bytes: RawSpan
  private var offset = 0

  /// Validates `bytes` (A.2). With `allowsReducedSize`, it may begin with any packet.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, allowsReducedSize: Bool = true) throws(RTCPError) {
    self.bytes = bytes
    guard bytes.byteCount >= 4 else { throw .short }
    let type = bytes.uint8(at: 1)
    guard allowsReducedSize || type == 200 || type == 201 else { throw .order }
    var offset = 0
    while offset < bytes.byteCount {
      let packet = try Self.packet(at: offset, in: bytes)
      guard packet.body.count >= packet.leastBody else { throw .truncated }
      offset += 4 * (Int(bytes.uint16(at: offset + 2)) + 1)
    }
  }

  /// The next packet; nil after the last.
  @_lifetime(self: copy self)
  package mutating func next() -> RTCPPacket? {
    guard self.offset < self.bytes.byteCount, let packet = try? Self.packet(at: self.offset, in: self.bytes) else {
      return nil
    }
    self.offset += 4 * (Int(self.bytes.uint16(at: self.offset + 2)) + 1)
    return packet
  }

  private static func packet(at offset: Int, in bytes: RawSpan) throws(RTCPError) -> RTCPPacket {
    guard offset + 4 <= bytes.byteCount else { throw .length }
    let first = bytes.uint8(at: offset)
    guard first >> 6 == 2 else { throw .version }
    var end = offset + 4 * (Int(bytes.uint16(at: offset + 2)) + 1)
    guard end <= bytes.byteCount else { throw .length }
    if first & 0x20 != 0 {
      guard end == bytes.byteCount else { throw .padding }
      let padding = Int(bytes.uint8(at: end - 1))
      guard padding > 0, padding % 4 == 0, padding <= end - offset - 4 else { throw .padding }
      end -= padding
    }
    let type = bytes.uint8(at: offset + 1)
    return RTCPPacket(
      kind: RTCPPacket.Kind(rawValue: type), type: type, count: Int(first & 0x1F), body: offset + 4..<end)
  }
}

/// The sender's part of a sender report (RFC 3550 §6.4.1).
package struct RTCPSenderInfo: Equatable, Sendable {
  package var ssrc: UInt32
  /// NTP time: seconds since 1900 above, fraction below.
  package var ntpTime: UInt64
  package var timestamp: UInt32
  package var packets: UInt32
  package var octets: UInt32

  package init(ssrc: UInt32, ntpTime: UInt64, timestamp: UInt32, packets: UInt32, octets: UInt32) {
    (self.ssrc, self.ntpTime, self.timestamp) = (ssrc, ntpTime, timestamp)
    (self.packets, self.octets) = (packets, octets)
  }

  /// Reads the body of a sender report, which `RTCPCompound` has validated.
  package init(_ packet: RTCPPacket, in bytes: RawSpan) {
    let start = packet.body.lowerBound
    self.init(
      ssrc: bytes.uint32(at: start), ntpTime: bytes.uint64(at: start + 4), timestamp: bytes.uint32(at: start + 12),
      packets: bytes.uint32(at: start + 16), octets: bytes.uint32(at: start + 20))
  }
}

/// The canonical name in a source description packet (RFC 3550 §6.5.1).
package struct RTCPCanonicalName: Equatable, Sendable {
  package let ssrc: UInt32
  /// Where its UTF-8 bytes are.
  package let text: Range<Int>

  /// The first canonical name in `packet`, a source description; nil when it has none or is malformed.
  package init?(_ packet: RTCPPacket, in bytes: RawSpan) {
    var offset = packet.body.lowerBound
    let end = packet.body.upperBound
    for _ in 0..<packet.count {
      guard offset + 4 <= end else { return nil }
      let ssrc = bytes.uint32(at: offset)
      offset += 4
      while offset < end, bytes.uint8(at: offset) != 0 {
        guard offset + 2 <= end else { return nil }
        let text = offset + 2..<offset + 2 + Int(bytes.uint8(at: offset + 1))
        guard text.upperBound <= end else { return nil }
        if bytes.uint8(at: offset) == 1 {
          (self.ssrc, self.text) = (ssrc, text)
          return
        }
        offset = text.upperBound
      }
      // One to four zero bytes end a chunk, up to the next word.
      offset += 4 - (offset - packet.body.lowerBound) % 4
    }
    return nil
  }
}
