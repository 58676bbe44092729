import Glibc
import Handoff
import NetBase
import Runtime
import Testing

@Suite struct EventLoopTests {
  @Test("work from one thread runs in order, on the loop's own thread")
  func order() {
    let loop = EventLoop.start(name: "order")
    let seen = Locked<[Int]>([])
    for number in 0..<1000 {
      loop.execute { _ in
        #expect(loop.isCurrent)
        seen.withLock { $0.append(number) }
      }
    }
    #expect(loop.sync { _ in true } == true)
    #expect(seen.withLock { $0 } == Array(0..<1000))
    #expect(!loop.isCurrent)
    loop.stop()
  }

  @Test("a loop that finds no descriptors is none")
  func outOfDescriptors() async {
    await #expect(processExitsWith: .exitCode(42)) {
      var limit = rlimit()
      guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(2) }
      limit.rlim_cur = 0
      guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(3) }
      _exit(EventLoop.startIfPossible(name: "none") == nil ? 42 : 1)
    }
  }

  @Test("what was posted before stop runs, what comes after is refused")
  func stop() {
    for _ in 0..<50 {
      let loop = EventLoop.start(name: "stop")
      let count = Locked(0)
      for _ in 0..<20 { loop.execute { _ in count.withLock { $0 += 1 } } }
      loop.stop()
      #expect(count.withLock { $0 } == 20)
      #expect(!loop.execute { _ in Issue.record("the loop has stopped") })
      #expect(loop.sync { _ in 1 } == nil)
      loop.stop()
    }
  }

  @Test("stop while others post: each piece of work ran or was refused, and none runs later")
  func stopUnderFire() {
    for _ in 0..<50 {
      let loop = EventLoop.start(name: "fire")
      let (ran, accepted, isStopped) = (Locked(0), Locked(0), Locked(false))
      let poster = EventLoop.start(name: "poster")
      poster.execute { _ in
        for _ in 0..<500 {
          let isTaken = loop.execute { _ in
            #expect(!isStopped.withLock { $0 })
            ran.withLock { $0 += 1 }
          }
          if isTaken { accepted.withLock { $0 += 1 } }
        }
      }
      loop.stop()
      isStopped.withLock { $0 = true }
      poster.stop()
      #expect(ran.withLock { $0 } == accepted.withLock { $0 })
    }
  }

  @Test("sync on the loop itself runs at once")
  func nested() {
    let loop = EventLoop.start(name: "nested")
    #expect(loop.sync { _ in loop.sync { _ in 7 } } == .some(7))
    loop.stop()
  }

  @Test("at the end of a turn whoever asked for it is called once, after all else, and then whom he asks for")
  func endOfTurn() {
    let loop = EventLoop.start(name: "turn")
    let seen = Locked<[String]>([])
    loop.execute { context in
      let last = context.register { seen.withLock { $0.append("last") } }
      let first = context.register {
        seen.withLock { $0.append("first") }
        context.handleAtEndOfTurn(last)
      }
      let gone = context.register { seen.withLock { $0.append("gone") } }
      for id in [first, gone] { context.handleAtEndOfTurn(id) }
      context.unregister(gone)
      context.schedule(at: context.now) { seen.withLock { $0.append("timer") } }
      seen.withLock { $0.append("work") }
    }
    // In turns of their own.
    for _ in 0..<3 {
      _ = loop.sync { _ in }
      usleep(1000)
    }
    #expect(seen.withLock { $0 } == ["work", "timer", "first", "last"])
    loop.stop()
  }

  @Test("a loop on a virtual clock has turns that end, too")
  func simulatedEndOfTurn() {
    let loop = EventLoop.simulated(clock: VirtualClock())
    var ends = 0
    let id = loop.asOwner { context in context.register { ends += 1 } }
    loop.asOwner { $0.handleAtEndOfTurn(id) }
    #expect(ends == 0)
    _ = loop.turn()
    _ = loop.turn()
    #expect(ends == 1)
    loop.discard()
  }

  @Test("a signal reaches its handler, and none once it is unregistered")
  func signals() {
    let loop = EventLoop.start(name: "signals")
    let count = Locked(0)
    let port = loop.sync { $0.register { count.withLock { $0 += 1 } } }
    guard let port else {
      Issue.record("no port")
      return
    }
    for _ in 0..<10 { loop.signal(port) }
    #expect(loop.sync { _ in count.withLock { $0 } } == 10)
    loop.signal(port)
    _ = loop.sync { $0.unregister(port) }
    loop.signal(port)
    #expect(loop.sync { _ in count.withLock { $0 } } == 11)
    loop.stop()
  }

  @Test("what handlers hold is released when the loop ends, on its thread")
  func release() {
    final class Held {
      let loop: EventLoop
      let wasOnLoop: Locked<Bool?>
      init(_ loop: EventLoop, _ wasOnLoop: Locked<Bool?>) {
        self.loop = loop
        self.wasOnLoop = wasOnLoop
      }
      deinit { self.wasOnLoop.withLock { $0 = self.loop.isCurrent } }
    }
    let loop = EventLoop.start(name: "release")
    let wasOnLoop = Locked<Bool?>(nil)
    loop.execute { context in
      let held = Held(loop, wasOnLoop)
      _ = context.register { _ = held }
      context.schedule(at: context.now.advanced(byMilliseconds: 60_000)) { _ = held }
    }
    loop.stop()
    #expect(wasOnLoop.withLock { $0 } == true)
  }

  @Test("a timer that is armed for a millisecond which has just passed still fires")
  func pastMillisecond() async {
    let loop = EventLoop.start(name: "grain")
    let fired = Locked(0)
    let finished = AsyncStream<Void>.makeStream()
    loop.execute { context in
      let start = context.now
      // Each handler arms for the instant at which it was itself due, now past: the same whole millisecond.
      func again(_ deadline: Instant) {
        context.schedule(at: deadline) {
          let count = fired.withLock { count in
            count += 1
            return count
          }
          if count < 50 {
            again(count.isMultiple(of: 2) ? deadline : context.now)
          } else {
            finished.continuation.finish()
          }
        }
      }
      again(start.advanced(byNanoseconds: 700_000))
    }
    for await _ in finished.stream {}
    loop.stop()
    #expect(fired.withLock { $0 } == 50)
  }

  private actor Resident {
    let loop: EventLoop
    private var count = 0
    init(_ loop: EventLoop) { self.loop = loop }
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.loop.asUnownedSerialExecutor() }
    func visit() -> Bool {
      self.count += 1
      return self.loop.isCurrent
    }
    var visits: Int { self.count }
  }

  @Test("an actor lives on a loop")
  func executor() async {
    let loop = EventLoop.start(name: "actor")
    let resident = Resident(loop)
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<100 { group.addTask { await resident.visit() } }
      for await isOnLoop in group { #expect(isOnLoop) }
    }
    #expect(await resident.visits == 100)
    loop.stop()
  }

  @Test("an actor may outlive its loop: jobs that meet the stop, or come after it, all run, one at a time")
  func lateJobs() async {
    for _ in 0..<50 {
      let loop = EventLoop.start(name: "late")
      let resident = Resident(loop)
      await withTaskGroup(of: Bool.self) { group in
        for number in 0..<100 {
          group.addTask {
            if number == 50 { loop.stop() }
            return await resident.visit()
          }
        }
        for await isOnLoop in group { #expect(isOnLoop) }
      }
      #expect(await resident.visits == 100)
    }
  }

  @Test("a simulated loop does nothing until it is turned, and then all of it")
  func simulated() {
    let clock = VirtualClock(start: Instant(nanoseconds: 0))
    let loop = EventLoop.simulated(clock: clock)
    let log = Locked<[String]>([])
    loop.execute { context in
      log.withLock { $0.append("work") }
      context.schedule(at: Instant(nanoseconds: 10)) { log.withLock { $0.append("timer") } }
    }
    #expect(log.withLock { $0.isEmpty })
    #expect(loop.turn() && !loop.turn())
    #expect(log.withLock { $0 } == ["work"] && loop.nextDeadline == Instant(nanoseconds: 10))
    clock.advance(to: Instant(nanoseconds: 10))
    #expect(loop.turn() && !loop.turn())
    #expect(log.withLock { $0 } == ["work", "timer"] && loop.nextDeadline == nil)
  }

  @Test("a pool's loops are spread evenly and stay where they are")
  func pool() {
    let pool = LoopPool(count: 3, name: "pool")
    #expect(pool.loops.count == 3)
    for index in 0..<9 { #expect(pool.loop(for: index) === pool.loops[index % 3]) }
    pool.stop()
    #expect(pool.loops.allSatisfy { !$0.execute { _ in } })
    #expect(LoopPool(loops: [pool.loops[0]]).loop(for: 5) === pool.loops[0])
  }
}
