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

  /// The datagram, read-only.
  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self)
    get { self.storage.bytes.extracting(0..<self.count) }
  }
}
