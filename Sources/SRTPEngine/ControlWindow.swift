/// Which SRTCP indices of one SSRC were seen, or how many were sent: the last 128, as in libsrtp2's `rdb`.
struct ControlWindow {
  /// The lowest index that the bits tell of; for a sender, the index of its last packet.
  private var start: UInt32 = 0
  /// Bit n is index `start` + n.
  private var seen: UInt128 = 0

  /// The index of the next packet that is sent; nil when none is left under this key (RFC 3711 §9.2).
  mutating func advance() -> UInt32? {
    guard self.start < 0x7FFF_FFFF else { return nil }
    self.start += 1
    return self.start
  }

  func isNew(_ index: UInt32) -> Bool {
    guard index >= self.start else { return false }
    let offset = index - self.start
    return offset >= 128 || self.seen >> UInt128(offset) & 1 == 0
  }

  /// Notes the index of an authentic packet that is new.
  mutating func note(_ index: UInt32) {
    guard index >= self.start else { return }
    var offset = index - self.start
    if offset >= 128 {
      // UInt128's shift gives 0 for what is shifted out.
      self.seen >>= UInt128(offset - 127)
      self.start += offset - 127
      offset = 127
    }
    self.seen |= 1 << UInt128(offset)
  }
}
