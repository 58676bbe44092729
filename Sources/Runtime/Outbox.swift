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

  /// Sends all; calls `failed` for each datagram that the kernel did not take.
  mutating func flush(_ failed: (WatchID) -> Void) {
    guard !self.senders.isEmpty else { return }
    for (index, sender) in self.senders.enumerated() {
      guard case .sent = self.batch.send(index, on: sender.descriptor) else {
        failed(sender.watch)
        continue
      }
    }
    self.senders.removeAll(keepingCapacity: true)
    self.batch.clear()
  }
}
