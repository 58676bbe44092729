internal import CLinux
package import NetBase

/// Room for datagrams, allocated once and filled by one `recvmmsg`; or filled one by one, and sent by one `sendmmsg`.
@safe package struct PacketBatch: ~Copyable {
  private let batch: OpaquePointer
  private let slots: Int
  private let slotSize: Int
  package private(set) var count = 0

  package init(slots: Int, slotSize: Int = 2048) {
    unsafe self.batch = clinux_batch_new(UInt32(slots), slotSize)
    self.slots = slots
    self.slotSize = slotSize
  }

  deinit { unsafe clinux_batch_free(self.batch) }

  /// Whether a fill brought as many datagrams as there is room for, so that there may be more.
  package var isFull: Bool { self.count == self.slots }

  /// Replaces what the batch holds with what the socket has; never blocks.
  package mutating func fill(from socket: borrowing UDPSocket) {
    self.count = max(0, Int(unsafe clinux_batch_receive(self.batch, socket.descriptor)))
  }

  /// Replaces what the batch holds with one datagram, as much of it as a slot holds, for networks without a kernel.
  package mutating func fill(with bytes: RawSpan, from source: SocketAddress) {
    self.clear()
    _ = self.append(bytes.extracting(0..<min(bytes.byteCount, self.slotSize)), source)
  }

  /// Adds a datagram of another batch behind those that this one holds, with all that the kernel said of it; there has
  /// to be room.
  package mutating func append(_ index: Int, of other: borrowing PacketBatch) {
    precondition(index < other.count && self.count < self.slots)
    unsafe clinux_batch_copy(self.batch, UInt32(self.count), other.batch, UInt32(index))
    self.count += 1
  }

  /// Adds a datagram that came from `address`, or is to go there; false where there is no room for it.
  package mutating func append(_ bytes: RawSpan, _ address: SocketAddress) -> Bool {
    guard self.count < self.slots, bytes.byteCount <= self.slotSize else { return false }
    self.set(self.count, bytes, address)
    self.count += 1
    return true
  }

  private func set(_ index: Int, _ bytes: RawSpan, _ address: SocketAddress) {
    unsafe bytes.withUnsafeBytes { buffer in
      unsafe clinux_batch_set(self.batch, UInt32(index), buffer.baseAddress, buffer.count, address.clinux)
    }
  }

  /// Sends what was added, from `first` on; never blocks. A batch that is sent is never filled from a socket.
  ///
  /// - Returns: how many datagrams the kernel took; where it took none, what it said of the first.
  package func send(from first: Int, on socket: borrowing UDPSocket) -> (taken: Int, result: SendResult) {
    precondition(first < self.count)
    let sent = unsafe clinux_batch_send(self.batch, socket.descriptor, UInt32(first), UInt32(self.count - first))
    return sent > 0 ? (Int(sent), .sent) : (0, SendResult(code: Int(sent)))
  }

  /// Makes the batch empty.
  package mutating func clear() { self.count = 0 }

  package func source(_ index: Int) -> SocketAddress {
    SocketAddress(unsafe clinux_batch_source(self.batch, UInt32(index)))
  }

  /// Makes room for when datagrams came, once; before it `arrival` has nothing to tell.
  package mutating func takeArrivals() { unsafe clinux_batch_take_arrivals(self.batch) }

  /// When the kernel took the datagram in, nanoseconds since 1970; nil where its socket was not asked to note it.
  package func arrival(_ index: Int) -> Int64? {
    let time = unsafe clinux_batch_arrival(self.batch, UInt32(index))
    return time == 0 ? nil : time
  }

  /// Whether the datagram was longer than its slot, and its end is lost.
  package func isTruncated(_ index: Int) -> Bool {
    unsafe clinux_batch_is_truncated(self.batch, UInt32(index))
  }

  package mutating func withPacket<Result>(
    _ index: Int, _ body: (inout Packet) -> Result
  ) -> Result {
    precondition(index < self.count)
    let length = unsafe clinux_batch_length(self.batch, UInt32(index))
    let slot = unsafe self.slot(index)
    var packet = unsafe Packet(storage: slot.mutableBytes, count: length)
    return body(&packet)
  }

  private func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
    let start = unsafe clinux_batch_bytes(self.batch, UInt32(index))
    return unsafe UnsafeMutableRawBufferPointer(start: start, count: self.slotSize)
  }
}
