/// One datagram, in memory that its batch owns.
///
/// Neither copyable nor escapable: whoever is handed a packet cannot keep it, so nothing is copied or allocated.
public struct Packet: ~Copyable, ~Escapable, Sendable {
  /// All the room there is; the datagram is the first `count` bytes.
  public var storage: MutableRawSpan
  /// Length of the datagram, in bytes.
  public var count: Int

  @_lifetime(copy storage)
  @inlinable public init(storage: consuming MutableRawSpan, count: Int) {
    self.storage = storage
    self.count = count
  }

  /// Room for a datagram, in bytes.
  @inlinable public var capacity: Int { self.storage.byteCount }

  /// Makes `range` of the datagram the whole of it; traps outside it.
  public mutating func narrow(to range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= self.count, "outside a datagram")
    unsafe self.storage.withUnsafeMutableBytes { bytes in
      guard let start = bytes.baseAddress, !range.isEmpty else { return }
      unsafe start.copyMemory(from: start + range.lowerBound, byteCount: range.count)
    }
    self.count = range.count
  }

  /// The datagram, read-only.
  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { self.storage.bytes.extracting(0..<self.count) }
  }
}
