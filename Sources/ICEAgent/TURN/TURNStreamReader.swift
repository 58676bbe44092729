package import NetBase

/// Cuts what a TURN server sends over a connection into its messages (RFC 8489 §6.2.2, RFC 8656 §12.5): sans I/O.
///
/// Its room is made once. A message that is longer than any of use is passed over and counted, for a peer that the server lets in
/// may send such datagrams. What is no message at all ends it: nobody knows where the next one would begin.
package struct TURNStreamReader: ~Copyable {
  /// Bytes of the longest message that is handed on: any datagram of media, with what a relay writes around it.
  package static let longest = 2_048 + 64
  private static let capacity = 16_384

  private var room = [UInt8](repeating: 0, count: Self.capacity)
  private var start = 0
  private var end = 0
  /// Bytes still to come of a message that is passed over.
  private var rest = 0
  /// Whether the peer speaks something else than TURN.
  package private(set) var isBroken = false
  private var tooLong = 0

  package init() {}

  /// Has `source` write what came into the room, from an offset on; there is always some left.
  ///
  /// - Parameter source: returns how many bytes it wrote, or nil at the stream's end.
  /// - Returns: what `source` does.
  package mutating func fill(_ source: (inout [UInt8], Int) -> Int?) -> Int? {
    if self.start == self.end {
      (self.start, self.end) = (0, 0)
    } else if self.start > 0, self.room.count - self.end < Self.longest {
      self.room.withPacket(count: self.end) { $0.narrow(to: self.start..<self.end) }
      (self.start, self.end) = (0, self.end - self.start)
    }
    guard let count = source(&self.room, self.end) else { return nil }
    self.end += count
    return count
  }

  /// Hands the next whole message to `body`, without padding; false when there is none yet, or no more.
  package mutating func withNext(_ body: (inout Packet) -> Void) -> Bool {
    while !self.isBroken, self.pass(), let head = self.head {
      guard head.total <= Self.longest else {
        self.tooLong += 1
        self.rest = head.total
        continue
      }
      guard self.end - self.start >= head.total else { return false }
      let message = self.start..<(self.start + head.length)
      self.start += head.total
      self.room.withPacket(at: message, body)
      return true
    }
    return false
  }

  /// Messages that were passed over since this was asked last.
  package mutating func takeTooLong() -> Int {
    defer { self.tooLong = 0 }
    return self.tooLong
  }

  /// Passes over what is not wanted; false while more of it has to come.
  private mutating func pass() -> Bool {
    let count = min(self.rest, self.end - self.start)
    self.start += count
    self.rest -= count
    return self.rest == 0
  }

  /// Bytes of the message that begins here, without and with its padding; nil while too little of it is here.
  private var head: (length: Int, total: Int)? {
    mutating get {
      let count = self.end - self.start
      guard count >= 4 else { return nil }
      let (type, size, cookie) = self.room.withRawSpan { bytes in
        (
          bytes.uint16(at: self.start), Int(bytes.uint16(at: self.start + 2)),
          count >= 8 ? bytes.uint32(at: self.start + 4) : nil
        )
      }
      switch type {
      // Of channels that we bind there are so many, and a server uses no other.
      case 0x4000..<(0x4000 + UInt16(TURNAllocation.maximumChannels)): return (4 + size, 4 + (size + 3) / 4 * 4)
      // What it is can't be told yet.
      case 0..<0x4000 where size % 4 == 0 && cookie == nil: return nil
      case 0..<0x4000 where size % 4 == 0 && cookie == STUNType.magicCookie: return (20 + size, 20 + size)
      default:
        self.isBroken = true
        return nil
      }
    }
  }
}
