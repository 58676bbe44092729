/// The 48-bit index of an SRTP packet: rollover counter × 2^16 + sequence number (RFC 3711 §3.3.1).
enum PacketIndex {
  /// The index that `sequenceNumber` most likely stands for, `highest` being the highest authenticated so far.
  ///
  /// It is libsrtp2's estimate, bit for bit, so that what we follow and what the library follows never part: like RFC
  /// 3711 appendix A, but an index up to 2^15 stays under rollover counter 0 rather than falling to 2^32 - 1.
  static func estimate(_ sequenceNumber: UInt16, highest: UInt64) -> UInt64 {
    let median = 0x8000
    guard highest > UInt64(median) else { return UInt64(sequenceNumber) }
    let (received, last) = (Int(sequenceNumber), Int(highest & 0xFFFF))
    var rolloverCounter = highest >> 16
    if last < median {
      if received - last > median { rolloverCounter &-= 1 }
    } else if last - median > received {
      rolloverCounter &+= 1
    }
    return (rolloverCounter & 0xFFFF_FFFF) << 16 | UInt64(sequenceNumber)
  }

  static func rolloverCounter(of index: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: index >> 16) }

  /// Whether `sequenceNumber` comes before that of `index`, at most 2^15 packets away.
  static func precedes(_ sequenceNumber: UInt16, _ index: UInt64) -> Bool {
    Int16(bitPattern: sequenceNumber &- UInt16(truncatingIfNeeded: index)) < 0
  }
}
