internal import NetBase

extension RawSpan {
  package func littleEndian16(at offset: Int) -> Int { Int(self.uint16(at: offset).byteSwapped) }

  package func littleEndian32(at offset: Int) -> Int { Int(self.uint32(at: offset).byteSwapped) }

  /// Four bytes as text; what is not ASCII matches nothing.
  package func word(at offset: Int) -> String {
    String((0..<4).map { Character(UnicodeScalar(self.uint8(at: offset + $0))) })
  }
}

extension [UInt8] {
  package mutating func append(littleEndian16 value: Int) {
    for shift in [0, 8] { self.append(UInt8(value >> shift & 255)) }
  }

  package mutating func append(littleEndian32 value: Int) {
    for shift in [0, 8, 16, 24] { self.append(UInt8(value >> shift & 255)) }
  }
}
