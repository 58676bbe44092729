internal import NetBase

/// Names a timer of one loop; never used twice.
package struct TimerID: Hashable, Sendable {
  let token: UInt64
}

/// A heap of deadlines over timers that are made once and armed often: arming allocates nothing.
///
/// Each entry has four below it, side by side: with a thousand timers that is half the cache lines of a binary heap.
/// Arming again or disarming leaves the old entry, which is skipped when it comes up. The entries are plain numbers, so
/// that sifting them counts no references.
struct TimerHeap {
  private struct Entry {
    let deadline: Instant
    let id: TimerID
  }

  private struct Timer {
    var deadline: Instant?
    let isOnce: Bool
    let handler: () -> Void
  }

  private var entries: [Entry] = []
  private var timers = SlotTable<Timer>()

  /// When to look again; perhaps for an entry that is stale by then.
  var nextDeadline: Instant? { self.entries.first?.deadline }

  /// - Parameter isOnce: whether the timer is gone once it was due.
  mutating func add(isOnce: Bool = false, _ handler: @escaping () -> Void) -> TimerID {
    TimerID(token: self.timers.add(Timer(isOnce: isOnce, handler: handler)))
  }

  mutating func arm(_ id: TimerID, at deadline: Instant) {
    let isNew = self.timers.update(id.token) { timer in
      guard timer.deadline != deadline else { return false }
      timer.deadline = deadline
      return true
    }
    if isNew == true { self.push(Entry(deadline: deadline, id: id)) }
  }

  mutating func disarm(_ id: TimerID) { _ = self.timers.update(id.token) { $0.deadline = nil } }

  /// Returns the handler, for the caller to release.
  mutating func remove(_ id: TimerID) -> (() -> Void)? { self.timers.remove(id.token)?.handler }

  /// Takes the first timer that is due, disarmed, and returns its handler.
  mutating func popDue(now: Instant) -> (() -> Void)? {
    while let first = self.entries.first, first.deadline <= now {
      self.removeFirst()
      let isOnce = self.timers.update(first.id.token) { timer -> Bool? in
        guard timer.deadline == first.deadline else { return nil }
        timer.deadline = nil
        return timer.isOnce
      }
      guard let isOnce, let isOnce else { continue }
      return isOnce ? self.timers.remove(first.id.token)?.handler : self.timers[first.id.token]?.handler
    }
    return nil
  }

  private mutating func push(_ entry: Entry) {
    self.entries.append(entry)
    var child = self.entries.count - 1
    while child > 0, entry.deadline < self.entries[(child - 1) / 4].deadline {
      self.entries[child] = self.entries[(child - 1) / 4]
      child = (child - 1) / 4
    }
    self.entries[child] = entry
  }

  private mutating func removeFirst() {
    let last = self.entries.removeLast()
    guard !self.entries.isEmpty else { return }
    var place = 0
    while 4 * place + 1 < self.entries.count {
      var least = 4 * place + 1
      for child in least..<min(least + 4, self.entries.count)
      where self.entries[child].deadline < self.entries[least].deadline {
        least = child
      }
      guard self.entries[least].deadline < last.deadline else { break }
      self.entries[place] = self.entries[least]
      place = least
    }
    self.entries[place] = last
  }
}
