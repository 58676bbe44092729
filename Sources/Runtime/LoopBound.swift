/// A value that lives on one loop; others may hold the box, not look inside.
package final class LoopBound<Value>: @unchecked Sendable {  // every access checks the thread
  package let loop: EventLoop
  private var value: Value?

  /// An empty box, made anywhere.
  package init(on loop: EventLoop) { self.loop = loop }

  /// Made, like everything else that happens to the value, on the loop.
  package convenience init(_ value: Value, on loop: EventLoop) {
    self.init(on: loop)
    self.put(value)
  }

  package func put(_ value: Value) {
    self.loop.checkIsolated()
    self.value = value
  }

  package func withValue<Result>(_ body: (Value) throws -> Result) rethrows -> Result? {
    self.loop.checkIsolated()
    return try self.value.map(body)
  }

  package func take() -> Value? {
    self.loop.checkIsolated()
    return self.value.take()
  }
}
