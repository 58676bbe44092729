/// The last calls, newest first; bounded.
package struct CallHistory: Sendable {
  /// One call that is over.
  package struct Entry: Hashable, Sendable {
    package let peer: String
    package let isOutgoing: Bool
    /// Whether it came in and was never answered.
    package let isMissed: Bool
    /// Seconds.
    package let duration: Double
  }

  private static let limit = 100
  package private(set) var entries: [Entry] = []

  mutating func note(_ report: CallReport) {
    self.entries.insert(
      Entry(
        peer: report.peer, isOutgoing: report.isOutgoing, isMissed: !report.isOutgoing && report.setup == nil,
        duration: report.duration), at: 0)
    if self.entries.count > Self.limit { self.entries.removeLast() }
  }
}
