internal import Synchronization

/// What recordings lost.
package struct RecordingLosses: Hashable, Sendable {
  /// Samples or frames that found no room because the disk stalled, and those that need them, or that came after a failed write.
  package let units: Int
  /// Recordings that ended early because their disk was full or broken.
  package let files: Int
}

/// Counts what a module's recordings lose, over the process's life. Any thread may touch it.
package final class RecordingTally: Sendable {
  private let unit: String
  private let units = Atomic<Int>(0)
  private let files = Atomic<Int>(0)

  /// - Parameter unit: what is counted, for people: `samples`.
  package init(of unit: String) { self.unit = unit }

  package var losses: RecordingLosses {
    RecordingLosses(units: self.units.load(ordering: .relaxed), files: self.files.load(ordering: .relaxed))
  }

  package func countLost(_ units: Int) { self.units.add(units, ordering: .relaxed) }

  package func countFailed() { self.files.add(1, ordering: .relaxed) }

  /// The losses, in a line.
  package var text: String {
    let losses = self.losses
    return "recordings lost \(losses.units) \(self.unit); \(losses.files) ended early"
  }

  /// The command of a module that prints `text`.
  package func facet(command name: String) -> Facet {
    .command(
      ModuleCommand(CommandDescription(name, help: "what recordings lost because the disk was slow, full or broken")) {
        _ throws(CommandFailure) in self.text
      })
  }
}
