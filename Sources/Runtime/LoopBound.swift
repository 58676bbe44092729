/// A value that lives on one loop; others may hold the box, not look inside.
///
/// Sendable because every access checks the thread.
package final class LoopBound<Value>: @unchecked Sendable {
  package let loop: EventLoop
  private var value: Value?

  /// Made, like everything else that happens to the value, on the loop.
  package init(_ value: Value, on loop: EventLoop) {
    loop.checkIsolated()
    self.loop = loop
    self.value = value
  }

  deinit { precondition(self.value == nil, "take() the value on its loop first") }

  package func withValue<Result>(_ body: (Value) throws -> Result) rethrows -> Result? {
    self.loop.checkIsolated()
    return try self.value.map(body)
  }

  package func take() -> Value? {
    self.loop.checkIsolated()
    return self.value.take()
  }
}
