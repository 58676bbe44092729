/// Calls again when nobody answered or the peer was busy (`redial_attempts`, `redial_delay`).
struct Redial {
  /// How often; nil is without end.
  private let attempts: Int?
  /// Seconds.
  let delay: Int
  private var used = 0
  private var waiting: String?

  init(configuration: Configuration) {
    self.attempts = configuration.redialAttempts
    self.delay = configuration.redialDelay
  }

  /// Whom to call again after `delay`; nil when the call stood, a person ended it, or the tries are used up.
  mutating func target(after report: CallReport) -> String? {
    self.waiting = nil
    guard report.isOutgoing, report.setup == nil, report.reason != "hangup", report.reason != "cancelled",
      self.attempts != 0
    else { return nil }
    guard self.used < self.attempts ?? .max else {
      self.used = 0
      return nil
    }
    self.used += 1
    self.waiting = report.peer
    return report.peer
  }

  /// Whether nobody has dialled since.
  func isWaiting(for target: String) -> Bool { self.waiting == target }

  /// A person dialled: the count begins anew.
  mutating func forget() { (self.used, self.waiting) = (0, nil) }
}
