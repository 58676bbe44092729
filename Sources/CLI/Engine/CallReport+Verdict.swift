internal import ModuleKit
internal import UACore

extension CallReport {
  /// Whether the call did what a call is for: it was answered, media flowed both ways, and it ended without trouble.
  var isGood: Bool {
    self.failure == nil && self.setup != nil && self.media.sentPackets > 0 && self.media.receivedPackets > 0
  }

  /// Whether it ended before a lack of media can say anything.
  var wasTooShortForMedia: Bool { self.duration < 1 }

  /// The error that a call of a command ended with; such a call has no account, and so no password.
  func explained(_ failure: ModuleError) -> Failure {
    let explained = Failure(failure)
    guard self.status == 401 || self.status == 407 else { return explained }
    return Failure(explained.status, "\(explained.message): use \"apus run\" with an account")
  }
}

extension [CallReport] {
  /// Of both ends of a call: changes of keys under which each has authenticated a packet of the other's, the lesser of
  /// their counts. They differ by the change that is under way at the end, where one end begins all of them and waits
  /// for each.
  var rekeys: Int { self.map(\.media.rekeys).min() ?? 0 }

  /// What to say of a call, of which these are the ends, that met no error and is not good.
  func shortcoming(wasInterrupted: Bool) -> String {
    let lacksMedia = "the call did not carry media both ways"
    guard wasInterrupted else { return lacksMedia }
    guard let call = self.first, call.setup != nil else { return "interrupted before it was answered" }
    return call.wasTooShortForMedia ? "interrupted before media flowed both ways" : lacksMedia
  }
}
