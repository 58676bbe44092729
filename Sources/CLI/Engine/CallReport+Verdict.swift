internal import UACore

extension CallReport {
  /// Whether the call did what a call is for: it was answered, media flowed both ways, and it ended without trouble.
  var isGood: Bool {
    self.failure == nil && self.setup != nil && self.media.sentPackets > 0 && self.media.receivedPackets > 0
  }
}

extension [CallReport] {
  /// Of both ends of a call: changes of keys under which each has authenticated a packet of the other's, the lesser of
  /// their counts. They differ by the change that is under way at the end, where one end begins all of them and waits
  /// for each.
  var rekeys: Int { self.map(\.media.rekeys).min() ?? 0 }
}
