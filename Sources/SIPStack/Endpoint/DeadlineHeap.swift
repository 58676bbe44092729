internal import NetBase

/// Every timer of the endpoint, the earliest first. A timer has a slot for its life: moving and removing it costs
/// O(log n), and nothing stays behind.
struct DeadlineHeap {
  /// A timer's place in the table.
  struct Slot: Hashable, Sendable {
    fileprivate let index: Int
  }

  /// Whose timer it is.
  enum Owner {
    case client(ClientTransaction)
    case server(ServerTransaction)
    case session(InviteSession)
    case subscription(Subscription)
  }

  private struct Entry {
    var owner: Owner?
    var deadline = Instant(nanoseconds: 0)
    /// Timers of one instant fire in the order in which they were set.
    var order: UInt64 = 0
    /// -1 while the timer is not set.
    var position = -1
  }

  private var entries: [Entry] = []
  private var free: [Int] = []
  private var heap: [Int] = []
  private var order: UInt64 = 0

  /// Timers that exist, set or not.
  var count: Int { self.entries.count - self.free.count }

  /// The earliest timer that is set.
  var first: (deadline: Instant, owner: Owner)? {
    guard let index = self.heap.first, let owner = self.entries[index].owner else { return nil }
    return (self.entries[index].deadline, owner)
  }

  mutating func reserve() -> Slot {
    if let index = self.free.popLast() {
      self.entries[index] = Entry()
      return Slot(index: index)
    }
    self.entries.append(Entry())
    return Slot(index: self.entries.count - 1)
  }

  mutating func assign(_ owner: Owner, to slot: Slot) { self.entries[slot.index].owner = owner }

  /// Sets the timer, or stops it with nil.
  mutating func set(_ slot: Slot, to deadline: Instant?) {
    let index = slot.index
    guard let deadline else { return self.stop(index) }
    if self.entries[index].position >= 0, self.entries[index].deadline == deadline { return }
    self.order += 1
    self.entries[index].deadline = deadline
    self.entries[index].order = self.order
    if self.entries[index].position < 0 {
      self.entries[index].position = self.heap.count
      self.heap.append(index)
    }
    self.settle(self.entries[index].position)
  }

  mutating func release(_ slot: Slot) {
    self.stop(slot.index)
    self.entries[slot.index].owner = nil
    self.free.append(slot.index)
  }

  private mutating func stop(_ index: Int) {
    let position = self.entries[index].position
    guard position >= 0 else { return }
    self.entries[index].position = -1
    let last = self.heap.removeLast()
    guard position < self.heap.count else { return }
    self.heap[position] = last
    self.entries[last].position = position
    self.settle(position)
  }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    let (one, other) = (self.entries[self.heap[left]], self.entries[self.heap[right]])
    return (one.deadline, one.order) < (other.deadline, other.order)
  }

  private mutating func exchange(_ left: Int, _ right: Int) {
    self.heap.swapAt(left, right)
    self.entries[self.heap[left]].position = left
    self.entries[self.heap[right]].position = right
  }

  private mutating func settle(_ start: Int) {
    var position = start
    while position > 0, self.isBefore(position, (position - 1) / 2) {
      self.exchange(position, (position - 1) / 2)
      position = (position - 1) / 2
    }
    while true {
      var least = position
      for child in [2 * position + 1, 2 * position + 2] where child < self.heap.count && self.isBefore(child, least) {
        least = child
      }
      guard least != position else { return }
      self.exchange(position, least)
      position = least
    }
  }
}
