/// The middle one of what was seen: one that is far off, because somebody was not served for a while, does not move it.
struct Median {
  /// In order; the first `count` of them count.
  private var values: [Int]
  private(set) var count = 0

  /// - Parameter capacity: of more values than that, the first count.
  init(capacity: Int) { self.values = [Int](repeating: 0, count: capacity) }

  mutating func insert(_ value: Int) {
    guard self.count < self.values.count else { return }
    var place = self.count
    while place > 0, self.values[place - 1] > value {
      self.values[place] = self.values[place - 1]
      place -= 1
    }
    self.values[place] = value
    self.count += 1
  }

  /// Gives the middle one, 0 of none, and forgets them all.
  mutating func take() -> Int {
    defer { self.count = 0 }
    return self.count == 0 ? 0 : self.values[self.count / 2]
  }

  mutating func forget() { self.count = 0 }
}
