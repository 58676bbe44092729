import NetBase
import RTPStack
import Testing

@Suite struct RTPHeaderTests {
  private func parse(_ packet: [UInt8]) throws(RTPHeaderError) -> RTPHeader {
    try packet.withRawSpan { bytes throws(RTPHeaderError) in try RTPHeader(parsing: bytes) }
  }

  @Test("a header with CSRCs, an extension and padding is read (RFC 3550 §5.1)")
  func full() throws {
    let packet = bytes(
      "B2 88 FFFE 01020304 0A0B0C0D  11111111 22222222  BEDE 0001 10FF0000  AABBCC 00000004")
    let header = try self.parse(packet)
    #expect(header.marker)
    #expect(header.payloadType == 8)
    #expect(header.sequenceNumber == 0xFFFE)
    #expect(header.timestamp == 0x0102_0304)
    #expect(header.ssrc == 0x0A0B_0C0D)
    #expect(header.contributingSourceCount == 2)
    #expect(packet.withRawSpan { header.contributingSource(1, in: $0) } == 0x2222_2222)
    #expect(header.headerExtension == RTPHeader.Extension(profile: 0xBEDE, bytes: 24..<28))
    #expect(header.payload == 28..<31)
  }

  @Test(
    "malformed headers are refused, each with its reason",
    arguments: [
      ("", RTPHeaderError.short),
      ("80 00 0001 00000000 000000", .short),
      ("40 00 0001 00000000 00000000", .version),
      ("81 00 0001 00000000 00000000 0000", .contributingSources),
      ("90 00 0001 00000000 00000000 BEDE", .headerExtension),
      ("90 00 0001 00000000 00000000 BEDE 0001", .headerExtension),
      ("90 00 0001 00000000 00000000 BEDE FFFF 00000000", .headerExtension),
      ("A0 00 0001 00000000 00000000", .padding),
      ("A0 00 0001 00000000 00000000 AA00", .padding),
      ("A0 00 0001 00000000 00000000 AA03", .padding),
      ("A0 00 0001 00000000 00000000 AAFF", .padding),
    ])
  func malformed(_ hex: String, _ error: RTPHeaderError) {
    #expect(throws: error) { try self.parse(bytes(hex)) }
  }

  @Test("padding may be all there is, and the payload empty")
  func paddingOnly() throws {
    #expect(try self.parse(bytes("A0 00 0001 00000000 00000000 00000004")).payload == 12..<12)
    #expect(try self.parse(bytes("80 00 0001 00000000 00000000")).payload == 12..<12)
  }

  @Test("what is written is read again")
  func roundTrip() throws {
    var random = SeededRandom(1)
    for _ in 0..<200 {
      let sent = RTPHeader(
        marker: .random(using: &random), payloadType: .random(in: 0...127, using: &random),
        sequenceNumber: .random(in: 0 ... .max, using: &random), timestamp: random.next(), ssrc: random.next())
      let packet = [UInt8].written(12) { sent.write(into: &$0) }
      let heard = try self.parse(packet)
      #expect(heard.marker == sent.marker && heard.payloadType == sent.payloadType && heard.ssrc == sent.ssrc)
      #expect(heard.sequenceNumber == sent.sequenceNumber && heard.timestamp == sent.timestamp)
    }
  }

  @Test("random bytes never trap, and a payload is always inside the packet")
  func random() {
    var random = SeededRandom(2)
    for _ in 0..<20_000 {
      var packet = (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if !packet.isEmpty { packet[0] = packet[0] & 0x3F | 0x80 }
      guard let header = try? self.parse(packet) else { continue }
      #expect(header.payload.upperBound <= packet.count && header.payload.lowerBound >= 12)
    }
  }
}

@Suite struct RTPSenderTests {
  @Test("numbers start below 2^15, the first packet of a talkspurt is marked, timestamps follow the samples")
  func numbering() {
    for seed in 0..<200 {
      var random = SeededRandom(UInt64(seed))
      var sender = RTPSender(clockRate: 8000, random: &random)
      #expect(sender.sequenceNumber < 0x8000)
      let first = sender.next(samples: 160, payloadType: 0, payloadCount: 160, now: .milliseconds(0))
      let second = sender.next(samples: 160, payloadType: 0, payloadCount: 160, now: .milliseconds(20))
      sender.skip(samples: 800)
      let third = sender.next(samples: 160, payloadType: 0, payloadCount: 160, now: .milliseconds(140))
      #expect([first, second, third].map(\.marker) == [true, false, true])
      #expect(second.timestamp == first.timestamp &+ 160)
      #expect(third.timestamp == first.timestamp &+ 1120)
      #expect(third.sequenceNumber == first.sequenceNumber &+ 2)
      #expect(sender.packets == 3 && sender.octets == 480)
      #expect(sender.timestamp(at: .milliseconds(150)) == third.timestamp &+ 80)
    }
  }

  @Test("an event takes a sequence number and leaves the media timestamp alone")
  func event() {
    var random = SeededRandom(3)
    var sender = RTPSender(ssrc: 7, clockRate: 8000, random: &random)
    let (sequence, timestamp) = (sender.sequenceNumber, sender.timestamp)
    let header = sender.event(timestamp: 99, marker: true, payloadType: 101, payloadCount: 4)
    #expect(header.timestamp == 99 && header.sequenceNumber == sequence && header.ssrc == 7)
    #expect(sender.timestamp == timestamp && sender.sequenceNumber == sequence &+ 1)
  }
}
