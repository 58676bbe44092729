internal import Handoff
package import ModuleKit

/// The locking adapter: a `lockable` stage that several streams share, behind one lock held for one frame.
package final class LockedStage: AudioStage, Sendable {
  private let inner: Locked<any AudioStage>
  package let format: AudioFormat

  /// - Parameter make: called once, at once.
  package init(_ make: StageFactory) throws(ModuleError) {
    let stage = try make()
    self.format = stage.format
    self.inner = Locked(stage)
  }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    self.inner.withLock { $0.process(&frame) }
  }

  package func finish(_ stream: StreamID) {
    self.inner.withLock { $0.finish(stream) }
  }
}
