import Testing

@testable import Handoff

/// Counts how many of it are alive.
private final class Counted {
  static let alive = Locked(0)
  let number: Int
  init(_ number: Int) {
    self.number = number
    Self.alive.withLock { $0 += 1 }
  }
  deinit { Self.alive.withLock { $0 -= 1 } }
}

@Suite(.serialized) struct RingTests {
  @Test("first in, first out, around the end many times")
  func order() {
    var ring = Ring<Int>(capacity: 3)
    var (next, expected) = (0, 0)
    for round in 0..<100 {
      for _ in 0..<(round % 3 + 1) {
        var value: Int? = next
        ring.append(&value)
        #expect(value == nil)
        next += 1
      }
      for _ in 0..<(round % 3 + 1) {
        #expect(ring.removeFirst() == expected)
        expected += 1
      }
    }
    #expect(ring.count == 0 && ring.removeFirst() == nil)
  }

  @Test("a full ring leaves the element with its owner")
  func full() {
    var ring = Ring<Int>(capacity: 2)
    for value in 1...2 {
      var given: Int? = value
      ring.append(&given)
    }
    var third: Int? = 3
    ring.append(&third)
    #expect(third == 3 && ring.count == 2)
    ring.prepend(&third)
    #expect(third == 3)
    #expect(ring.removeFirst() == 1)
    ring.prepend(&third)
    #expect(third == nil && ring.removeFirst() == 3 && ring.removeFirst() == 2)
  }

  @Test("random operations agree with an array")
  func model() {
    var ring = Ring<Int>(capacity: 7)
    var model: [Int] = []
    var state: UInt64 = 1
    for value in 0..<20_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var given: Int? = value
      switch state >> 61 {
      case 0, 1, 2:
        ring.append(&given)
        if model.count < 7 { model.append(value) }
        #expect((given == nil) == (model.last == value))
      case 3, 4:
        ring.prepend(&given)
        if given == nil { model.insert(value, at: 0) }
        #expect(model.count <= 7)
      default: #expect(ring.removeFirst() == (model.isEmpty ? nil : model.removeFirst()))
      }
      #expect(ring.count == model.count)
    }
  }

  @Test("what is still in it goes with it")
  func release() {
    do {
      var ring = Ring<Counted>(capacity: 4)
      for number in 0..<6 {
        var value: Counted? = Counted(number)
        ring.append(&value)
        if number == 2 { _ = ring.removeFirst() }
      }
      #expect(Counted.alive.withLock { $0 } == 4)
    }
    #expect(Counted.alive.withLock { $0 } == 0)
  }

  @Test("one thread at a time is inside the lock, and errors let go of it")
  func locked() {
    struct Refused: Error {}
    let value = Locked((count: 0, log: [Int]()))
    onThreads(4) { thread in
      for _ in 0..<5000 {
        value.withLock { $0.count += 1 }
        try? value.withLock { (state) throws(Refused) in
          state.log.append(thread)
          throw Refused()
        }
      }
    }
    #expect(value.withLock { $0.count } == 20_000 && value.withLock { $0.log.count } == 20_000)
  }
}
