internal import NetBase

/// The packets that a jitter buffer holds: a fixed number of slots in one slab, each what is known of a packet and then its
/// payload, so that one is found where the other is.
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

    /// Bytes before the payload.
    static let size = 32
    private static let isOccupiedOffset = 26

    fileprivate init(_ bytes: RawSpan, at start: Int) {
      self.sequence = Int64(bitPattern: bytes.uint64(at: start))
      self.media = Int64(bitPattern: bytes.uint64(at: start + 8))
      self.timestamp = bytes.uint32(at: start + 16)
      self.length = Int(bytes.uint32(at: start + 20))
      self.payloadType = bytes.uint8(at: start + 24)
      self.marker = bytes.uint8(at: start + 25) != 0
      self.isOccupied = bytes.uint8(at: start + Self.isOccupiedOffset) != 0
    }

    fileprivate func write(into bytes: inout MutableRawSpan, at start: Int) {
      bytes.set(uint64: UInt64(bitPattern: self.sequence), at: start)
      bytes.set(uint64: UInt64(bitPattern: self.media), at: start + 8)
      bytes.set(uint32: self.timestamp, at: start + 16)
      bytes.set(uint32: UInt32(self.length), at: start + 20)
      bytes.set(uint8: self.payloadType, at: start + 24)
      bytes.set(uint8: self.marker ? 1 : 0, at: start + 25)
      bytes.set(uint8: self.isOccupied ? 1 : 0, at: start + Self.isOccupiedOffset)
    }

    fileprivate static func free(_ bytes: inout MutableRawSpan, at start: Int) {
      bytes.set(uint8: 0, at: start + Self.isOccupiedOffset)
    }

    init(sequence: Int64, media: Int64, timestamp: UInt32, payloadType: UInt8, marker: Bool) {
      (self.sequence, self.media, self.timestamp) = (sequence, media, timestamp)
      (self.payloadType, self.marker) = (payloadType, marker)
    }
  }

  private var slab: [UInt8]
  /// Room for a payload.
  private var capacity: Int
  private let largest: Int
  let count: Int
  /// How many packets are held.
  private(set) var held = 0

  init(count: Int, payloadCapacity: Int, largestPayload: Int) {
    self.count = count
    self.capacity = min(payloadCapacity, largestPayload)
    self.largest = largestPayload
    self.slab = [UInt8](repeating: 0, count: count * (Slot.size + self.capacity))
  }

  /// Bytes reserved for payloads and their slots.
  var footprint: Int { self.slab.capacity }

  func index(of sequence: Int64) -> Int { Int(sequence % Int64(self.count)) }

  func holds(_ sequence: Int64) -> Bool {
    let slot = self[sequence]
    return slot.isOccupied && slot.sequence == sequence
  }

  /// The slot of a packet that is held, or that was the last to leave it.
  subscript(sequence: Int64) -> Slot { Slot(unsafe self.slab.span.bytes, at: self.start(of: sequence)) }

  /// Puts a packet into its slot, which is free.
  mutating func store(_ slot: Slot, payload: RawSpan) {
    if payload.byteCount > self.capacity { self.grow(to: payload.byteCount) }
    var slot = slot
    assert(!self[slot.sequence].isOccupied, "another packet's slot")
    (slot.length, slot.isOccupied) = (payload.byteCount, true)
    let start = self.start(of: slot.sequence)
    var room = self.slab.mutableSpan
    var bytes = unsafe room.mutableBytes
    slot.write(into: &bytes, at: start)
    bytes.copy(payload, at: start + Slot.size)
    self.held += 1
  }

  /// Frees the slot of a packet that is held; its payload stays readable until the slot is used again.
  mutating func remove(_ sequence: Int64) {
    let start = self.start(of: sequence)
    var room = self.slab.mutableSpan
    var bytes = unsafe room.mutableBytes
    Slot.free(&bytes, at: start)
    self.held -= 1
  }

  /// The payload in the slot of `sequence`.
  @_lifetime(borrow self)
  func payload(of sequence: Int64) -> RawSpan {
    let start = self.start(of: sequence) + Slot.size
    return unsafe self.slab.span.bytes.extracting(start..<start + self[sequence].length)
  }

  private func start(of sequence: Int64) -> Int { self.index(of: sequence) * (Slot.size + self.capacity) }

  private mutating func grow(to length: Int) {
    var capacity = max(self.capacity, 64)
    while capacity < length { capacity *= 2 }
    capacity = min(capacity, self.largest)
    let (before, after) = (Slot.size + self.capacity, Slot.size + capacity)
    var slab = [UInt8](repeating: 0, count: self.count * after)
    for index in 0..<self.count {
      for byte in 0..<before { slab[index * after + byte] = self.slab[index * before + byte] }
    }
    (self.slab, self.capacity) = (slab, capacity)
  }
}
