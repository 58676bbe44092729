import NetBase
import RTPStack
import Testing

/// RFC 8285: the elements of header extensions; RFC 6464: the level in one of them.
@Suite struct HeaderExtensionTests {
  /// A packet with this extension, its payload one byte.
  private func packet(_ profile: String, _ elements: String) -> [UInt8] {
    let words = bytes(elements)
    let count = UInt8(words.count / 4)
    return bytes("90 00 0001 00000000 00000000" + profile) + [0, count] + words + [0xAA]
  }

  private func elements(_ packet: [UInt8]) throws -> [String] {
    try packet.withRawSpan { span in
      let header = try RTPHeader(parsing: span)
      guard let headerExtension = header.headerExtension, var all = HeaderExtensionElements(headerExtension) else {
        return ["none"]
      }
      var found: [String] = []
      while let element = all.next(in: span) {
        let data = element.bytes.map { span.uint8(at: $0) }
        found.append("\(element.id):" + data.map { String($0, radix: 16) }.joined(separator: "."))
      }
      #expect(header.payload.count == 1 && span.uint8(at: header.payload.lowerBound) == 0xAA)
      return found
    }
  }

  @Test(
    "the one-byte form (RFC 8285 §4.2)",
    arguments: [
      ("10FF0000", ["1:ff"]),
      // As drawn in the RFC: an element of one byte, of two, padding, of four.
      ("10AA21BB CC000033 DDDDDDDD", ["1:aa", "2:bb.cc", "3:dd.dd.dd.dd"]),
      ("00000010 7F000000", ["1:7f"]),
      ("EF010203 04050607 08090A0B 0C0D0E0F 10000000", ["14:1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.10"]),
      // Identifier 15, and padding with a length: what stands before counts, nothing after.
      ("10AAF033 20BB0000", ["1:aa"]), ("10AA0133 20BB0000", ["1:aa"]), ("F0AA10BB", []),
      // An element that runs past the end.
      ("10AA23BB", ["1:aa"]), ("1F000000", []), ("10AA0020", ["1:aa"]),
      ("", []),
    ])
  func oneByte(_ words: String, _ expected: [String]) throws {
    #expect(try self.elements(self.packet("BEDE", words)) == expected)
  }

  @Test(
    "the two-byte form (RFC 8285 §4.3)",
    arguments: [
      ("0101AA00", ["1:aa"]),
      // As drawn in the RFC: an element without data, of one byte, padding, of four.
      ("010002 01 BB000304 DDDDDDDD", ["1:", "2:bb", "3:dd.dd.dd.dd"]),
      ("0F01AAFF 01BB0000", ["15:aa", "255:bb"]),
      ("0101AA02", ["1:aa"]), ("01040000", []), ("00000001", []),
    ])
  func twoBytes(_ words: String, _ expected: [String]) throws {
    #expect(try self.elements(self.packet("1000", words)) == expected)
    #expect(try self.elements(self.packet("100F", words)) == expected)
  }

  @Test("other profiles have no elements", arguments: ["1010", "BEDF", "0000"])
  func others(profile: String) throws {
    #expect(try self.elements(self.packet(profile, "10AA0000")) == ["none"])
  }

  @Test(
    "a level that is written is read, in the form that its identifier needs",
    arguments: [1, 14, 15, 16, 255] as [UInt8])
  func level(id: UInt8) throws {
    for value in [0, 1, 0x7F, 0x80, 0xAE, 0xFF] as [UInt8] {
      let header = RTPHeader(marker: true, payloadType: 111, sequenceNumber: 7, timestamp: 9, ssrc: 11)
      let elements = SentElements(audioLevel: (id: id, byte: value))
      let packet = [UInt8].written(elements.headerLength) { header.write(into: &$0, elements) } + [0xAA]
      try packet.withRawSpan { span in
        let heard = try RTPHeader(parsing: span)
        #expect(heard.marker && heard.payloadType == 111 && heard.payload == 20..<21)
        #expect(heard.headerExtension?.profile == (id < 15 ? 0xBEDE : 0x1000))
        #expect(heard.audioLevel(id, in: span) == AudioLevel(value))
        #expect(heard.audioLevel(id ^ 3, in: span) == nil)
      }
    }
  }

  @Test("the level's byte is the voice bit and -dBov (RFC 6464 §3)")
  func byte() {
    #expect(AudioLevel(0xAE) == AudioLevel(attenuation: 46, hasVoice: true) && AudioLevel(0xAE).decibels == -46)
    #expect(AudioLevel(0x7F).decibels == -127 && !AudioLevel(0x7F).hasVoice)
    #expect(AudioLevel(attenuation: 200, hasVoice: false).byte == 0x7F)
  }

  @Test("an element of another length is no level")
  func length() throws {
    let packet = self.packet("BEDE", "11AABB00")
    try packet.withRawSpan { span in
      let header = try RTPHeader(parsing: span)
      #expect(header.element(1, in: span) == 17..<19 && header.audioLevel(1, in: span) == nil)
    }
  }
}
