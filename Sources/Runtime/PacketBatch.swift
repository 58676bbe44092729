internal import CLinux
package import NetBase

/// Room for datagrams, allocated once and filled by one `recvmmsg`; or filled one by one, and sent by one `sendmmsg`.
///
/// A loop collects in it what several sockets have, and then hands each what is its own: the kernel's code runs for all of
/// them, then ours, so that neither pushes the other out of the processor's caches at every datagram.
@safe package final class PacketBatch {
  /// What one socket had, in the slots from `start` on.
  private struct Collection {
    let token: UInt64
    let start: Int
    let count: Int
  }

  private let batch: OpaquePointer
  /// For what is collected; as many again are behind them, so that there always is room for what a handler asks for itself.
  private let slots: Int
  private let slotSize: Int
  /// The datagrams that it shows now.
  private var start = 0
  private var shown = 0
  /// While a datagram is lent nothing may take its place.
  private var isLent = false
  /// Slots that hold what was collected.
  private var collected = 0
  private var collections: [Collection] = []

  package init(slots: Int, slotSize: Int = 2048) {
    unsafe self.batch = clinux_batch_new(2 * UInt32(slots), slotSize)
    self.slots = slots
    self.slotSize = slotSize
    self.collections.reserveCapacity(slots)
  }

  deinit { unsafe clinux_batch_free(self.batch) }

  /// How many datagrams it shows.
  package var count: Int { self.shown }

  /// Whether a fill brought as many datagrams as there is room for, so that there may be more.
  package var isFull: Bool { self.shown == self.slots }

  /// Shows what was collected of the socket that the loop watches as `watch`, and after that what it has now; never blocks.
  package func fill(from socket: borrowing UDPSocket, _ watch: WatchID? = nil) {
    if let watch, self.showCollected(for: watch.token) { return }
    self.start = self.collected
    self.shown = self.receive(socket.descriptor, self.slots)
  }

  private func receive(_ descriptor: Int32, _ count: Int) -> Int {
    precondition(!self.isLent, "a datagram is in use")
    return max(0, Int(unsafe clinux_batch_receive(self.batch, descriptor, UInt32(self.collected), UInt32(count))))
  }

  // MARK: Several sockets

  /// Takes in what a socket has, for whoever asks with `token`; false where there is no room for any of it.
  func collect(_ descriptor: Int32, for token: UInt64) -> Bool {
    guard self.collected < self.slots else { return false }
    let count = self.receive(descriptor, self.slots - self.collected)
    if count > 0 {
      self.collections.append(Collection(token: token, start: self.collected, count: count))
      self.collected += count
    }
    return true
  }

  /// How many sockets' datagrams are collected.
  var collectionCount: Int { self.collections.count }

  /// Whose the collection is.
  func token(ofCollection index: Int) -> UInt64 { self.collections[index].token }

  /// Shows what is collected for `token`, once; false where there is nothing.
  private func showCollected(for token: UInt64) -> Bool {
    guard let index = self.collections.firstIndex(where: { $0.token == token && $0.count > 0 }) else { return false }
    let found = self.collections[index]
    (self.start, self.shown) = (found.start, found.count)
    self.collections[index] = Collection(token: token, start: found.start, count: 0)
    return true
  }

  /// Forgets what is collected.
  func discardCollected() {
    self.collections.removeAll(keepingCapacity: true)
    self.collected = 0
    self.clear()
  }

  // MARK: One by one

  /// Replaces what the batch holds with one datagram, as much of it as a slot holds, for networks without a kernel.
  package func fill(with bytes: RawSpan, from source: SocketAddress) {
    self.clear()
    _ = self.append(bytes.extracting(0..<min(bytes.byteCount, self.slotSize)), source)
  }

  /// Adds a datagram of another batch behind those that this one holds, with all that the kernel said of it; there has
  /// to be room.
  package func append(_ index: Int, of other: PacketBatch) {
    precondition(index < other.shown && self.shown < self.slots && !self.isLent)
    unsafe clinux_batch_copy(self.batch, self.slot(self.shown), other.batch, other.slot(index))
    self.shown += 1
  }

  /// Adds a datagram that came from `address`, or is to go there; false where there is no room for it.
  package func append(_ bytes: RawSpan, _ address: SocketAddress) -> Bool {
    guard self.shown < self.slots, bytes.byteCount <= self.slotSize else { return false }
    self.set(self.shown, bytes, address)
    self.shown += 1
    return true
  }

  private func set(_ index: Int, _ bytes: RawSpan, _ address: SocketAddress) {
    precondition(!self.isLent, "a datagram is in use")
    unsafe bytes.withUnsafeBytes { buffer in
      unsafe clinux_batch_set(self.batch, self.slot(index), buffer.baseAddress, buffer.count, address.clinux)
    }
  }

  /// Sends some of what was added; never blocks. A batch that is sent is never filled from a socket.
  ///
  /// - Returns: how many datagrams the kernel took; where it took none, what it said of the first.
  package func send(_ range: Range<Int>, on descriptor: Int32) -> (taken: Int, result: SendResult) {
    precondition(!range.isEmpty && range.upperBound <= self.shown)
    let sent = unsafe clinux_batch_send(self.batch, descriptor, self.slot(range.lowerBound), UInt32(range.count))
    return sent > 0 ? (Int(sent), .sent) : (0, SendResult(code: Int(sent)))
  }

  /// Makes the batch empty, but for what is collected.
  package func clear() { (self.start, self.shown) = (self.collected, 0) }

  package func source(_ index: Int) -> SocketAddress {
    SocketAddress(unsafe clinux_batch_source(self.batch, self.slot(index)))
  }

  /// Makes room for when datagrams came, once; before it `arrival` has nothing to tell.
  package func takeArrivals() { unsafe clinux_batch_take_arrivals(self.batch) }

  /// When the kernel took the datagram in, nanoseconds since 1970; nil where its socket was not asked to note it.
  package func arrival(_ index: Int) -> Int64? {
    let time = unsafe clinux_batch_arrival(self.batch, self.slot(index))
    return time == 0 ? nil : time
  }

  /// Whether the datagram was longer than its slot, and its end is lost.
  package func isTruncated(_ index: Int) -> Bool {
    unsafe clinux_batch_is_truncated(self.batch, self.slot(index))
  }

  package func withPacket<Result>(
    _ index: Int, _ body: (inout Packet) -> Result
  ) -> Result {
    precondition(index < self.shown && !self.isLent)
    self.isLent = true
    defer { self.isLent = false }
    let length = unsafe clinux_batch_length(self.batch, self.slot(index))
    let room = unsafe self.room(index)
    var packet = unsafe Packet(storage: room.mutableBytes, count: length)
    return body(&packet)
  }

  /// Where a datagram is that it shows.
  private func slot(_ index: Int) -> UInt32 { UInt32(self.start + index) }

  private func room(_ index: Int) -> UnsafeMutableRawBufferPointer {
    let start = unsafe clinux_batch_bytes(self.batch, self.slot(index))
    return unsafe UnsafeMutableRawBufferPointer(start: start, count: self.slotSize)
  }
}
