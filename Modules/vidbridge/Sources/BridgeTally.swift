internal import ModuleKit
internal import Synchronization

/// Counts the frames that a module's lanes dropped. Any thread may touch it.
final class BridgeTally: Sendable {
  private let dropped = Atomic<Int>(0)

  var dropCount: Int { self.dropped.load(ordering: .relaxed) }

  func countDropped() { self.dropped.add(1, ordering: .relaxed) }

  /// The command that prints it.
  var facet: Facet {
    .command(
      ModuleCommand(CommandDescription("vidbridgestat", help: "how many frames no source had room for")) {
        _ throws(CommandFailure) in "frames dropped \(self.dropCount)"
      })
  }
}
