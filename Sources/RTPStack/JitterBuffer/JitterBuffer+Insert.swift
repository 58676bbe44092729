package import NetBase

extension JitterBuffer {
  /// Takes a packet that the receiver accepted, at the moment it came. Bounded work for any sequence number and timestamp.
  package mutating func insert(_ header: RTPHeader, payload: RawSpan, now: Instant) -> InsertResult {
    self.statistics.inserted += 1
    guard payload.byteCount <= self.largestPayload else {
      self.statistics.overflow += 1
      return .overflow
    }
    let clock = self.clock.samples(at: now)
    if case .idle = self.state {
      self.begin(header, payload, clock)
      return .queued
    }
    guard header.ssrc == self.ssrc else { return self.restart(header, payload, clock) }

    let step = Int(Int16(bitPattern: header.sequenceNumber &- UInt16(truncatingIfNeeded: self.highest)))
    if step > self.slots.count { return self.restart(header, payload, clock) }
    if step <= -SequenceWindow.length {
      // A straggler, unless the next in its sequence comes too: then the sender went back.
      if self.suspectNext == header.sequenceNumber { return self.restart(header, payload, clock) }
      self.suspectNext = header.sequenceNumber &+ 1
      self.statistics.late += 1
      return .late
    }
    let sequence = self.highest + Int64(step)
    var media = self.newestMedia + Int64(Int32(bitPattern: header.timestamp &- self.newestTimestamp))
    if step > 0 {
      media = self.advance(by: step, header, media: media, clock)
    } else if !self.window.mark(age: -step) {
      self.statistics.duplicates += 1
      return .duplicate
    }
    guard self.finds(placeFor: sequence, media: media, clock) else {
      self.statistics.late += 1
      return .late
    }
    self.keep(header, payload, sequence: sequence, media: media)
    self.limitDelay(clock)
    return .queued
  }

  /// Takes the payload of a lost packet that came with a later one of the same source, `packet` (RFC 2198): `age` timestamp
  /// units before it. True when it is of use: still missing, and in time. It says nothing about the network's delay.
  ///
  /// Its sequence number is not told: it gets the last missing one before `packet`, so of several the youngest goes first.
  package mutating func recover(
    _ packet: RTPHeader, age: UInt32, payloadType: UInt8, payload: RawSpan, now: Instant
  ) -> Bool {
    let step = Int(Int16(bitPattern: packet.sequenceNumber &- UInt16(truncatingIfNeeded: self.highest)))
    guard self.isOf(packet.ssrc), step <= 0, age > 0, payload.byteCount <= self.largestPayload else { return false }
    let timestamp = packet.timestamp &- age
    let media = self.newestMedia + Int64(Int32(bitPattern: timestamp &- self.newestTimestamp))
    // What was made up for it is not played again.
    if case .playing = self.state, self.isTimed, media < self.position { return false }
    guard let distance = self.distance(toMissing: media, before: -step) else { return false }
    let sequence = self.highest - Int64(distance - step)
    guard self.finds(placeFor: sequence, media: media, self.clock.samples(at: now)) else { return false }
    _ = self.window.mark(age: distance - step)
    var header = packet
    header.payloadType = payloadType
    header.marker = false
    header.sequenceNumber &-= UInt16(distance)
    header.timestamp = timestamp
    self.keep(header, payload, sequence: sequence, media: media)
    self.statistics.inserted += 1
    self.statistics.recovered += 1
    return true
  }

  /// How far before the packet of that age the last missing one is; nil without one among the sixteen before it, or where one of
  /// them has the media.
  private func distance(toMissing media: Int64, before age: Int) -> Int? {
    var found: Int?
    for distance in 1...16 {
      guard let isSeen = self.window.hasSeen(age: age + distance) else { break }
      let sequence = self.highest - Int64(age + distance)
      if self.slots.holds(sequence), self.slots.media(of: sequence) <= media {
        // Those before it are older still.
        return self.slots.media(of: sequence) == media ? nil : found
      }
      if !isSeen, found == nil { found = distance }
    }
    return found
  }

  private func isOf(_ ssrc: UInt32) -> Bool { if case .idle = self.state { false } else { ssrc == self.ssrc } }

  /// Tells that a packet of this stream was taken elsewhere (a telephone event), so that its number is not missing.
  package mutating func note(_ header: RTPHeader) {
    if case .idle = self.state { return }
    guard header.ssrc == self.ssrc else { return }
    let step = Int(Int16(bitPattern: header.sequenceNumber &- UInt16(truncatingIfNeeded: self.highest)))
    guard step > 0 else {
      if step > -SequenceWindow.length { _ = self.window.mark(age: -step) }
      return
    }
    guard step <= self.slots.count else { return }
    self.highest += Int64(step)
    self.window.advance(by: step)
    self.makeRoom(for: self.highest)
    // Held packets older than this one are played first; without any, nothing older is waited for.
    if self.slots.held == 0 { self.floor = self.highest }
  }

  private mutating func restart(_ header: RTPHeader, _ payload: RawSpan, _ clock: Int64) -> InsertResult {
    self.reset()
    self.statistics.resets += 1
    self.begin(header, payload, clock)
    return .reset
  }

  private mutating func begin(_ header: RTPHeader, _ payload: RawSpan, _ clock: Int64) {
    self.ssrc = header.ssrc
    self.window = SequenceWindow()
    // Well above zero, so that reordered packets from before the first have numbers and slots too.
    self.highest = Int64(header.sequenceNumber) + 0x10000
    self.floor = self.highest - Int64(self.slots.count)
    (self.newestTimestamp, self.newestMedia, self.newestArrival) = (header.timestamp, 0, clock)
    self.delays.reset(transit: clock, at: clock)
    (self.position, self.starved, self.lateSince) = (0, 0, nil)
    self.state = .buffering
    self.keep(header, payload, sequence: self.highest, media: 0)
  }

  private mutating func keep(_ header: RTPHeader, _ payload: RawSpan, sequence: Int64, media: Int64) {
    self.makeRoom(for: sequence)
    self.lowest = self.slots.held == 0 ? sequence : min(self.lowest, sequence)
    self.slots.store(
      PacketSlots.Slot(
        sequence: sequence, media: media, timestamp: header.timestamp, payloadType: header.payloadType,
        marker: header.marker), payload: payload)
    (self.suspectNext, self.lateSince, self.hasFollowing) = (nil, nil, false)
  }

  /// Drops the oldest until `sequence` has a slot.
  private mutating func makeRoom(for sequence: Int64) {
    while self.slots.held > 0, sequence - self.lowest >= Int64(self.slots.count) { self.dropLowest() }
  }

  mutating func dropLowest() {
    self.statistics.overflow += 1
    self.position = max(self.position, self.slots.media(of: self.lowest) + self.duration)
    self.removeLowest()
  }

  /// Takes in the newest packet; returns its media time, which is not the timestamp's own after a jump.
  private mutating func advance(by step: Int, _ header: RTPHeader, media: Int64, _ clock: Int64) -> Int64 {
    var media = media
    let delta = Int64(Int32(bitPattern: header.timestamp &- self.newestTimestamp))
    if step == 1, delta > 0, delta <= self.clock.samples(milliseconds: 120) {
      if delta == self.durationCandidate { self.duration = delta }
      self.durationCandidate = delta
    }
    let relative = clock - media - self.delays.leastTransit
    let steps = Int64(step) * self.duration
    if relative < -(steps + self.clock.rate / 10) || relative > self.maximum + self.clock.rate {
      // The sender's clock jumped: what follows is placed by its arrival, and played right after what is held.
      media = self.newestMedia + max(steps, clock - self.newestArrival)
      self.statistics.resyncs += 1
    }
    self.highest += Int64(step)
    self.window.advance(by: step)
    (self.newestTimestamp, self.newestMedia, self.newestArrival) = (header.timestamp, media, clock)
    let lateness = self.delays.note(transit: clock - media, at: clock)
    if case .paused = self.state {
      self.state = .buffering
      self.position = media
      if lateness > self.maximum { self.delays.anchor(transit: clock - media, at: clock) }
    }
    return media
  }

  /// Whether a packet is still in time; moves the position back when playing has run dry and the delay allows it.
  private mutating func finds(placeFor sequence: Int64, media: Int64, _ clock: Int64) -> Bool {
    // Further back than the buffer is long, its slot may be another's.
    guard sequence > self.floor, self.highest - sequence < Int64(self.slots.count) else { return false }
    switch self.state {
    case .idle, .buffering, .paused:
      self.position = min(self.position, media)
      return true
    case .playing:
      guard self.isTimed, media < self.position else { return true }
      guard self.starved > 0 else { return false }
      if clock - media - self.delays.leastTransit <= self.maximum {
        self.position = media
        return true
      }
      // A tenth of a second with nothing but late packets: the path is slower now, and the buffer follows it.
      let since = self.lateSince ?? clock
      self.lateSince = since
      guard clock - since >= self.clock.rate / 10 else { return false }
      self.delays.anchor(transit: clock - media, at: clock)
      self.statistics.resyncs += 1
      self.position = media
      self.state = .buffering
      return true
    }
  }

  /// Drops the oldest packets when the delay has grown past the maximum: a burst after a stall, or a faster clock.
  private mutating func limitDelay(_ clock: Int64) {
    guard self.isTimed, self.delay(clock) > self.maximum + self.duration else { return }
    while self.slots.held > 1 {
      let excess = self.delay(clock) - self.maximum
      guard excess > 0 else { return }
      let gap = self.slots.media(of: self.lowest) - self.position
      if gap > 0 { self.position += min(gap, excess) } else { self.dropLowest() }
    }
  }
}
