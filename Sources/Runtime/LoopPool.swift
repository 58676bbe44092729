/// The loops that share the transports of a user agent; a transport stays where it was put.
package final class LoopPool: Sendable {
  package let loops: [EventLoop]

  /// - Parameter count: how many threads, at least one.
  package init(count: Int, name: String) {
    self.loops = (0..<max(1, count)).map { EventLoop.start(name: "\(name)-\($0)") }
  }

  /// The same where the process may be at its limits: nil when it has no descriptors or no threads for all.
  package convenience init?(ifPossible count: Int, name: String) {
    var loops: [EventLoop] = []
    for index in 0..<max(1, count) {
      guard let loop = EventLoop.startIfPossible(name: "\(name)-\(index)") else {
        for loop in loops { loop.stop() }
        return nil
      }
      loops.append(loop)
    }
    self.init(loops: loops)
  }

  package init(loops: [EventLoop]) { self.loops = loops }

  /// The loop of the `index`th transport.
  package func loop(for index: Int) -> EventLoop { self.loops[index % self.loops.count] }

  package func stop() { for loop in self.loops { loop.stop() } }
}
