extension MutableSpan where Element == Int16 {
  /// Copies `source` to `offset`, all at once; traps when it does not fit.
  public mutating func copy(_ source: Span<Int16>, at offset: Int = 0) {
    precondition(offset >= 0 && offset <= self.count - source.count, "samples outside a span")
    unsafe self.withUnsafeMutableBufferPointer { target in
      unsafe source.withUnsafeBufferPointer { samples in
        guard let start = target.baseAddress, let from = samples.baseAddress else { return }
        unsafe (start + offset).update(from: from, count: samples.count)
      }
    }
  }

  /// Moves the samples from `offset` on to the front; what was there is lost.
  public mutating func moveToFront(from offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && offset <= self.count - count, "samples outside a span")
    unsafe self.withUnsafeMutableBufferPointer { samples in
      guard let start = samples.baseAddress else { return }
      unsafe start.update(from: start + offset, count: count)
    }
  }
}
