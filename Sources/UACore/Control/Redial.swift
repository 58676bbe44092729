/// Calls again when nobody answered or the peer was busy (`redial_attempts`, `redial_delay`).
struct Redial {
  /// How often; nil is without end.
  private let attempts: Int?
  /// Seconds.
  let delay: Int
  private var used = 0

  init(configuration: Configuration) {
    self.attempts = configuration.redialAttempts
    self.delay = configuration.redialDelay
  }

  /// Whether to call again after `delay`; not when the call stood, a person ended it, or the tries are used up.
  mutating func isDue(after report: CallReport) -> Bool {
    guard report.setup == nil, report.reason != "hangup", report.reason != "cancelled", self.attempts != 0 else {
      return false
    }
    guard self.used < self.attempts ?? .max else {
      self.used = 0
      return false
    }
    self.used += 1
    return true
  }

  /// A person dialled, or talks: the count begins anew.
  mutating func forget() { self.used = 0 }
}
