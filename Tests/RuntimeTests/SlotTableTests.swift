import Testing

@testable import Runtime

@Suite("Slots under tokens")
struct SlotTableTests {
  @Test("a value is found by its token until it is removed, and by no other ever after")
  func tokens() {
    var table = SlotTable<String>()
    var used: Set<UInt64> = [0]
    var last: UInt64?
    for round in 0..<1000 {
      let token = table.add("\(round)")
      #expect(used.insert(token).inserted, "no token is given twice, and none is 0")
      #expect(table[token] == "\(round)")
      if let last { #expect(table[last] == nil && table.remove(last) == nil && table.update(last) { _ in } == nil) }
      #expect(table.remove(token) == "\(round)")
      last = token
    }
  }

  @Test("a slot is used again, and its neighbours stay")
  func slots() {
    var table = SlotTable<Int>()
    let tokens = (0..<10).map { table.add($0) }
    #expect(table.update(tokens[4]) { value in value += 100 } != nil)
    table.remove(tokens[5])
    let again = table.add(55)
    #expect(UInt32(truncatingIfNeeded: again) == UInt32(truncatingIfNeeded: tokens[5]))
    #expect(tokens.map { table[$0] } == [0, 1, 2, 3, 104, nil, 6, 7, 8, 9] && table[again] == 55)
  }
}
