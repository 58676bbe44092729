package import NetBase

/// Turns the packets of telephone events into one start and one end for each event, whichever of them are lost, repeated
/// or reordered (RFC 4733 §2.5.2).
///
/// After each `receive` and `timeout`, drain `poll` until it is nil.
package struct TelephoneEventReceiver: Sendable {
  /// What happened.
  package enum Report: Equatable, Sendable {
    case started(TelephoneEvent)
    /// `milliseconds` is how long the event lasted, as far as it was heard.
    case ended(TelephoneEvent, milliseconds: Int)
  }

  private struct Current: Sendable {
    var event: TelephoneEvent
    /// Start of the present segment, and the units of the segments before it.
    var timestamp: UInt32
    var before: UInt64 = 0
    var duration: UInt16
    var heard: Instant
    var isOver = false
  }

  private let clockRate: UInt64
  private let silence: Duration
  private var current: Current?
  /// At most three reports wait: the end of the last event, then start and end of the next.
  private var waiting: (Report?, Report?, Report?) = (nil, nil, nil)

  /// An event ends when nothing of it was heard for `silence`: every packet of its end was lost.
  package init(clockRate: Int, silence: Duration = .milliseconds(300)) {
    precondition(clockRate > 0, "a clock rate above zero")
    self.clockRate = UInt64(clockRate)
    self.silence = silence
  }

  /// When `timeout` is to be called; nil while no event lasts.
  package var nextDeadline: Instant? {
    guard let current = self.current, !current.isOver else { return nil }
    return current.heard.advanced(by: self.silence)
  }

  /// The next report, in order; nil when there is none.
  package mutating func poll() -> Report? {
    let first = self.waiting.0
    self.waiting = (self.waiting.1, self.waiting.2, nil)
    return first
  }

  /// Takes the payload of a packet with this RTP timestamp; a payload too short for an event is ignored.
  ///
  /// - Parameter isReordered: whether a packet with a higher sequence number has come before it.
  package mutating func receive(_ payload: RawSpan, timestamp: UInt32, isReordered: Bool, now: Instant) {
    guard let packet = TelephoneEventPayload(payload) else { return }
    if var current = self.current {
      let offset = Int64(Int32(bitPattern: timestamp &- current.timestamp))
      if offset == 0 {
        guard !current.isOver, packet.event == current.event else { return }
        current.duration = max(current.duration, packet.duration)
        self.go(on: current, isEnd: packet.isEnd, now)
        return
      }
      // Late packets of an earlier event or segment. Others before it are of timestamps that begin anew, as a bridge
      // between two calls may have them.
      if offset < 0, isReordered { return }
      if offset == 0xFFFF, !current.isOver, packet.event == current.event {
        current.before += 0xFFFF
        (current.timestamp, current.duration) = (timestamp, packet.duration)
        self.go(on: current, isEnd: packet.isEnd, now)
        return
      }
      if !current.isOver { self.end(current) }
    }
    self.report(.started(packet.event))
    self.go(
      on: Current(event: packet.event, timestamp: timestamp, duration: packet.duration, heard: now),
      isEnd: packet.isEnd, now)
  }

  /// Ends an event that was not heard for too long.
  package mutating func timeout(now: Instant) {
    guard var current = self.current, !current.isOver, let deadline = self.nextDeadline, now >= deadline else { return }
    self.end(current)
    current.isOver = true
    self.current = current
  }

  /// Ends what lasts and forgets the timestamps, as for a new source.
  package mutating func reset() {
    if let current = self.current, !current.isOver { self.end(current) }
    self.current = nil
  }

  private mutating func go(on before: Current, isEnd: Bool, _ now: Instant) {
    var current = before
    current.heard = now
    if isEnd {
      self.end(current)
      current.isOver = true
    }
    self.current = current
  }

  private mutating func end(_ current: Current) {
    let units = current.before + UInt64(current.duration)
    self.report(.ended(current.event, milliseconds: Int(units * 1000 / self.clockRate)))
  }

  private mutating func report(_ report: Report) {
    switch self.waiting {
    case (nil, _, _): self.waiting.0 = report
    case (_, nil, _): self.waiting.1 = report
    default: self.waiting.2 = report
    }
  }
}
