internal import CLinux
package import NetBase

/// Room for datagrams, allocated once and filled by one `recvmmsg`.
@safe package struct PacketBatch: ~Copyable {
  private let batch: OpaquePointer
  private let slots: Int
  private let slotSize: Int
  private var injected: SocketAddress?
  private var injectedCount = 0
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
    self.injected = nil
    self.count = max(0, Int(unsafe clinux_batch_receive(self.batch, socket.descriptor)))
  }

  /// Replaces what the batch holds with one datagram, for networks without a kernel.
  package mutating func fill(with bytes: RawSpan, from source: SocketAddress) {
    self.injected = source
    self.injectedCount = min(bytes.byteCount, self.slotSize)
    self.count = 1
    var room = unsafe self.slot(0).mutableBytes
    room.copy(bytes.extracting(0..<self.injectedCount), at: 0)
  }

  /// Makes the batch empty.
  package mutating func clear() { self.count = 0 }

  package func source(_ index: Int) -> SocketAddress {
    self.injected ?? SocketAddress(unsafe clinux_batch_source(self.batch, UInt32(index)))
  }

  /// Makes room for when datagrams came, once; before it `arrival` has nothing to tell.
  package mutating func takeArrivals() { unsafe clinux_batch_take_arrivals(self.batch) }

  /// When the kernel took the datagram in, nanoseconds since 1970; nil where its socket was not asked to note it.
  package func arrival(_ index: Int) -> Int64? {
    guard self.injected == nil else { return nil }
    let time = unsafe clinux_batch_arrival(self.batch, UInt32(index))
    return time == 0 ? nil : time
  }

  /// Whether the datagram was longer than its slot, and its end is lost.
  package func isTruncated(_ index: Int) -> Bool {
    self.injected == nil ? unsafe clinux_batch_is_truncated(self.batch, UInt32(index)) : false
  }

  package mutating func withPacket<Result>(
    _ index: Int, _ body: (inout Packet) -> Result
  ) -> Result {
    precondition(index < self.count)
    let length = self.injected == nil ? unsafe clinux_batch_length(self.batch, UInt32(index)) : self.injectedCount
    let slot = unsafe self.slot(index)
    var packet = unsafe Packet(storage: slot.mutableBytes, count: length)
    return body(&packet)
  }

  private func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
    let start = unsafe clinux_batch_bytes(self.batch, UInt32(index))
    return unsafe UnsafeMutableRawBufferPointer(start: start, count: self.slotSize)
  }
}
