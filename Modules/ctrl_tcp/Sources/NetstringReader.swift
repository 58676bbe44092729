/// Takes netstrings (`LENGTH:TEXT,`) apart as they arrive; bounded.
package struct NetstringReader {
  /// Why what arrived is no netstring.
  package enum Failure: String, Error {
    case malformed = "a netstring is LENGTH:TEXT, in decimal digits"
    case tooLong = "more than 64 KiB in one netstring"
  }

  /// Bytes of a text.
  package static let limit = 65_536

  private var buffer: [UInt8] = []
  private var start = 0

  package init() {}

  package mutating func append(_ bytes: ArraySlice<UInt8>) {
    if self.start > Self.limit {
      self.buffer.removeFirst(self.start)
      self.start = 0
    }
    self.buffer += bytes
  }

  /// The next whole text; nil while there is none.
  package mutating func next() throws(Failure) -> [UInt8]? {
    var length = 0
    var index = self.start
    while index < self.buffer.count, (0x30...0x39).contains(self.buffer[index]) {
      // A leading zero is only for the empty text.
      if index > self.start, length == 0 { throw .malformed }
      length = length * 10 + Int(self.buffer[index] - 0x30)
      if length > Self.limit { throw .tooLong }
      index += 1
    }
    guard index < self.buffer.count else { return nil }
    guard self.buffer[index] == UInt8(ascii: ":"), index > self.start else { throw .malformed }
    let end = index + 1 + length
    guard end < self.buffer.count else { return nil }
    guard self.buffer[end] == UInt8(ascii: ",") else { throw .malformed }
    let text = Array(self.buffer[(index + 1)..<end])
    self.start = end + 1
    if self.start == self.buffer.count {
      self.buffer.removeAll(keepingCapacity: self.buffer.count < 4096)
      self.start = 0
    }
    return text
  }

  /// A text as a netstring.
  package static func wrapped(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return Array("\(bytes.count):".utf8) + bytes + [UInt8(ascii: ",")]
  }
}
