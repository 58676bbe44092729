import Glibc
import Handoff
import NetBase
import Testing

@testable import Runtime

/// Small and the same everywhere.
struct Chance: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    self.state &+= 0x9E37_79B9_7F4A_7C15
    var value = self.state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    return value ^ value >> 31
  }
}

@Suite struct TimerTests {
  /// A loop on a virtual clock, with what its timers did.
  private final class Bench {
    let clock = VirtualClock(start: Instant(nanoseconds: 0))
    let loop: EventLoop
    var fired: [String] = []

    init() { self.loop = EventLoop.simulated(clock: self.clock) }

    func timer(_ name: String) -> TimerID {
      self.loop.asOwner { $0.makeTimer { [unowned self] in self.fired.append(name) } }
    }

    func arm(_ id: TimerID, at nanoseconds: Int64) {
      self.loop.asOwner { $0.arm(id, at: Instant(nanoseconds: nanoseconds)) }
    }

    func advance(to nanoseconds: Int64) {
      self.clock.advance(to: Instant(nanoseconds: nanoseconds))
      while self.loop.turn() {}
    }
  }

  @Test("a timer fires once, when it is due, and not before")
  func once() {
    let bench = Bench()
    let timer = bench.timer("a")
    bench.advance(to: 5)
    #expect(bench.fired.isEmpty)
    bench.arm(timer, at: 10)
    bench.advance(to: 9)
    #expect(bench.fired.isEmpty)
    bench.advance(to: 10)
    bench.advance(to: 1000)
    #expect(bench.fired == ["a"])
  }

  @Test("arming again moves the deadline, earlier or later; disarming and removing take it away")
  func rearm() {
    let bench = Bench()
    let (early, late, off, gone) = (bench.timer("early"), bench.timer("late"), bench.timer("off"), bench.timer("gone"))
    bench.arm(early, at: 100)
    bench.arm(early, at: 20)
    bench.arm(late, at: 20)
    bench.arm(late, at: 100)
    bench.arm(off, at: 50)
    bench.arm(gone, at: 50)
    bench.loop.asOwner {
      $0.disarm(off)
      $0.remove(gone)
    }
    bench.advance(to: 60)
    #expect(bench.fired == ["early"])
    bench.advance(to: 200)
    #expect(bench.fired == ["early", "late"])
    bench.arm(gone, at: 210)
    bench.arm(off, at: 220)
    bench.advance(to: 300)
    #expect(bench.fired == ["early", "late", "off"])
  }

  @Test("there and back to one deadline fires once")
  func backAndForth() {
    let bench = Bench()
    let timer = bench.timer("a")
    for _ in 0..<10 {
      bench.arm(timer, at: 10)
      bench.arm(timer, at: 20)
      bench.arm(timer, at: 10)
      bench.loop.asOwner { $0.disarm(timer) }
      bench.arm(timer, at: 10)
    }
    bench.advance(to: 100)
    #expect(bench.fired == ["a"])
  }

  @Test("handlers may arm and remove their own timer and others")
  func fromInside() {
    let bench = Bench()
    var ids: [String: TimerID] = [:]
    var ticks = 0
    bench.loop.asOwner { context in
      ids["tick"] = context.makeTimer {
        ticks += 1
        if let id = ids["tick"] { context.arm(id, at: context.now.advanced(byNanoseconds: 10)) }
      }
      ids["victim"] = context.makeTimer { Issue.record("it was removed") }
      ids["killer"] = context.makeTimer {
        for name in ["victim", "tick", "killer"] { if let id = ids[name] { context.remove(id) } }
      }
      for (name, time) in [("tick", 10), ("killer", 55), ("victim", 56)] as [(String, Int64)] {
        if let id = ids[name] { context.arm(id, at: Instant(nanoseconds: time)) }
      }
    }
    for time in stride(from: Int64(5), to: 200, by: 5) { bench.advance(to: time) }
    #expect(ticks == 5)
  }

  @Test("deadlines that have passed come in their order")
  func ordering() {
    let bench = Bench()
    for deadline in [50, 10, 40, 20, 30] as [Int64] { bench.arm(bench.timer("\(deadline)"), at: deadline) }
    bench.loop.asOwner { $0.schedule(at: Instant(nanoseconds: 25)) { [unowned bench] in bench.fired.append("once") } }
    bench.advance(to: 100)
    #expect(bench.fired == ["10", "20", "once", "30", "40", "50"])
  }

  @Test("10,000 random operations agree with a model", arguments: [UInt64(1), 2, 3])
  func model(seed: UInt64) {
    var chance = Chance(state: seed)
    var heap = TimerHeap()
    var fired: [UInt64] = []
    var armed: [UInt64: Instant] = [:]
    var alive: [UInt64] = []
    var ids: [UInt64: TimerID] = [:]
    var last: UInt64 = 0
    var now = Instant(nanoseconds: 0)
    for _ in 0..<10_000 {
      let index = alive.isEmpty ? nil : Int.random(in: 0..<alive.count, using: &chance)
      switch (Int.random(in: 0..<10, using: &chance), index) {
      case (0, _), (_, nil):
        last += 1
        let number = last
        ids[number] = heap.add { fired.append(number) }
        alive.append(number)
      case (1, let index?):
        let number = alive.remove(at: index)
        #expect(ids[number].map { heap.remove($0) } != nil)
        armed[number] = nil
      case (2, let index?):
        if let id = ids[alive[index]] { heap.disarm(id) }
        armed[alive[index]] = nil
      case (3, _):
        now = now.advanced(byNanoseconds: Int64.random(in: 0...40, using: &chance))
        let due = armed.filter { $0.value <= now }
        fired = []
        while let handler = heap.popDue(now: now) { handler() }
        #expect(Set(fired) == Set(due.keys) && fired.count == due.count)
        let deadlines = fired.compactMap { due[$0] }
        #expect(deadlines == deadlines.sorted())
        for number in fired { armed[number] = nil }
      case (_, let index?):
        let deadline = now.advanced(byNanoseconds: Int64.random(in: -5...100, using: &chance))
        if let id = ids[alive[index]] { heap.arm(id, at: deadline) }
        armed[alive[index]] = deadline
      }
      // Perhaps too early, for an entry that is stale; never too late.
      if let first = armed.values.min() { #expect((heap.nextDeadline ?? .init(nanoseconds: .max)) <= first) }
    }
  }

  @Test("on a real loop timers come in order and never early")
  func real() {
    let loop = EventLoop.start(name: "timers")
    let fired = Locked<[Int64]>([])
    let early = Locked(0)
    loop.execute { context in
      let start = context.now
      for delay in [30, 10, 20, 0, 25] as [Int64] {
        let deadline = start.advanced(byMilliseconds: delay)
        context.schedule(at: deadline) {
          if context.now < deadline { early.withLock { $0 += 1 } }
          fired.withLock { $0.append(delay) }
        }
      }
    }
    for _ in 0..<2000 where fired.withLock({ $0.count }) < 5 { usleep(1000) }
    loop.stop()
    #expect(fired.withLock { $0 } == [0, 10, 20, 25, 30] && early.withLock { $0 } == 0)
  }
}
