internal import NetBase

/// Room for one frame, used again for the next: it grows to the largest and allocates nothing after that.
public struct VideoFrameRoom: ~Copyable, Sendable {
  private var storage: [UInt8]
  private let limit: Int
  /// Bytes of the frame so far.
  public private(set) var count = 0

  /// - Parameter limit: bytes of the longest frame.
  public init(limit: Int) {
    self.storage = []
    self.limit = limit
  }

  /// The frame.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe self.storage.span.bytes.extracting(0..<self.count) }
  }

  /// Begins the next frame.
  public mutating func clear() { self.count = 0 }

  /// Appends; false when the frame would be longer than the limit.
  public mutating func append(_ bytes: RawSpan) -> Bool {
    let (start, end) = (self.count, self.count + bytes.byteCount)
    guard end <= self.limit else { return false }
    self.grow(to: end)
    var room = self.storage.mutableSpan
    var all = unsafe room.mutableBytes
    all.copy(bytes, at: start)
    self.count = end
    return true
  }

  /// Appends one byte.
  public mutating func append(_ byte: UInt8) -> Bool {
    guard self.count < self.limit else { return false }
    self.grow(to: self.count + 1)
    self.storage[self.count] = byte
    self.count += 1
    return true
  }

  private mutating func grow(to length: Int) {
    guard self.storage.count < length else { return }
    self.storage += [UInt8](repeating: 0, count: min(max(length * 2, 16_384), self.limit) - self.storage.count)
  }
}
