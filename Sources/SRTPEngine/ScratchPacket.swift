internal import NetBase

/// A copy of a packet, to put it back after a key has failed on it: libsrtp2 leaves such a packet undefined.
struct ScratchPacket: ~Copyable {
  private var bytes: [UInt8] = []
  private var count: Int?

  /// Allocates only when no packet of this length was saved before.
  mutating func save(_ packet: borrowing Packet) {
    self.count = packet.count
    if self.bytes.count < packet.count { self.bytes = [UInt8](repeating: 0, count: max(packet.count, 2048)) }
    var span = self.bytes.mutableSpan
    var target = unsafe span.mutableBytes
    target.copy(packet.bytes, at: 0)
  }

  mutating func discard() { self.count = nil }

  /// Puts the packet back as it was saved; without one saved, nothing happens.
  func restore(_ packet: inout Packet) {
    guard let count = self.count else { return }
    packet.storage.copy(unsafe self.bytes.span.bytes.extracting(0..<count), at: 0)
    packet.count = count
  }
}
