internal import NetBase
package import Runtime

/// Has something done every so often while there are calls: for applications that tell what the streams of their module
/// have noted on threads of their own. Lives on main.
package final class CallClock {
  private let loop: LoopContext
  private unowned let host: any ApplicationHost
  private let period: Int64
  private let turn: () -> Void
  private var isRunning = false
  private var isStopped = false

  /// - Parameter period: milliseconds.
  package init(
    every period: Int, on loop: LoopContext, host: any ApplicationHost, turn: @escaping () -> Void
  ) {
    (self.period, self.loop, self.host, self.turn) = (Int64(period), loop, host, turn)
  }

  /// Begins with the first notice of a call.
  package func take(_ notice: AgentNotice) {
    guard notice.call != nil, !self.isRunning, !self.isStopped else { return }
    self.isRunning = true
    self.schedule()
  }

  /// The last call.
  package func stop() { self.isStopped = true }

  private func schedule() {
    self.loop.schedule(at: self.loop.now.advanced(byMilliseconds: self.period)) { [weak self] in self?.tick() }
  }

  private func tick() {
    guard !self.isStopped else { return }
    self.turn()
    self.isRunning = self.host.hasCalls
    if self.isRunning { self.schedule() }
  }
}
