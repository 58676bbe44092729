internal import NetBase

/// The packets that a jitter buffer holds: a fixed number of slots and one slab for their payloads.
///
/// A packet's slot follows from its sequence number, so every access is one step. The slab grows only when a payload comes
/// that is larger than any before.
struct PacketSlots: ~Copyable {
  struct Slot {
    /// Extended sequence number.
    var sequence: Int64 = 0
    /// Place on the media time line, in timestamp units.
    var media: Int64 = 0
    var timestamp: UInt32 = 0
    var length = 0
    var payloadType: UInt8 = 0
    var marker = false
    var isOccupied = false
  }

  private var slots: [Slot]
  private var slab: [UInt8]
  private var stride: Int
  private let largest: Int
  /// How many packets are held.
  private(set) var held = 0

  init(count: Int, payloadCapacity: Int, largestPayload: Int) {
    self.slots = [Slot](repeating: Slot(), count: count)
    self.stride = min(payloadCapacity, largestPayload)
    self.largest = largestPayload
    self.slab = [UInt8](repeating: 0, count: count * self.stride)
  }

  var count: Int { self.slots.count }

  /// Bytes reserved for payloads and their slots.
  var footprint: Int { self.slab.capacity + self.slots.capacity * MemoryLayout<Slot>.stride }

  func index(of sequence: Int64) -> Int { Int(sequence % Int64(self.slots.count)) }

  func holds(_ sequence: Int64) -> Bool {
    let slot = self.slots[self.index(of: sequence)]
    return slot.isOccupied && slot.sequence == sequence
  }

  /// The slot of a packet that is held, or that was the last to leave it.
  subscript(sequence: Int64) -> Slot { self.slots[self.index(of: sequence)] }

  /// Puts a packet into its slot, which is free.
  mutating func store(_ slot: Slot, payload: RawSpan) {
    if payload.byteCount > self.stride { self.grow(to: payload.byteCount) }
    let index = self.index(of: slot.sequence)
    self.slots[index] = slot
    self.slots[index].length = payload.byteCount
    self.slots[index].isOccupied = true
    let start = index * self.stride
    var room = self.slab.mutableSpan
    var bytes = unsafe room.mutableBytes
    bytes.copy(payload, at: start)
    self.held += 1
  }

  /// Frees the slot of a packet that is held; its payload stays readable until the slot is used again.
  mutating func remove(_ sequence: Int64) {
    self.slots[self.index(of: sequence)].isOccupied = false
    self.held -= 1
  }

  /// The payload in the slot of `sequence`.
  @_lifetime(borrow self)
  func payload(of sequence: Int64) -> RawSpan {
    let index = self.index(of: sequence)
    let start = index * self.stride
    return unsafe self.slab.span.bytes.extracting(start..<start + self.slots[index].length)
  }

  private mutating func grow(to length: Int) {
    var stride = max(self.stride, 64)
    while stride < length { stride *= 2 }
    stride = min(stride, self.largest)
    var slab = [UInt8](repeating: 0, count: self.slots.count * stride)
    for index in self.slots.indices {
      for byte in 0..<self.slots[index].length { slab[index * stride + byte] = self.slab[index * self.stride + byte] }
    }
    (self.slab, self.stride) = (slab, stride)
  }
}
