internal import NetBase

package struct TimerID: Hashable, Sendable {
  let number: UInt64
}

/// A binary heap of deadlines; cancelling leaves the entry, which is skipped when it comes up.
struct TimerHeap {
  private struct Entry {
    let deadline: Instant
    let id: TimerID
  }

  private var entries: [Entry] = []
  private var handlers: [TimerID: () -> Void] = [:]

  var nextDeadline: Instant? { self.entries.first?.deadline }

  mutating func insert(_ id: TimerID, at deadline: Instant, _ handler: @escaping () -> Void) {
    self.handlers[id] = handler
    self.entries.append(Entry(deadline: deadline, id: id))
    var child = self.entries.count - 1
    while child > 0, self.entries[child].deadline < self.entries[(child - 1) / 2].deadline {
      self.entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func cancel(_ id: TimerID) { self.handlers[id] = nil }

  /// Removes and returns the first handler that is due.
  mutating func popDue(now: Instant) -> (() -> Void)? {
    while let first = self.entries.first, first.deadline <= now {
      self.removeFirst()
      if let handler = self.handlers.removeValue(forKey: first.id) { return handler }
    }
    return nil
  }

  private mutating func removeFirst() {
    self.entries.swapAt(0, self.entries.count - 1)
    self.entries.removeLast()
    var parent = 0
    while true {
      let children = (2 * parent + 1)..<min(2 * parent + 3, max(2 * parent + 1, self.entries.count))
      guard let least = children.min(by: { self.entries[$0].deadline < self.entries[$1].deadline }),
        self.entries[least].deadline < self.entries[parent].deadline
      else { return }
      self.entries.swapAt(parent, least)
      parent = least
    }
  }
}
