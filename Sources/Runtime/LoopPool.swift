/// The loops that share the transports of a user agent; a transport stays where it was put.
package final class LoopPool: Sendable {
  package let loops: [EventLoop]

  /// - Parameter count: how many threads, at least one.
  package init(count: Int, name: String) {
    self.loops = (0..<max(1, count)).map { EventLoop.start(name: "\(name)-\($0)") }
  }

  package init(loops: [EventLoop]) { self.loops = loops }

  /// The loop of the `index`th transport.
  package func loop(for index: Int) -> EventLoop { self.loops[index % self.loops.count] }

  package func stop() { for loop in self.loops { loop.stop() } }
}
