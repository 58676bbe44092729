package import NetBase

extension FrameAssembler {
  /// How long a missing packet may just be late.
  static let toleratedReordering = Duration.milliseconds(5)
  /// The least time between two requests for a packet, and the one for a path whose round trip is not known.
  static let (leastInterval, usualInterval) = (Duration.milliseconds(20), Duration.milliseconds(100))
  /// How often a packet is asked for.
  static let mostRequests = 10
  /// The least time between two requests for a key frame.
  static let keyFrameInterval = Duration.milliseconds(300)

  /// When `timeout` is to be called; nil for not at all.
  package var nextDeadline: Instant? {
    var deadline: Instant?
    if self.firstMissing <= self.highest, case .missing(let missing) = self[self.firstMissing] {
      deadline = self.end(of: missing)
    }
    // These two are the caller's to take; it is told once.
    if self.asksForLost, self.missingCount > 0, let ask = self.nextAsk, ask > self.lastTimeout {
      deadline = min(deadline ?? ask, ask)
    }
    if let due = self.keyFrameRequestDue, due > self.lastTimeout { deadline = min(deadline ?? due, due) }
    if let beginning = self.beginning, beginning > self.lastTimeout { deadline = min(deadline ?? beginning, beginning) }
    return deadline
  }

  /// Gives up the gaps that are too old.
  package mutating func timeout(now: Instant) {
    (self.lastTimeout, self.now) = (now, now)
    while self.firstMissing <= self.highest, case .missing(let missing) = self[self.firstMissing],
      self.end(of: missing) <= now
    {
      self[self.firstMissing] = .lost
      self.lastLost = self.firstMissing
      self.missingCount -= 1
      self.statistics.lostPackets += 1
      self.passHeld()
    }
  }

  /// Calls `body` with the numbers that are to be asked for now, oldest first, at most `RTCPFeedback.maximumLost`; they count as asked
  /// for. A number is asked for at most ten times, with `max(20 ms, roundTrip)` between.
  package mutating func takeMissing(now: Instant, roundTrip: Duration?, _ body: (UInt16) -> Void) {
    guard self.asksForLost, self.missingCount > 0, let nextAsk = self.nextAsk, nextAsk <= now else { return }
    let interval = max(Self.leastInterval, roundTrip ?? Self.usualInterval)
    var (seen, told) = (0, 0)
    var earliest: Instant?
    var sequence = self.firstMissing
    while seen < self.missingCount {
      if case .missing(var missing) = self[sequence] {
        seen += 1
        var due = Self.due(missing, interval)
        if let asked = due, asked <= now {
          if told < RTCPFeedback.maximumLost {
            told += 1
            (missing.lastAsked, missing.timesAsked) = (now, missing.timesAsked + 1)
            self[sequence] = .missing(missing)
            due = Self.due(missing, interval)
            body(UInt16(truncatingIfNeeded: sequence))
          } else {
            due = now.advanced(by: Self.toleratedReordering)
          }
        }
        if let due { earliest = min(earliest ?? due, due) }
      }
      sequence += 1
    }
    self.nextAsk = earliest
  }

  /// Whether a key frame is to be asked for, which then counts as done: at once when one is needed, and every 300 ms while none comes.
  package mutating func takeKeyFrameRequest(now: Instant) -> Bool {
    guard let due = self.keyFrameRequestDue, due <= now else { return false }
    self.lastKeyFrameRequest = now
    return true
  }

  /// Takes note that numbers are missing since now.
  mutating func noteMissing(now: Instant) {
    let ask = now.advanced(by: Self.toleratedReordering)
    self.nextAsk = min(self.nextAsk ?? ask, ask)
  }

  /// When a missing number is given up.
  private func end(of missing: Missing) -> Instant {
    missing.since.advanced(by: self.asksForLost || missing.timesAsked > 0 ? self.patience : Self.reorderingTime)
  }

  /// When a missing number is to be asked for; nil when it was often enough.
  private static func due(_ missing: Missing, _ interval: Duration) -> Instant? {
    switch missing.timesAsked {
    case 0: missing.since.advanced(by: Self.toleratedReordering)
    case ..<Self.mostRequests: missing.lastAsked.advanced(by: interval)
    default: nil
    }
  }

  /// When a key frame is to be asked for; nil when none is needed.
  private var keyFrameRequestDue: Instant? {
    guard self.hasBegun, self.needsKeyFrame || self.lastLost >= self.first else { return nil }
    let due =
      self.lastKeyFrameRequest?.advanced(by: Self.keyFrameInterval) ?? self.beginning ?? Instant(nanoseconds: .min)
    // One that is on its way is waited for.
    guard let key = self.keyFrame, key.sequence >= self.first, key.sequence > self.lastLost else { return due }
    return max(due, key.heard.advanced(by: Self.keyFrameInterval))
  }
}
