package import ModuleKit
package import Runtime

/// A `lockable` stage that several streams share where all of them run on main: no lock, but the thread is checked.
package final class MainBoundStage: AudioStage, Sendable {
  private let inner: LoopBound<any AudioStage>
  package let format: AudioFormat

  /// Made on main.
  package init(_ make: StageFactory, on main: EventLoop) throws(ModuleError) {
    let stage = try make()
    self.format = stage.format
    self.inner = LoopBound(stage, on: main)
  }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    self.inner.withValue { $0.process(&frame) } ?? .drop
  }

  package func finish(_ stream: StreamID) {
    _ = self.inner.withValue { $0.finish(stream) }
  }
}
