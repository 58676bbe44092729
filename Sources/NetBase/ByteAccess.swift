// Big-endian ("network order") access with bounds that are always checked.

extension RawSpan {
  /// The byte at `offset`; traps outside the span, so check the length of network input first.
  @inlinable public func uint8(at offset: Int) -> UInt8 {
    unsafe self.unsafeLoad(fromByteOffset: self.checked(offset, 1), as: UInt8.self)
  }

  @inlinable public func uint16(at offset: Int) -> UInt16 {
    UInt16(bigEndian: unsafe self.unsafeLoadUnaligned(fromByteOffset: self.checked(offset, 2), as: UInt16.self))
  }

  @inlinable public func uint32(at offset: Int) -> UInt32 {
    UInt32(bigEndian: unsafe self.unsafeLoadUnaligned(fromByteOffset: self.checked(offset, 4), as: UInt32.self))
  }

  @inlinable public func uint64(at offset: Int) -> UInt64 {
    UInt64(bigEndian: unsafe self.unsafeLoadUnaligned(fromByteOffset: self.checked(offset, 8), as: UInt64.self))
  }

  /// A copy of the bytes; allocates, so not for the packet path.
  public func copied() -> [UInt8] {
    unsafe self.withUnsafeBytes { unsafe Array($0) }
  }

  @inlinable func checked(_ offset: Int, _ size: Int) -> Int {
    precondition(offset >= 0 && offset <= self.byteCount - size, "read outside a span")
    return offset
  }
}

extension MutableRawSpan {
  @inlinable public mutating func set(uint8 value: UInt8, at offset: Int) { self.store(value, at: offset) }
  @inlinable public mutating func set(uint16 value: UInt16, at offset: Int) { self.store(value.bigEndian, at: offset) }
  @inlinable public mutating func set(uint32 value: UInt32, at offset: Int) { self.store(value.bigEndian, at: offset) }
  @inlinable public mutating func set(uint64 value: UInt64, at offset: Int) { self.store(value.bigEndian, at: offset) }

  /// Copies `source` to `offset`; traps when it does not fit.
  @inlinable public mutating func copy(_ source: RawSpan, at offset: Int) {
    precondition(offset >= 0 && offset <= self.byteCount - source.byteCount, "write outside a span")
    unsafe self.withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { bytes in
        guard let start = target.baseAddress, let from = bytes.baseAddress else { return }
        unsafe (start + offset).copyMemory(from: from, byteCount: bytes.count)
      }
    }
  }

  @inlinable mutating func store<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    precondition(offset >= 0 && offset <= self.byteCount - MemoryLayout<Value>.size, "write outside a span")
    self.storeBytes(of: value, toByteOffset: offset, as: Value.self)
  }
}

extension Array where Element == UInt8 {
  /// Calls `body` with the bytes as a span, without a copy.
  @inlinable public func withRawSpan<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(self.span.bytes)
  }

  /// Calls `body` with the array as the room of a packet that holds `count` bytes (all of them when nil).
  @inlinable public mutating func withPacket<Result: ~Copyable, Failure: Error>(
    count: Int? = nil, _ body: (inout Packet) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let length = count ?? self.count
    precondition(length <= self.count, "a packet longer than its room")
    var span = self.mutableSpan
    var packet = unsafe Packet(storage: span.mutableBytes, count: length)
    return try body(&packet)
  }

  /// Calls `body` with a part of the array as a packet that fills its room.
  @inlinable public mutating func withPacket<Result: ~Copyable, Failure: Error>(
    at range: Range<Int>, _ body: (inout Packet) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var span = self.mutableSpan
    var bytes = unsafe span.mutableBytes
    var packet = Packet(storage: bytes._mutatingExtracting(range), count: range.count)
    return try body(&packet)
  }
}
