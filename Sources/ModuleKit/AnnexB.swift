internal import NetBase

extension RawSpan {
  /// Where the next NAL unit of a byte stream (H.264 annex B) lies, start code and zeros around it left out; nil when there is none at `offset` or after it.
  package func nalUnit(from offset: Int) -> Range<Int>? {
    var start = self.startCode(from: offset) + 3
    while start < self.byteCount {
      let next = self.startCode(from: start)
      var end = next
      while end > start, self.uint8(at: end - 1) == 0 { end -= 1 }
      if end > start { return start..<end }
      start = next + 3
    }
    return nil
  }

  /// Where three bytes 0, 0, 1 are; the span's end when nowhere.
  private func startCode(from offset: Int) -> Int {
    var index = offset
    while index + 3 <= self.byteCount {
      let last = self.uint8(at: index + 2)
      if last > 1 {
        index += 3
      } else if last == 1, self.uint16(at: index) == 0 {
        return index
      } else {
        index += 1
      }
    }
    return self.byteCount
  }
}
