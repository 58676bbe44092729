internal import NetBase

/// The blocks of a payload of redundant audio data (RFC 2198 §3): earlier packets' payloads once more, then this packet's own.
package struct RedundantPayload: Sendable {
  /// One payload within the packet's.
  package struct Block: Equatable, Sendable {
    /// 0 to 127.
    package let payloadType: UInt8
    /// By how many timestamp units the block is older than the packet, 0 to 16,383; 0 for the packet's own.
    package let timestampOffset: UInt32
    /// Where it is in the packet's payload.
    package let bytes: Range<Int>
  }

  /// Redundant blocks that a packet may have.
  package static let maximumRedundant = 7

  /// The packet's own payload.
  package let primary: Block
  /// How many redundant ones there are, 0 to 7.
  package let redundantCount: Int
  private let blocks: InlineArray<7, Block>

  /// Nil when a length reaches past the end, there are too many blocks, or the packet has none of its own.
  package init?(parsing payload: RawSpan) {
    var headers = 0
    while true {
      guard headers * 4 < payload.byteCount else { return nil }
      if payload.uint8(at: headers * 4) & 0x80 == 0 { break }
      headers += 1
      guard headers <= Self.maximumRedundant, headers * 4 <= payload.byteCount else { return nil }
    }
    var start = headers * 4 + 1
    var blocks = InlineArray<7, Block>(repeating: Block(payloadType: 0, timestampOffset: 0, bytes: 0..<0))
    for index in 0..<headers {
      let word = payload.uint32(at: index * 4)
      let end = start + Int(word & 0x3FF)
      guard end <= payload.byteCount else { return nil }
      blocks[index] = Block(
        payloadType: UInt8(word >> 24 & 0x7F), timestampOffset: word >> 10 & 0x3FFF, bytes: start..<end)
      start = end
    }
    self.primary = Block(
      payloadType: payload.uint8(at: headers * 4), timestampOffset: 0, bytes: start..<payload.byteCount)
    self.redundantCount = headers
    self.blocks = blocks
  }

  /// The redundant block at `index`, which is below `redundantCount`; mostly the oldest is first.
  package func redundant(_ index: Int) -> Block {
    precondition(index < self.redundantCount, "no such block")
    return self.blocks[index]
  }
}
