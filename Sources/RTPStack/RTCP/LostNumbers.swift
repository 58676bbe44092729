/// Sequence numbers that are asked for again, in the words of a generic NACK (RFC 4585 §6.2.1): a number, and which of the sixteen
/// after it are asked for too.
package struct LostNumbers: Sendable {
  /// How many words there are.
  package private(set) var wordCount = 0
  private var words = InlineArray<64, UInt32>(repeating: 0)

  package init() {}

  /// Takes a number; they are in the fewest words when they come in order. False when there is no more room, which
  /// `RTCPFeedback.maximumLost` numbers always have.
  @discardableResult
  package mutating func append(_ number: UInt16) -> Bool {
    if self.wordCount > 0 {
      let last = self.words[self.wordCount - 1]
      let distance = number &- UInt16(last >> 16)
      if distance == 0 { return true }
      if distance <= 16 {
        self.words[self.wordCount - 1] = last | 1 << UInt32(distance - 1)
        return true
      }
    }
    guard self.wordCount < self.words.count else { return false }
    self.words[self.wordCount] = UInt32(number) << 16
    self.wordCount += 1
    return true
  }

  /// The word at `index`, which is below `wordCount`.
  package func word(_ index: Int) -> UInt32 {
    precondition(index < self.wordCount, "no such word")
    return self.words[index]
  }

  /// Calls `body` with each number that a word stands for.
  static func forEach(in word: UInt32, _ body: (UInt16) -> Void) {
    let first = UInt16(word >> 16)
    body(first)
    var following = UInt16(truncatingIfNeeded: word)
    while following != 0 {
      body(first &+ UInt16(following.trailingZeroBitCount + 1))
      following &= following - 1
    }
  }
}
