internal import Synchronization

/// How often a loop was signalled: counted by those who signal, read by the loop.
final class SignalCount: Sendable {
  private let value = Atomic<Int>(0)

  /// What was posted before is there for whoever reads the new count.
  func add() { self.value.add(1, ordering: .releasing) }

  var count: Int { self.value.load(ordering: .acquiring) }
}
