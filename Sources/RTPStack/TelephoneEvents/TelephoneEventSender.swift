/// Sends telephone events one after the other (RFC 4733 §2.5.1): an update each tick, the end three times.
///
/// The caller asks at each tick of its media clock, and sends what it gets in place of audio.
package struct TelephoneEventSender: Sendable {
  /// A payload to send, with the header fields that go with it.
  package struct Output: Equatable, Sendable {
    package var payload: TelephoneEventPayload
    /// The same in all packets of an event, or of a segment of one that is longer than 65535 units.
    package var timestamp: UInt32
    /// Set in the first packet of an event.
    package var marker: Bool
  }

  /// Events that may wait at once.
  package static let queueLimit = 64

  private struct Entry: Sendable {
    var event: TelephoneEvent
    /// In timestamp units; nil until the key is released.
    var duration: UInt32?
  }

  private struct Active: Sendable {
    var entry: Entry
    var timestamp: UInt32
    /// Units since the start of the event, and since the start of its segment.
    var elapsed: UInt32 = 0
    var segment: UInt32 = 0
    var isFirst = true
  }

  private enum State: Sendable {
    case idle
    case sending(Active)
    /// The end, still to be sent so many times.
    case ending(Active, left: Int)
    /// Units of the gap that are left.
    case gap(UInt32)
  }

  // What every tick touches comes first.
  private var state = State.idle
  /// Waiting entries, never more than the limit. No room is kept: an empty array of its own costs a cache line at every tick.
  private var queue: [Entry] = []
  private let volume: UInt8
  private var minimum: UInt32
  private var gap: UInt32
  private var clockRate: UInt32
  /// What a full segment is on the clock of the timestamps.
  private var segmentStep: UInt32 = 0xFFFF

  /// `volume` in dB below 0 dBm0; `minimumMilliseconds` and `gapMilliseconds` bound the events and the pauses between them.
  package init(clockRate: Int, volume: UInt8 = 10, minimumMilliseconds: Int = 50, gapMilliseconds: Int = 50) {
    self.clockRate = UInt32(clockRate)
    self.volume = volume
    self.minimum = UInt32(clockRate * minimumMilliseconds / 1000)
    self.gap = UInt32(clockRate * gapMilliseconds / 1000)
  }

  /// Whether an event is being sent, so that no audio is.
  package var isSending: Bool {
    switch self.state {
    case .sending, .ending: true
    case .idle, .gap: false
    }
  }

  /// Whether nothing is sent and nothing waits.
  package var isIdle: Bool {
    switch self.state {
    case .idle: self.queue.isEmpty
    case .sending, .ending, .gap: false
    }
  }

  /// Puts an event of `milliseconds` (at least the minimum, at most a minute) behind those that wait; false when too many do.
  package mutating func enqueue(_ event: TelephoneEvent, milliseconds: Int = 100) -> Bool {
    let bounded = UInt64(min(max(milliseconds, 0), 60_000))
    let units = UInt32(UInt64(self.clockRate) * bounded / 1000)
    return self.append(Entry(event: event, duration: max(units, self.minimum)))
  }

  /// Puts an event behind those that wait that lasts until `release`; false when too many wait.
  package mutating func press(_ event: TelephoneEvent) -> Bool { self.append(Entry(event: event, duration: nil)) }

  /// Ends the event that was pressed, at its next tick and not before the minimum.
  package mutating func release() {
    if case .sending(var active) = self.state, active.entry.duration == nil {
      active.entry.duration = max(active.elapsed, self.minimum)
      self.state = .sending(active)
    }
    for index in self.queue.indices where self.queue[index].duration == nil {
      self.queue[index].duration = self.minimum
    }
  }

  /// Changes the clock rate with the codec: what is sent and what waits goes on, each as long as before.
  ///
  /// - Parameter timestampRate: that of the timestamps, where events are agreed on at a clock of their own.
  package mutating func change(clockRate: Int, timestampRate: Int? = nil) {
    let (old, new) = (UInt64(self.clockRate), UInt64(clockRate))
    self.segmentStep = UInt32(clamping: 0xFFFF * UInt64(timestampRate ?? clockRate) / new)
    guard old != new else { return }
    func units(_ before: UInt32) -> UInt32 { UInt32(clamping: UInt64(before) * new / old) }
    func rescaled(_ before: Active) -> Active {
      var active = before
      active.entry.duration = before.entry.duration.map { units($0) }
      (active.elapsed, active.segment) = (units(before.elapsed), units(before.segment))
      return active
    }
    (self.clockRate, self.minimum, self.gap) = (UInt32(clockRate), units(self.minimum), units(self.gap))
    for index in self.queue.indices {
      let duration = self.queue[index].duration
      self.queue[index].duration = duration.map { units($0) }
    }
    switch self.state {
    case .idle: break
    case .sending(let active): self.state = .sending(rescaled(active))
    case .ending(let active, let left): self.state = .ending(rescaled(active), left: left)
    case .gap(let left): self.state = .gap(units(left))
    }
  }

  /// Lets `samples` units pass; `timestamp` is the media timestamp at their start. Returns the packet to send in their
  /// place, nil when the tick belongs to audio.
  package mutating func tick(timestamp: UInt32, samples: UInt32) -> Output? {
    switch self.state {
    case .gap(let left):
      if left > samples {
        self.state = .gap(left - samples)
        return nil
      }
      self.state = .idle
      return nil
    case .idle:
      guard !self.queue.isEmpty else { return nil }
      let entry = self.queue.removeFirst()
      if self.queue.isEmpty { self.queue = [] }
      return self.update(Active(entry: entry, timestamp: timestamp), samples)
    case .sending(let active): return self.update(active, samples)
    case .ending(let active, let left):
      self.state = left > 1 ? .ending(active, left: left - 1) : .gap(self.gap)
      return self.output(active, isEnd: true)
    }
  }

  /// Nothing leaves for a while: the event that is being sent ends here, as it does at its receiver; what waits goes on waiting.
  package mutating func interrupt() { if self.isSending { self.state = .gap(self.gap) } }

  private mutating func append(_ entry: Entry) -> Bool {
    guard self.queue.count < Self.queueLimit else { return false }
    self.queue.append(entry)
    return true
  }

  private mutating func update(_ before: Active, _ samples: UInt32) -> Output {
    var active = before
    active.elapsed += samples
    active.segment += samples
    let isEnd = active.entry.duration.map { active.elapsed >= $0 } ?? false
    if active.segment > 0xFFFF {
      // A new segment starts where the field of the old one is full (§2.5.1.3).
      var full = active
      full.segment = 0xFFFF
      active.timestamp &+= self.segmentStep
      active.segment -= 0xFFFF
      active.isFirst = false
      self.state = isEnd ? .ending(active, left: 3) : .sending(active)
      return self.output(full, isEnd: false)
    }
    let output = self.output(active, isEnd: isEnd)
    active.isFirst = false
    self.state = isEnd ? .ending(active, left: 2) : .sending(active)
    return output
  }

  private func output(_ active: Active, isEnd: Bool) -> Output {
    Output(
      payload: TelephoneEventPayload(
        event: active.entry.event, isEnd: isEnd, volume: self.volume, duration: UInt16(clamping: active.segment)),
      timestamp: active.timestamp, marker: active.isFirst)
  }
}
