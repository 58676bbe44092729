internal import Testing

@testable internal import ctrl_tcp

/// The frames of the control port.
@Suite struct NetstringTests {
  private static func read(_ text: String, by step: Int) throws -> [String] {
    var reader = NetstringReader()
    var found: [String] = []
    let bytes = Array(text.utf8)
    var index = 0
    while index < bytes.count {
      reader.append(bytes[index..<min(index + step, bytes.count)])
      index += step
      while let next = try reader.next() { found.append(String(decoding: next, as: UTF8.self)) }
    }
    return found
  }

  @Test("texts come out whole, however they arrive", arguments: [1, 2, 3, 7, 100])
  func whole(step: Int) throws {
    #expect(try Self.read("5:hello,0:,12:{\"a\": \"b,c\"},3:end", by: step) == ["hello", "", "{\"a\": \"b,c\"}"])
  }

  @Test(
    "what is no netstring is refused",
    arguments: ["x", ":abc,", "-1:a,", "3:abcd,", "03:abc,", "3;abc,", "{\"command\":\"quit\"}", " 3:abc,", "65537:"])
  func malformed(text: String) {
    #expect(throws: NetstringReader.Failure.self) { try Self.read(text, by: 100) }
  }

  @Test("a length without an end is refused, and the largest text is not")
  func limits() throws {
    #expect(throws: NetstringReader.Failure.tooLong) { try Self.read("99999999999999999999", by: 100) }
    let largest = String(repeating: "x", count: NetstringReader.limit)
    #expect(try Self.read("\(NetstringReader.limit):\(largest),1:y,", by: 16_384).map(\.count) == [65_536, 1])
  }

  @Test("a text is wrapped with its length in bytes")
  func wrapped() throws {
    #expect(NetstringReader.wrapped("é") == Array("2:é,".utf8))
    #expect(try Self.read(String(decoding: NetstringReader.wrapped("{}"), as: UTF8.self), by: 1) == ["{}"])
  }
}
