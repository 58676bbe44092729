import TestSupport

/// Ways to damage bytes: as a fuzzer's, but few, and from a seed.
struct Mutation {
  var generator: TestGenerator

  init(seed: UInt64) { self.generator = TestGenerator(seed: seed) }

  mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self.generator) }

  mutating func byte() -> UInt8 { UInt8.random(in: 0...255, using: &self.generator) }

  mutating func pick<Choice>(_ choices: [Choice]) -> Choice { choices[self.number(0...choices.count - 1)] }

  mutating func chance(_ share: Double) -> Bool { self.generator.happens(share) }

  mutating func garbage(_ counts: ClosedRange<Int>) -> [UInt8] {
    let count = self.number(counts)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
      var word = self.generator.next()
      for _ in 0..<8 {
        bytes.append(UInt8(truncatingIfNeeded: word))
        word >>= 8
      }
    }
    return Array(bytes[..<count])
  }

  /// One to four changes: bits, bytes, lengths, pieces that go, come twice or are put elsewhere.
  mutating func damage(_ bytes: [UInt8], from start: Int = 0, limit: Int = 1500) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<self.number(1...4) {
      guard bytes.count > start else { return bytes + self.garbage(1...8) }
      let place = self.number(start...bytes.count - 1)
      let end = min(bytes.count, place + self.number(1...40))
      switch self.number(0...8) {
      case 0, 1: bytes[place] ^= 1 << UInt8(self.number(0...7))
      case 2: bytes[place] = self.byte()
      case 3: bytes[place] = self.pick([0, 0xFF, 0x7F, 0x80, 0x20, 0x0D, 0x0A, 0x3A, 0x3B, 0x22])
      case 4: bytes.removeSubrange(place..<end)
      case 5: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
      case 6: bytes.insert(contentsOf: self.garbage(1...20), at: place)
      case 7: bytes.removeSubrange(place...)
      default:
        let piece = Array(bytes[place..<end])
        bytes.removeSubrange(place..<end)
        bytes.insert(contentsOf: piece, at: self.number(start...max(start, bytes.count)))
      }
    }
    return bytes.count > limit ? Array(bytes[..<limit]) : bytes
  }
}
