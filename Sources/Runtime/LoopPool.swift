/// The loops that share the transports of a user agent; a transport stays where it was put.
package final class LoopPool: Sendable {
  package let loops: [EventLoop]

  /// - Parameter count: how many threads, at least one.
  package init(count: Int, name: String) {
    guard let loops = Self.start(count, name) else { preconditionFailure("no descriptors or threads for a pool") }
    self.loops = loops
  }

  /// The same where the process may be at its limits: nil when it has no descriptors or no threads for all.
  package init?(ifPossible count: Int, name: String) {
    guard let loops = Self.start(count, name) else { return nil }
    self.loops = loops
  }

  private static func start(_ count: Int, _ name: String) -> [EventLoop]? {
    var loops: [EventLoop] = []
    for index in 0..<max(1, count) {
      guard let loop = EventLoop.startIfPossible(name: "\(name)-\(index)") else {
        for loop in loops { loop.stop() }
        return nil
      }
      loops.append(loop)
    }
    return loops
  }

  package init(loops: [EventLoop]) { self.loops = loops }

  /// The loop of the `index`th transport.
  package func loop(for index: Int) -> EventLoop { self.loops[index % self.loops.count] }

  package func stop() { for loop in self.loops { loop.stop() } }
}
