import NetBase
import RTPStack
import Testing

/// RFC 9143 §15: the media description that a packet belongs to, in its header.
@Suite("Media identification") struct VideoMediaIDTests {
  private static let header = RTPHeader(marker: true, payloadType: 96, sequenceNumber: 7, timestamp: 9, ssrc: 11)

  private func packet(_ elements: SentElements) -> [UInt8] {
    .written(SentElements.longestHeader) { Self.header.write(into: &$0, elements) }
  }

  @Test("the header is what RFC 8285 draws, in the form that all identifiers have")
  func wire() {
    let fixed = "90 E0 0007 00000009 0000000B"
    let mid = SentMediaID(id: 4, token: "v1".utf8)
    #expect(self.packet(SentElements()) == bytes("80 E0 0007 00000009 0000000B"))
    #expect(self.packet(SentElements(mediaID: mid)) == bytes(fixed + "BEDE0001 41 7631 00"))
    #expect(
      self.packet(SentElements(audioLevel: (14, 0xAE), mediaID: mid)) == bytes(fixed + "BEDE0002 E0AE 41 7631 000000"))
    #expect(
      self.packet(SentElements(audioLevel: (15, 0xAE), mediaID: mid)) == bytes(fixed + "10000002 0F01AE 0402 7631 00"))
    #expect(self.packet(SentElements(audioLevel: (3, 1))) == bytes(fixed + "BEDE0001 30010000"))
  }

  @Test("what is written is read, whatever the identifiers and lengths", arguments: [1, 14, 15, 255] as [UInt8])
  func roundTrip(id: UInt8) throws {
    for length in 1...16 {
      for levelID in [0, 2, 16] as [UInt8] {
        let level = levelID == 0 ? nil : (id: levelID, byte: UInt8(0x85))
        let token = (0..<length).map { UInt8(97 + $0) }
        let elements = SentElements(audioLevel: level, mediaID: SentMediaID(id: id, token: token))
        let packet = self.packet(elements)
        #expect(packet.count == elements.headerLength && packet.count <= SentElements.longestHeader)
        try packet.withRawSpan { span in
          let heard = try RTPHeader(parsing: span)
          #expect(heard.payload.isEmpty && heard.marker && heard.payloadType == 96)
          #expect(heard.mediaID(id, in: span).map { Array(packet[$0]) } == token)
          #expect(heard.mediaID(5, in: span) == nil)
          if let level { #expect(heard.audioLevel(level.id, in: span)?.byte == level.byte) }
          #expect(heard.headerExtension?.profile == (max(id, level?.id ?? 1) < 15 ? 0xBEDE : 0x1000))
        }
      }
    }
  }

  @Test("a token that is empty or too long, and the identifier 0, are refused; an empty element is none")
  func bounds() throws {
    #expect(SentMediaID(id: 1, token: []) == nil && SentMediaID(id: 0, token: [1]) == nil)
    #expect(SentMediaID(id: 1, token: [UInt8](repeating: 1, count: 17)) == nil)
    bytes("90 60 0007 00000009 0000000B 10000001 04000000").withRawSpan { span in
      let header = try? RTPHeader(parsing: span)
      #expect(header != nil && header?.mediaID(4, in: span) == nil)
    }
  }
}
