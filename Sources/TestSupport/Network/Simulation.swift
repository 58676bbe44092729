internal import Handoff
package import NetBase
package import Runtime

/// Loops and a network on one virtual clock, turned by one thread: the same seed gives the same run.
///
/// The loops take turns in an order that the seed shuffles, so many seeds try many interleavings.
package final class Simulation {
  package let clock = VirtualClock()
  package let network: SimulatedNetwork
  private var loops: [EventLoop] = []
  private var byContext: [ObjectIdentifier: EventLoop] = [:]
  private var generator: TestGenerator
  /// Loops that do not run all the time.
  private var pauses: [ObjectIdentifier: Pause] = [:]

  private struct Pause {
    /// When the loop runs again.
    var next: Instant
    /// Milliseconds from one time to the next.
    let period: Int64
    let end: Instant
  }

  package init(seed: UInt64 = 1) {
    self.generator = TestGenerator(seed: seed)
    self.network = SimulatedNetwork(clock: self.clock, seed: self.generator.next())
  }

  deinit { for loop in self.loops { loop.discard() } }

  package var now: Instant { self.clock.now }

  /// How many loops have been made.
  package var loopCount: Int { self.loops.count }

  package func makeLoop() -> EventLoop {
    let loop = EventLoop.simulated(clock: self.clock)
    self.loops.append(loop)
    self.byContext[loop.asOwner { ObjectIdentifier($0) }] = loop
    return loop
  }

  /// The loop does not run for so long: what comes for it waits.
  package func stall(_ loop: EventLoop, milliseconds: Int64) {
    self.starve(loop, period: milliseconds, milliseconds: milliseconds)
  }

  /// For so many milliseconds the loop runs once in each `period` only, and then all that has become due.
  package func starve(_ loop: EventLoop, period: Int64, milliseconds: Int64) {
    self.pauses[ObjectIdentifier(loop)] = Pause(
      next: self.now.advanced(byMilliseconds: period), period: period,
      end: self.now.advanced(byMilliseconds: milliseconds))
  }

  /// The loops are gone, with all that lived on them, as at the sudden end of a process: `last` is what it would do if it
  /// had the time, and nothing of it is heard outside.
  func discard(_ gone: [EventLoop], of host: SocketAddress, _ last: () -> Void) {
    for loop in gone { self.pauses[ObjectIdentifier(loop)] = nil }
    self.network.silence(host: host.host)
    last()
    self.settle()
    self.network.silence(host: host.host, false)
    for loop in gone {
      self.byContext[loop.asOwner { ObjectIdentifier($0) }] = nil
      loop.discard()
    }
    self.loops.removeAll { loop in gone.contains { $0 === loop } }
  }

  /// Runs everything that is due, then moves the clock to whatever comes next, until `end` or until `isDone`.
  ///
  /// - Returns: whether `isDone` became true.
  @discardableResult
  package func run(until end: Instant, _ isDone: () -> Bool = { false }) -> Bool {
    while true {
      self.settle()
      if isDone() { return true }
      guard let next = self.nextEvent, next <= end else { break }
      self.clock.advance(to: max(next, self.now))
    }
    if end > self.now { self.clock.advance(to: end) }
    return false
  }

  @discardableResult
  package func run(milliseconds: Int64, _ isDone: () -> Bool = { false }) -> Bool {
    self.run(until: self.now.advanced(byMilliseconds: milliseconds), isDone)
  }

  /// Whether nothing is in flight and no timer is set: left alone, nothing would ever happen again.
  package var isQuiet: Bool { self.nextEvent == nil }

  /// Turns every loop and delivers every datagram that is due, until none has anything left to do at this time.
  private func settle() {
    let standing = self.standing
    var hasWork = true
    while hasWork {
      hasWork = false
      for signal in self.network.deliver() { self.byContext[signal.context]?.signal(signal.port) }
      self.loops.shuffle(using: &self.generator)
      for loop in self.loops where !standing.contains(ObjectIdentifier(loop)) && loop.turn() { hasWork = true }
      if let arrival = self.network.nextArrival, arrival <= self.now { hasWork = true }
    }
    self.pauses = self.pauses.compactMapValues { pause in
      guard pause.next <= self.now else { return pause }
      var later = pause
      later.next = self.now.advanced(byMilliseconds: pause.period)
      return later.next <= pause.end ? later : nil
    }
  }

  /// The loops that do not run at this time.
  private var standing: Set<ObjectIdentifier> {
    self.pauses.isEmpty ? [] : Set(self.pauses.filter { self.now < $0.value.next }.keys)
  }

  private var nextEvent: Instant? {
    var next = self.network.nextArrival
    for loop in self.loops {
      let resumption = self.pauses.isEmpty ? nil : self.pauses[ObjectIdentifier(loop)]?.next
      if let deadline = resumption ?? loop.nextDeadline { next = min(next ?? deadline, deadline) }
    }
    return next
  }
}
