package import ModuleKit
package import Runtime

/// Gives each transport its executor, as the receive mode asks; lives on main.
package final class TransportLoops {
  private let main: EventLoop
  private let pool: LoopPool?
  private let makeLoop: (String) -> EventLoop
  private var count = 0

  /// - Parameters:
  ///   - pool: the workers of `pool` mode; several agents may share them.
  ///   - makeLoop: makes a transport's own loop in `thread` mode.
  package init(
    main: EventLoop, pool: LoopPool?,
    makeLoop: @escaping (String) -> EventLoop = { EventLoop.start(name: $0, batchSlots: 8) }
  ) {
    self.main = main
    self.pool = pool
    self.makeLoop = makeLoop
  }

  package func next(mode: RxMode, stream: StreamID) -> (loop: EventLoop, isOwn: Bool) {
    self.count += 1
    switch mode {
    case .main: return (self.main, false)
    case .pool: return (self.pool?.loop(for: self.count) ?? self.main, false)
    case .thread: return (self.makeLoop("rtp-\(stream.number)"), true)
    }
  }

  package func stop() { self.pool?.stop() }
}
