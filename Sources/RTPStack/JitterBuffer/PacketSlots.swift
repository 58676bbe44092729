internal import NetBase

/// The packets that a jitter buffer holds: in one slab an index, and places, each with what is known of a packet and then its
/// payload, so that one is found where the other is.
///
/// A packet's entry in the index follows from its sequence number, so every access is one step. The place that was left last
/// is taken first: what many calls touch stays small, and few places are made where few packets wait. The slab grows only
/// when more wait than ever did, or a payload is larger than any before.
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
    fileprivate static let mediaOffset = 8
    fileprivate static let lengthOffset = 20
    fileprivate static let isOccupiedOffset = 26
    /// The place that is free after this one.
    fileprivate static let nextFreeOffset = 27

    fileprivate init(_ bytes: RawSpan, at start: Int) {
      self.sequence = Int64(bitPattern: bytes.uint64(at: start))
      self.media = Int64(bitPattern: bytes.uint64(at: start + Self.mediaOffset))
      self.timestamp = bytes.uint32(at: start + 16)
      self.length = Int(bytes.uint32(at: start + Self.lengthOffset))
      self.payloadType = bytes.uint8(at: start + 24)
      self.marker = bytes.uint8(at: start + 25) != 0
      self.isOccupied = bytes.uint8(at: start + Self.isOccupiedOffset) != 0
    }

    fileprivate func write(into bytes: inout MutableRawSpan, at start: Int) {
      bytes.set(uint64: UInt64(bitPattern: self.sequence), at: start)
      bytes.set(uint64: UInt64(bitPattern: self.media), at: start + Self.mediaOffset)
      bytes.set(uint32: self.timestamp, at: start + 16)
      bytes.set(uint32: UInt32(self.length), at: start + Self.lengthOffset)
      bytes.set(uint8: self.payloadType, at: start + 24)
      bytes.set(uint8: self.marker ? 1 : 0, at: start + 25)
      bytes.set(uint8: self.isOccupied ? 1 : 0, at: start + Self.isOccupiedOffset)
    }

    fileprivate static func free(_ bytes: inout MutableRawSpan, at start: Int, next: UInt8) {
      bytes.set(uint8: 0, at: start + Self.isOccupiedOffset)
      bytes.set(uint8: next, at: start + Self.nextFreeOffset)
    }

    init(sequence: Int64, media: Int64, timestamp: UInt32, payloadType: UInt8, marker: Bool) {
      (self.sequence, self.media, self.timestamp) = (sequence, media, timestamp)
      (self.payloadType, self.marker) = (payloadType, marker)
    }
  }

  private static let firstPlaces = 8
  /// No place.
  private static let none = UInt8.max

  private var slab: [UInt8]
  /// Room for a payload.
  private var capacity: Int
  private let largest: Int
  /// How many packets there is room for at most.
  let count: Int
  private var places: Int
  /// The place that was left last.
  private var free = Self.none
  /// How many packets are held.
  private(set) var held = 0

  init(count: Int, payloadCapacity: Int, largestPayload: Int) {
    self.count = count
    self.capacity = min(payloadCapacity, largestPayload)
    self.largest = largestPayload
    self.places = min(count, Self.firstPlaces)
    self.slab = [UInt8](repeating: 0, count: count + self.places * (Slot.size + self.capacity))
    self.makeFree(from: 0)
  }

  /// Bytes reserved for payloads and what is known of them.
  var footprint: Int { self.slab.capacity }

  func index(of sequence: Int64) -> Int { Int(sequence % Int64(self.count)) }

  func holds(_ sequence: Int64) -> Bool {
    let start = self.start(of: sequence)
    let bytes = unsafe self.slab.span.bytes
    return bytes.uint8(at: start + Slot.isOccupiedOffset) != 0
      && bytes.uint64(at: start) == UInt64(bitPattern: sequence)
  }

  /// The place on the media time line of a packet that is held, or that was the last to leave.
  func media(of sequence: Int64) -> Int64 {
    let bytes = unsafe self.slab.span.bytes
    return Int64(bitPattern: bytes.uint64(at: self.start(of: sequence) + Slot.mediaOffset))
  }

  /// What is known of a packet that is held, or that was the last to leave.
  subscript(sequence: Int64) -> Slot { Slot(unsafe self.slab.span.bytes, at: self.start(of: sequence)) }

  /// Takes a packet in; the entry of its number is free.
  mutating func store(_ slot: Slot, payload: RawSpan) {
    if payload.byteCount > self.capacity { self.grow(to: payload.byteCount) }
    if self.free == Self.none { self.makePlaces() }
    var slot = slot
    let index = self.index(of: slot.sequence)
    assert(!self.isTaken(index), "another packet's entry")
    (slot.length, slot.isOccupied) = (payload.byteCount, true)
    let place = self.free
    let start = self.start(ofPlace: place)
    self.free = self.slab[start + Slot.nextFreeOffset]
    var room = self.slab.mutableSpan
    var bytes = unsafe room.mutableBytes
    bytes.set(uint8: place, at: index)
    slot.write(into: &bytes, at: start)
    bytes.copy(payload, at: start + Slot.size)
    self.held += 1
  }

  /// Frees the place of a packet that is held; its payload stays readable until the next one is stored.
  mutating func remove(_ sequence: Int64) {
    let place = self.slab[self.index(of: sequence)]
    let (start, next) = (self.start(ofPlace: place), self.free)
    self.free = place
    var room = self.slab.mutableSpan
    var bytes = unsafe room.mutableBytes
    Slot.free(&bytes, at: start, next: next)
    self.held -= 1
  }

  /// The payload of a packet that is held, or that was the last to leave.
  @_lifetime(borrow self)
  func payload(of sequence: Int64) -> RawSpan {
    let start = self.start(of: sequence)
    let bytes = unsafe self.slab.span.bytes
    let first = start + Slot.size
    return bytes.extracting(first..<first + Int(bytes.uint32(at: start + Slot.lengthOffset)))
  }

  private func start(of sequence: Int64) -> Int { self.start(ofPlace: self.slab[self.index(of: sequence)]) }

  private func start(ofPlace place: UInt8) -> Int { self.count + Int(place) * (Slot.size + self.capacity) }

  private func isTaken(_ index: Int) -> Bool {
    let slot = Slot(unsafe self.slab.span.bytes, at: self.start(ofPlace: self.slab[index]))
    return slot.isOccupied && self.index(of: slot.sequence) == index
  }

  /// Makes the places from `first` on free, the first of them to be taken first.
  private mutating func makeFree(from first: Int) {
    for place in (first..<self.places).reversed() {
      self.slab[self.start(ofPlace: UInt8(place)) + Slot.nextFreeOffset] = self.free
      self.free = UInt8(place)
    }
  }

  private mutating func makePlaces() {
    let before = self.places
    self.rebuild(places: min(self.count, 2 * before), capacity: self.capacity)
    self.makeFree(from: before)
  }

  private mutating func grow(to length: Int) {
    var capacity = max(self.capacity, 64)
    while capacity < length { capacity *= 2 }
    self.rebuild(places: self.places, capacity: min(capacity, self.largest))
  }

  /// Moves all to a slab of its exact size.
  private mutating func rebuild(places: Int, capacity: Int) {
    let (before, after) = (Slot.size + self.capacity, Slot.size + capacity)
    var slab = [UInt8](repeating: 0, count: self.count + places * after)
    for index in 0..<self.count { slab[index] = self.slab[index] }
    for place in 0..<self.places {
      for byte in 0..<before { slab[self.count + place * after + byte] = self.slab[self.count + place * before + byte] }
    }
    (self.slab, self.places, self.capacity) = (slab, places, capacity)
  }
}
