internal import NetBase

/// Datagrams that leave when the loop's turn ends: then the kernel sends one after the other, and pushes nobody's code out
/// of the processor's caches meanwhile.
struct Outbox: ~Copyable {
  private struct Sender {
    let descriptor: Int32
    let watch: WatchID
  }

  private let batch: PacketBatch
  private var senders: [Sender] = []

  init(slots: Int) {
    self.batch = PacketBatch(slots: slots)
    self.senders.reserveCapacity(slots)
  }

  var isFull: Bool { self.batch.isFull }

  /// Adds a datagram; false where it is longer than a slot, or there is no room.
  mutating func append(_ bytes: RawSpan, to address: SocketAddress, on descriptor: Int32, for watch: WatchID) -> Bool {
    guard self.batch.append(bytes, address) else { return false }
    self.senders.append(Sender(descriptor: descriptor, watch: watch))
    return true
  }

  /// Sends all, those in a row that leave by one socket at once; calls `failed` for each that the kernel did not take.
  mutating func flush(_ failed: (WatchID) -> Void) {
    var first = 0
    while first < self.senders.count {
      let descriptor = self.senders[first].descriptor
      var end = first + 1
      while end < self.senders.count, self.senders[end].descriptor == descriptor { end += 1 }
      let (taken, result) = self.batch.send(first..<end, on: descriptor)
      first += taken
      switch result {
      case .sent: continue
      case .failed:
        failed(self.senders[first].watch)
        first += 1
      case .wouldBlock:
        // No room for the rest either, and media does not wait for it.
        for index in first..<end { failed(self.senders[index].watch) }
        first = end
      }
    }
    self.senders.removeAll(keepingCapacity: true)
    self.batch.clear()
  }
}
