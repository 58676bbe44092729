/// Random bits that replay from a seed: the ChaCha20 key stream (RFC 8439 §2.3) with a zero nonce.
///
/// Tags and branches travel over the network, so what was seen must not tell what comes next; that is why this is a
/// cipher and not a plain shift register. A product seeds all 256 bits from the system, a test seeds 64.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  package typealias Block = InlineArray<16, UInt32>

  private let key: InlineArray<8, UInt32>
  private var counter: UInt64 = 0
  private var block = Block(repeating: 0)
  private var used = 16

  /// A stream for tests and simulations.
  package init(seed: UInt64) {
    self.init(key: (seed, ~seed, seed &* 0x9E37_79B9_7F4A_7C15, 0))
  }

  /// A stream with all 256 bits of its key from the caller.
  package init(key: (UInt64, UInt64, UInt64, UInt64)) {
    let words: InlineArray<4, UInt64> = [key.0, key.1, key.2, key.3]
    self.key = InlineArray { UInt32(truncatingIfNeeded: words[$0 / 2] >> ($0.isMultiple(of: 2) ? 0 : 32)) }
  }

  package mutating func next() -> UInt64 {
    if self.used == self.block.count {
      self.block = Self.block(key: self.key, counter: self.counter)
      self.counter &+= 1
      self.used = 0
    }
    defer { self.used += 2 }
    return UInt64(self.block[self.used]) | UInt64(self.block[self.used + 1]) << 32
  }

  /// `bits` random bits as lower-case hexadecimal digits; whole words of 64.
  package mutating func hexadecimal(words: Int) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(words * 16)
    for _ in 0..<words {
      let word = self.next()
      for shift in stride(from: 60, through: 0, by: -4) { text.append(digits[Int(word >> UInt64(shift) & 15)]) }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// One ChaCha20 block: 16 words of key stream (RFC 8439 §2.3, with a 64-bit counter and a zero nonce).
  static func block(key: InlineArray<8, UInt32>, counter: UInt64) -> Block {
    var start: Block = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    for index in key.indices { start[4 + index] = key[index] }
    (start[12], start[13]) = (UInt32(truncatingIfNeeded: counter), UInt32(counter >> 32))
    var state = start
    for _ in 0..<10 {
      Self.quarter(&state, 0, 4, 8, 12)
      Self.quarter(&state, 1, 5, 9, 13)
      Self.quarter(&state, 2, 6, 10, 14)
      Self.quarter(&state, 3, 7, 11, 15)
      Self.quarter(&state, 0, 5, 10, 15)
      Self.quarter(&state, 1, 6, 11, 12)
      Self.quarter(&state, 2, 7, 8, 13)
      Self.quarter(&state, 3, 4, 9, 14)
    }
    for index in state.indices { state[index] &+= start[index] }
    return state
  }

  private static func quarter(_ state: inout Block, _ a: Int, _ b: Int, _ c: Int, _ d: Int) {
    Self.mix(&state, a, b, d, 16)
    Self.mix(&state, c, d, b, 12)
    Self.mix(&state, a, b, d, 8)
    Self.mix(&state, c, d, b, 7)
  }

  private static func mix(_ state: inout Block, _ x: Int, _ y: Int, _ z: Int, _ bits: UInt32) {
    state[x] &+= state[y]
    let turned = state[z] ^ state[x]
    state[z] = turned << bits | turned >> (32 - bits)
  }
}
