internal import NetBase

/// What a receiver says about one source (RFC 3550 §6.4.1).
package struct RTCPReportBlock: Equatable, Sendable {
  /// Length on the wire, in bytes.
  package static let length = 24

  /// The source that the report is about.
  package var ssrc: UInt32
  /// Fraction lost since the last report, in 256ths.
  package var fractionLost: UInt8
  /// Packets lost since the start; negative when duplicates count; 24 bits with a sign, clamped when written.
  package var cumulativeLost: Int32
  package var extendedHighest: UInt32
  /// Interarrival jitter in timestamp units.
  package var jitter: UInt32
  /// The middle 32 bits of the NTP time in the last sender report, 0 when there was none.
  package var lastSenderReport: UInt32
  /// Time since that report came, in 65536ths of a second.
  package var delaySinceLastSenderReport: UInt32

  package init(
    ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, extendedHighest: UInt32, jitter: UInt32,
    lastSenderReport: UInt32, delaySinceLastSenderReport: UInt32
  ) {
    (self.ssrc, self.fractionLost, self.cumulativeLost) = (ssrc, fractionLost, cumulativeLost)
    (self.extendedHighest, self.jitter) = (extendedHighest, jitter)
    (self.lastSenderReport, self.delaySinceLastSenderReport) = (lastSenderReport, delaySinceLastSenderReport)
  }

  /// Reads the block at `offset`; the caller has checked that all 24 bytes are there.
  package init(at offset: Int, in bytes: RawSpan) {
    let loss = bytes.uint32(at: offset + 4)
    self.init(
      ssrc: bytes.uint32(at: offset), fractionLost: UInt8(loss >> 24),
      cumulativeLost: Int32(bitPattern: loss << 8) >> 8, extendedHighest: bytes.uint32(at: offset + 8),
      jitter: bytes.uint32(at: offset + 12), lastSenderReport: bytes.uint32(at: offset + 16),
      delaySinceLastSenderReport: bytes.uint32(at: offset + 20))
  }

  /// Writes the block at `offset` of `room`, which has 24 bytes there.
  package func write(into room: inout MutableRawSpan, at offset: Int) {
    let lost = min(max(self.cumulativeLost, -0x80_0000), 0x7F_FFFF)
    room.set(uint32: self.ssrc, at: offset)
    room.set(uint32: UInt32(self.fractionLost) << 24 | UInt32(bitPattern: lost) & 0xFF_FFFF, at: offset + 4)
    room.set(uint32: self.extendedHighest, at: offset + 8)
    room.set(uint32: self.jitter, at: offset + 12)
    room.set(uint32: self.lastSenderReport, at: offset + 16)
    room.set(uint32: self.delaySinceLastSenderReport, at: offset + 20)
  }
}
