/// Which SRTP indices of one SSRC were seen (RFC 3711 §3.3.2), and where the next one is (§3.3.1).
///
/// It decides as libsrtp2's `rdbx` does, so that both transforms say the same of every packet; but an index that would
/// pass 2^48 is refused, where libsrtp2 starts again at 0 and uses key stream twice.
struct ReplayWindow {
  /// A ring: an index has the bit of its last 10 binary digits.
  private static let capacity = 1024

  /// What a sequence number stands for.
  enum Place {
    case new(index: UInt64)
    /// New, but too far from what was heard for the window to say anything; it starts anew there.
    case jump(index: UInt64)
    /// Seen before, or older than the window.
    case replayed
    /// No index is left under this key.
    case exhausted
  }

  private(set) var highest: UInt64 = 0
  /// 0: none. Else the next packet is read at this rollover counter, until one was far off and authentic.
  var pendingRolloverCounter: UInt32 = 0
  private let size: Int
  private var seen: InlineArray<16, UInt64>

  /// - Parameter size: 64 to 1024; rounded up to a multiple of 32, as in libsrtp2.
  init(size: Int) {
    self.size = (size + 31) & ~31
    self.seen = InlineArray(repeating: 0)
  }

  /// Forgets what was seen, not how far it went: a new key has no index used yet.
  mutating func renew() {
    self.seen = InlineArray(repeating: 0)
    self.pendingRolloverCounter = 0
  }

  /// Mutating for the compiler's sake, which else copies the whole window, 152 bytes, at each call.
  mutating func place(of sequenceNumber: UInt16) -> Place {
    let index: UInt64
    if self.pendingRolloverCounter != 0 {
      index = UInt64(self.pendingRolloverCounter) << 16 | UInt64(sequenceNumber)
      if index > self.highest, index - self.highest > 0x8000 { return .jump(index: index) }
      if index < self.highest, self.highest - index > 0x8000 { return .replayed }
    } else {
      index = PacketIndex.estimate(sequenceNumber, highest: self.highest)
      // The rollover counter has come round to 0.
      if self.highest > 0x1_0000_0000, index < 0x1_0000_0000 { return .exhausted }
    }
    guard index <= self.highest else { return .new(index: index) }
    let isSeen = self.highest - index >= UInt64(self.size) || self.bit(index)
    return isSeen ? .replayed : .new(index: index)
  }

  /// Notes the index of a packet that was sent, or is authentic.
  mutating func note(_ index: UInt64) {
    if index > self.highest {
      self.clear(after: self.highest, through: index)
      self.highest = index
    }
    self.set(index)
  }

  /// Notes the index of a `jump`.
  mutating func restart(at index: UInt64) {
    self.renew()
    self.highest = index
    self.set(index)
  }

  private func bit(_ index: UInt64) -> Bool { self.seen[Self.word(index)] & Self.mask(index) != 0 }

  private mutating func set(_ index: UInt64) { self.seen[Self.word(index)] |= Self.mask(index) }

  private mutating func clear(after first: UInt64, through last: UInt64) {
    guard last - first < UInt64(Self.capacity) else {
      self.seen = InlineArray(repeating: 0)
      return
    }
    var index = first + 1
    while index <= last {
      if index & 63 == 0, last - index >= 63 {
        self.seen[Self.word(index)] = 0
        index += 64
      } else {
        self.seen[Self.word(index)] &= ~Self.mask(index)
        index += 1
      }
    }
  }

  private static func word(_ index: UInt64) -> Int { Int(truncatingIfNeeded: index >> 6) & 15 }
  private static func mask(_ index: UInt64) -> UInt64 { 1 << (index & 63) }
}
