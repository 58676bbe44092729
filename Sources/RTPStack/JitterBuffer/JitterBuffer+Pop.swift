package import NetBase

extension JitterBuffer {
  /// What to play next. `quiet` tells that the samples just played were silence, where an adjustment is not heard.
  package mutating func pop(now: Instant, quiet: Bool = false) -> Pop {
    let clock = self.clock.samples(at: now)
    self.hasFollowing = false
    switch self.state {
    case .idle, .paused: return .empty
    case .buffering:
      guard self.slots.held > 0 else { return .empty }
      // With every slot in use, the next packet would push the oldest out.
      let isFull = self.highest - self.lowest >= Int64(self.slots.count - 1)
      guard isFull || self.delay(clock) >= self.target else { return .buffering }
      self.state = .playing
      self.floor = self.lowest - 1
      (self.starved, self.lastAdjustment, self.leastHeld) = (0, clock, .max)
    case .playing: break
    }
    if !self.isTimed { self.limitBacklog(clock) }
    guard self.slots.held > 0 else { return self.underrun() }
    guard self.isTimed else { return self.popUntimed() }

    let gap = self.slots.media(of: self.lowest) - self.position
    if gap > self.duration / 4 { return self.cross(gap, clock) }
    if let adjustment = self.adjust(clock, quiet: quiet) { return adjustment }
    return self.play()
  }

  private mutating func play() -> Pop {
    let slot = self.slots[self.lowest]
    self.position = slot.media + self.duration
    self.starved = 0
    self.statistics.played += 1
    self.lastPlayed = slot.sequence
    self.removeLowest()
    return .packet(
      PlayedPacket(
        sequenceNumber: UInt16(truncatingIfNeeded: slot.sequence), timestamp: slot.timestamp,
        payloadType: slot.payloadType, marker: slot.marker))
  }

  private mutating func underrun() -> Pop {
    guard self.isTimed else { return .empty }
    self.statistics.underruns += self.starved == 0 ? 1 : 0
    self.starved += self.duration
    self.position += self.duration
    if self.starved > self.clock.rate {
      self.state = .paused
      return .empty
    }
    // A tenth of a second without a packet is a pause of the sender more often than the network's doing.
    return self.starved <= max(self.clock.rate / 10, self.duration)
      ? .conceal(samples: Int(self.duration)) : .silence(samples: Int(self.duration))
  }

  /// Without delay: the oldest packet at once, after one concealment for each packet missing before it, up to five.
  private mutating func popUntimed() -> Pop {
    let missing = self.missingBeforeLowest()
    guard self.concealedInGap < min(missing, 5) else { return self.play() }
    self.concealedInGap += 1
    self.statistics.missing += 1
    self.hasFollowing = self.concealedInGap == min(missing, 5)
    return .missing(samples: Int(self.duration))
  }

  /// Without delay: of what a burst left waiting, and nobody needed for half a second, three packets stay, but no more
  /// than a tenth of a second.
  private mutating func limitBacklog(_ clock: Int64) {
    self.leastHeld = min(self.leastHeld, self.slots.held)
    guard clock - self.lastAdjustment >= self.clock.rate / 2 else { return }
    let most = max(1, min(3, self.clock.rate / 10 / self.duration))
    for _ in 0..<max(0, self.leastHeld - Int(most)) { self.dropLowest() }
    (self.leastHeld, self.lastAdjustment) = (.max, clock)
  }

  /// Plays a part of the gap before the oldest packet: the packets that are lost, or the sender's pause.
  private mutating func cross(_ gap: Int64, _ clock: Int64) -> Pop {
    let missing = Int64(self.missingBeforeLowest())
    var gap = gap
    if missing == 0 {
      // In a pause the delay is free to go where it should be; less than a packet is not worth it.
      let excess = self.delay(clock) - self.target
      if excess > self.duration {
        let cut = min(excess, gap)
        self.position += cut
        gap -= cut
        if gap <= self.duration / 4 { return self.play() }
      } else if excess < -self.duration {
        self.position += excess
        gap -= excess
      }
    }
    let samples = min(gap, self.duration)
    self.position += samples
    // The lost packets of a pause are those next to the one that is here.
    guard gap <= missing * self.duration else { return .silence(samples: Int(samples)) }
    self.statistics.missing += 1
    self.hasFollowing = gap - samples <= self.duration / 4
    return .missing(samples: Int(samples))
  }

  /// Within a talkspurt the adaptive delay moves by one packet at a time, seldom, or where it is quiet.
  private mutating func adjust(_ clock: Int64, quiet: Bool) -> Pop? {
    guard case .adaptive = self.mode else { return nil }
    let excess = self.delay(clock) - self.target
    let since = clock - self.lastAdjustment
    if excess > self.duration * 3 / 2 {
      guard quiet || since >= self.clock.rate, self.slots.holds(self.lowest + 1) else { return nil }
      self.lastAdjustment = clock
      self.statistics.skipped += 1
      self.position = self.slots.media(of: self.lowest) + self.duration
      self.removeLowest()
    } else if excess < -self.duration {
      guard quiet || since >= self.clock.rate / 2 else { return nil }
      self.lastAdjustment = clock
      self.statistics.stretched += 1
      return .conceal(samples: Int(self.duration))
    }
    return nil
  }

  /// Packets between the last one played and the oldest held that never came.
  private func missingBeforeLowest() -> Int {
    guard self.lowest - self.floor > 1 else { return 0 }
    return self.window.unseen(ages: Int(self.highest - self.lowest) + 1..<Int(self.highest - self.floor))
  }
}
