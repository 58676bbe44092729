internal import NetBase

/// The elements of header extensions that go out with a packet (RFC 8285 §4).
package struct SentElements: Sendable {
  /// How loud the packet's audio is, and the identifier of the element that tells it.
  package var audioLevel: (id: UInt8, byte: UInt8)?
  /// Which media description the packet belongs to.
  package var mediaID: SentMediaID?

  package init(audioLevel: (id: UInt8, byte: UInt8)? = nil, mediaID: SentMediaID? = nil) {
    (self.audioLevel, self.mediaID) = (audioLevel, mediaID)
  }

  /// Length of the longest header with elements.
  package static let longestHeader = RTPHeader.fixedLength + 4 + 24

  /// Length of the header with these elements.
  package var headerLength: Int {
    let words = self.words
    return RTPHeader.fixedLength + (words == 0 ? 0 : 4 + 4 * words)
  }

  /// Identifiers below 15 have the one-byte form; no element here is longer than it allows.
  fileprivate var isShort: Bool { (self.audioLevel?.id ?? 1) < 15 && (self.mediaID?.id ?? 1) < 15 }

  fileprivate var words: Int {
    let head = self.isShort ? 1 : 2
    let level = self.audioLevel == nil ? 0 : head + 1
    let media = self.mediaID.map { head + $0.count } ?? 0
    return (level + media + 3) / 4
  }
}

/// A media identification that goes out with packets (RFC 9143 §15): 1 to 16 bytes, kept in place.
package struct SentMediaID: Sendable {
  /// What names it in `a=extmap`.
  package static let uri = "urn:ietf:params:rtp-hdrext:sdes:mid"
  /// The longest that fits, in bytes.
  package static let longest = 16

  package let id: UInt8
  /// Its length in bytes, 1 to 16.
  package let count: Int
  private var bytes = InlineArray<16, UInt8>(repeating: 0)

  /// Nil for a token that is empty or longer than 16 bytes, and for the identifier 0, which is padding.
  package init?(id: UInt8, token: some Collection<UInt8>) {
    guard id != 0, (1...Self.longest).contains(token.count) else { return nil }
    (self.id, self.count) = (id, token.count)
    for (index, byte) in token.enumerated() { self.bytes[index] = byte }
  }

  /// Whether a packet's element has the same bytes.
  package func isSame(as element: RawSpan) -> Bool {
    guard element.byteCount == self.count else { return false }
    for index in 0..<self.count where element.uint8(at: index) != self.bytes[index] { return false }
    return true
  }

  fileprivate func write(into room: inout MutableRawSpan, at start: Int) {
    for index in 0..<self.count { room.set(uint8: self.bytes[index], at: start + index) }
  }
}

extension RTPHeader {
  /// Where the media identification is that stands in the element of this identifier; nil without one, and where it is empty.
  package func mediaID(_ id: UInt8, in packet: RawSpan) -> Range<Int>? {
    guard let bytes = self.element(id, in: packet), !bytes.isEmpty else { return nil }
    return bytes
  }

  /// Writes the fixed header and an extension with the elements, if there are any, at the start of `room`, which has at least
  /// `elements.headerLength` bytes, and returns their length. The form is the shorter one that has the identifiers, which are not 0.
  @discardableResult
  package func write(into room: inout MutableRawSpan, _ elements: SentElements) -> Int {
    var place = self.write(into: &room)
    let words = elements.words
    guard words > 0 else { return place }
    let isShort = elements.isShort
    room.set(uint8: 0x90, at: 0)
    room.set(uint16: isShort ? 0xBEDE : 0x1000, at: place)
    room.set(uint16: UInt16(words), at: place + 2)
    place += 4
    let end = place + 4 * words
    if let level = elements.audioLevel {
      place = Self.writeElement(level.id, length: 1, isShort: isShort, into: &room, at: place)
      room.set(uint8: level.byte, at: place)
      place += 1
    }
    if let media = elements.mediaID {
      place = Self.writeElement(media.id, length: media.count, isShort: isShort, into: &room, at: place)
      media.write(into: &room, at: place)
      place += media.count
    }
    while place < end {
      room.set(uint8: 0, at: place)
      place += 1
    }
    return end
  }

  /// Writes what stands before an element's data, and returns where the data goes.
  private static func writeElement(
    _ id: UInt8, length: Int, isShort: Bool, into room: inout MutableRawSpan, at place: Int
  ) -> Int {
    precondition(id != 0, "the identifier 0 is padding")
    if isShort {
      room.set(uint8: id << 4 | UInt8(length - 1), at: place)
      return place + 1
    }
    room.set(uint8: id, at: place)
    room.set(uint8: UInt8(length), at: place + 1)
    return place + 2
  }
}
