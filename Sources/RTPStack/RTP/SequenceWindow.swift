/// Which of the last 128 sequence numbers were seen; bit n stands for the highest less n.
package struct SequenceWindow: Sendable {
  /// How far back the window reaches.
  package static let length = 128

  private var seen: UInt128

  /// A window in which only the highest was seen.
  package init() { self.seen = 1 }

  /// Moves the window up by `step`, above zero, and marks the new highest.
  package mutating func advance(by step: Int) {
    self.seen = step < Self.length ? self.seen << UInt128(step) | 1 : 1
  }

  /// Marks the number `age` below the highest; false when it was seen before. Ages outside the window count as unseen.
  package mutating func mark(age: Int) -> Bool {
    guard age >= 0, age < Self.length else { return true }
    let bit = UInt128(1) << UInt128(age)
    defer { self.seen |= bit }
    return self.seen & bit == 0
  }

  /// Whether the number `age` below the highest was seen; nil outside the window.
  func hasSeen(age: Int) -> Bool? {
    age >= 0 && age < Self.length ? self.seen >> UInt128(age) & 1 == 1 : nil
  }

  /// How many numbers with ages in `ages` were not seen; those beyond the window count as unseen.
  package func unseen(ages: Range<Int>) -> Int {
    let inside = ages.clamped(to: 0..<Self.length)
    guard !inside.isEmpty else { return ages.count }
    let mask = inside.count == Self.length ? UInt128.max : (UInt128(1) << UInt128(inside.count)) - 1
    return ages.count - ((self.seen >> UInt128(inside.lowerBound)) & mask).nonzeroBitCount
  }
}
