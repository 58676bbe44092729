/// Random bits that replay from a seed: the ChaCha20 key stream (RFC 8439 §2.3) with a zero nonce.
///
/// Tags and branches travel over the network, so what was seen must not tell what comes next; that is why this is a
/// cipher and not a plain shift register. A product seeds all 256 bits from the system, a test seeds 64.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private let key: [UInt32]
  private var counter: UInt64 = 0
  private var block: [UInt32] = []
  private var used = 0

  /// A stream for tests and simulations.
  package init(seed: UInt64) {
    self.init(key: (seed, ~seed, seed &* 0x9E37_79B9_7F4A_7C15, 0))
  }

  /// A stream with all 256 bits of its key from the caller.
  package init(key: (UInt64, UInt64, UInt64, UInt64)) {
    self.key = [key.0, key.1, key.2, key.3].flatMap { [UInt32(truncatingIfNeeded: $0), UInt32($0 >> 32)] }
  }

  package mutating func next() -> UInt64 {
    if self.used + 2 > self.block.count {
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
  static func block(key: [UInt32], counter: UInt64) -> [UInt32] {
    let start: [UInt32] =
      [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574] + key
      + [UInt32(truncatingIfNeeded: counter), UInt32(counter >> 32), 0, 0]
    var state = start
    func quarter(_ a: Int, _ b: Int, _ c: Int, _ d: Int) {
      func mix(_ x: Int, _ y: Int, _ z: Int, _ bits: UInt32) {
        state[x] &+= state[y]
        let turned = state[z] ^ state[x]
        state[z] = turned << bits | turned >> (32 - bits)
      }
      mix(a, b, d, 16)
      mix(c, d, b, 12)
      mix(a, b, d, 8)
      mix(c, d, b, 7)
    }
    for _ in 0..<10 {
      quarter(0, 4, 8, 12)
      quarter(1, 5, 9, 13)
      quarter(2, 6, 10, 14)
      quarter(3, 7, 11, 15)
      quarter(0, 5, 10, 15)
      quarter(1, 6, 11, 12)
      quarter(2, 7, 8, 13)
      quarter(3, 4, 9, 14)
    }
    return (0..<16).map { state[$0] &+ start[$0] }
  }
}
