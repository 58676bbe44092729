internal import NetBase

/// Names a timer of one loop; never used twice.
package struct TimerID: Hashable, Sendable {
  let number: UInt64
}

/// A binary heap of deadlines over timers that are made once and armed often: arming allocates nothing.
///
/// Arming again or disarming leaves the old entry, which is skipped when it comes up.
struct TimerHeap {
  private struct Entry {
    let deadline: Instant
    let timer: Timer
  }

  /// An object, for a value that is changed within a dictionary costs allocations: the frames of its accessors.
  private final class Timer {
    var deadline: Instant?
    /// Nil when the timer has been removed, though an entry may still name it.
    var handler: (() -> Void)?

    init(_ handler: @escaping () -> Void) { self.handler = handler }
  }

  private var entries: [Entry] = []
  private var timers: [TimerID: Timer] = [:]

  /// When to look again; perhaps for an entry that is stale by then.
  var nextDeadline: Instant? { self.entries.first?.deadline }

  mutating func add(_ id: TimerID, _ handler: @escaping () -> Void) {
    self.remove(id)
    self.timers[id] = Timer(handler)
  }

  mutating func arm(_ id: TimerID, at deadline: Instant) {
    guard let timer = self.timers[id], timer.deadline != deadline else { return }
    timer.deadline = deadline
    self.push(Entry(deadline: deadline, timer: timer))
  }

  func disarm(_ id: TimerID) { self.timers[id]?.deadline = nil }

  mutating func remove(_ id: TimerID) {
    guard let timer = self.timers.removeValue(forKey: id) else { return }
    timer.deadline = nil
    timer.handler = nil
  }

  /// Takes the first timer that is due, disarmed, and returns its handler.
  mutating func popDue(now: Instant) -> (() -> Void)? {
    while let first = self.entries.first, first.deadline <= now {
      self.removeFirst()
      guard first.timer.deadline == first.deadline else { continue }
      first.timer.deadline = nil
      return first.timer.handler
    }
    return nil
  }

  private mutating func push(_ entry: Entry) {
    self.entries.append(entry)
    var child = self.entries.count - 1
    while child > 0, self.entries[child].deadline < self.entries[(child - 1) / 2].deadline {
      self.entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func removeFirst() {
    self.entries.swapAt(0, self.entries.count - 1)
    self.entries.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in (2 * parent + 1)...(2 * parent + 2)
      where child < self.entries.count && self.entries[child].deadline < self.entries[least].deadline {
        least = child
      }
      guard least != parent else { return }
      self.entries.swapAt(parent, least)
      parent = least
    }
  }
}
