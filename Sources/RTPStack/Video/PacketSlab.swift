internal import NetBase

/// Room for the bytes of a fixed number of packets, one beside the other. It grows only when a packet comes that is longer than
/// any before, so nothing is allocated after the first.
struct PacketSlab: ~Copyable {
  let count: Int
  /// The longest packet that is taken, in bytes.
  let longest: Int
  /// Bytes for each packet.
  private var room = 0
  private var bytes: [UInt8] = []
  private var lengths: [Int]

  init(count: Int, longest: Int) {
    (self.count, self.longest) = (count, longest)
    self.lengths = [Int](repeating: 0, count: count)
  }

  /// Puts a packet, which is no longer than the longest, in the place of the one that was there.
  mutating func store(_ packet: RawSpan, at index: Int) {
    if packet.byteCount > self.room { self.grow(to: packet.byteCount) }
    self.lengths[index] = packet.byteCount
    guard packet.byteCount > 0 else { return }
    let start = index * self.room
    var span = self.bytes.mutableSpan
    var all = unsafe span.mutableBytes
    all.copy(packet, at: start)
  }

  /// The packet that was stored there last.
  @_lifetime(borrow self)
  func packet(at index: Int) -> RawSpan {
    let start = index * self.room
    return unsafe self.bytes.span.bytes.extracting(start..<start + self.lengths[index])
  }

  private mutating func grow(to length: Int) {
    let room = min((length + 255) / 256 * 256, self.longest)
    var bytes = [UInt8](repeating: 0, count: self.count * room)
    do {
      var span = bytes.mutableSpan
      var all = unsafe span.mutableBytes
      for index in 0..<self.count { all.copy(self.packet(at: index), at: index * room) }
    }
    (self.bytes, self.room) = (bytes, room)
  }
}
