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
    var hasWork = true
    while hasWork {
      hasWork = false
      for signal in self.network.deliver() { self.byContext[signal.context]?.signal(signal.port) }
      self.loops.shuffle(using: &self.generator)
      for loop in self.loops where loop.turn() { hasWork = true }
      if let arrival = self.network.nextArrival, arrival <= self.now { hasWork = true }
    }
  }

  private var nextEvent: Instant? {
    var next = self.network.nextArrival
    for loop in self.loops {
      if let deadline = loop.nextDeadline { next = min(next ?? deadline, deadline) }
    }
    return next
  }
}
