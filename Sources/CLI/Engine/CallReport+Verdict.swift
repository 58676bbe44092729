internal import UACore

extension CallReport {
  /// Whether the call did what a call is for: it was answered, media flowed both ways, and it ended without trouble.
  var isGood: Bool {
    self.failure == nil && self.setup != nil && self.media.sentPackets > 0 && self.media.receivedPackets > 0
  }
}
