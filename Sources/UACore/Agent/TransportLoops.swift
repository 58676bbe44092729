package import ModuleKit
package import Runtime

/// Gives each transport its executor, as the receive mode asks; lives on main.
package final class TransportLoops {
  private let main: EventLoop
  private let pool: LoopPool?
  private let makeLoop: (String) -> EventLoop?
  private var count = 0

  /// - Parameters:
  ///   - pool: the workers of `pool` mode; several agents may share them.
  ///   - makeLoop: makes a transport's own loop in `thread` mode; nil when it can't be.
  package init(
    main: EventLoop, pool: LoopPool?,
    makeLoop: @escaping (String) -> EventLoop? = { EventLoop.startIfPossible(name: $0, batchSlots: 8) }
  ) {
    self.main = main
    self.pool = pool
    self.makeLoop = makeLoop
  }

  package func next(mode: RxMode, stream: StreamID) throws(ModuleError) -> (loop: EventLoop, isOwn: Bool) {
    if let loop = self.nextShared(mode: mode) { return (loop, false) }
    guard let loop = self.makeLoop("rtp-\(stream.number)") else {
      throw ModuleError(
        .exhausted, "no descriptor or no thread is left for the media of call \(stream.number): raise ulimit -n")
    }
    return (loop, true)
  }

  /// The loop that the next transport has in common with others; nil where it gets one of its own.
  func nextShared(mode: RxMode) -> EventLoop? {
    self.count += 1
    return switch mode {
    case .main: self.main
    case .pool: self.pool?.loop(for: self.count) ?? self.main
    case .thread: nil
    }
  }

  package func stop() { self.pool?.stop() }
}
