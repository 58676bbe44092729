/// What was heard of a stream, at one moment: a value to hand to whoever asks.
package struct ReceptionStatistics: Equatable, Sendable {
  /// Packets and payload bytes accepted.
  package var packets: UInt64
  package var octets: UInt64
  /// Expected less received (RFC 3550 A.3); a late packet is not lost.
  package var lost: Int64
  /// Packets that came too late to be played.
  package var late: UInt64
  /// Packets that came more than once.
  package var duplicates: UInt64
  /// Packets that came after a later one, in time or not.
  package var reordered: UInt64
  /// Interarrival jitter in milliseconds (RFC 3550 A.8).
  package var jitter: Double

  package init(
    packets: UInt64 = 0, octets: UInt64 = 0, lost: Int64 = 0, late: UInt64 = 0, duplicates: UInt64 = 0,
    reordered: UInt64 = 0, jitter: Double = 0
  ) {
    (self.packets, self.octets, self.lost, self.late) = (packets, octets, lost, late)
    (self.duplicates, self.reordered, self.jitter) = (duplicates, reordered, jitter)
  }

  /// Packets that could not be played, of those expected, in per cent.
  package var lossPercentage: Double {
    let missing = max(self.lost, 0) + Int64(self.late)
    let expected = Int64(self.packets) + max(self.lost, 0)
    return expected > 0 ? min(Double(missing) / Double(expected) * 100, 100) : 0
  }
}
