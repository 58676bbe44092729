/// Values under tokens that are never used twice: a slot's place, and how often the slot was given out.
///
/// Looking one up is a step or two, and hashes nothing; adding allocates only when there were never so many before.
struct SlotTable<Value> {
  private struct Slot {
    /// How often it was given out; zero is never a part of a token, so no token is zero.
    var uses: UInt32 = 0
    var value: Value?
  }

  private var slots: [Slot] = []
  private var free: [Int] = []

  mutating func add(_ value: Value) -> UInt64 {
    let place = self.free.popLast() ?? self.slots.count
    if place == self.slots.count { self.slots.append(Slot()) }
    self.slots[place].uses &+= 1
    if self.slots[place].uses == 0 { self.slots[place].uses = 1 }
    self.slots[place].value = value
    return UInt64(self.slots[place].uses) << 32 | UInt64(place)
  }

  /// Takes the value out; nil when it is gone. Whoever ignores it releases it when the table is whole again.
  @discardableResult
  mutating func remove(_ token: UInt64) -> Value? {
    guard let place = self.place(of: token) else { return nil }
    self.free.append(place)
    return self.slots[place].value.take()
  }

  /// Nil when it was removed.
  subscript(token: UInt64) -> Value? { self.place(of: token).flatMap { self.slots[$0].value } }

  /// Changes a value where it is; nil when it was removed.
  mutating func update<Result>(_ token: UInt64, _ body: (inout Value) -> Result) -> Result? {
    guard let place = self.place(of: token), var value = self.slots[place].value.take() else { return nil }
    let result = body(&value)
    self.slots[place].value = consume value
    return result
  }

  private func place(of token: UInt64) -> Int? {
    let place = Int(UInt32(truncatingIfNeeded: token))
    guard place < self.slots.count, self.slots[place].uses == token >> 32, self.slots[place].value != nil else {
      return nil
    }
    return place
  }
}
