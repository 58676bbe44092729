import NetBase
import RTPStack
import Testing

@Suite struct RTCPTests {
  private static let block = RTCPReportBlock(
    ssrc: 0xAABB_CCDD, fractionLost: 64, cumulativeLost: -5, extendedHighest: 0x0001_0203, jitter: 77,
    lastSenderReport: 0x1122_3344, delaySinceLastSenderReport: 0x5566)

  /// SR with a block, SDES and BYE.
  private static func compound() -> [UInt8] {
    .written { room in
      var writer = RTCPWriter()
      writer.senderReport(
        RTCPSenderInfo(ssrc: 1, ntpTime: 0x0102_0304_0506_0708, timestamp: 9, packets: 10, octets: 11), Self.block,
        into: &room)
      writer.canonicalName(Array("alice@host".utf8), ssrc: 1, into: &room)
      writer.goodbye(ssrc: 1, reason: Array("done".utf8), into: &room)
      return writer.count
    }
  }

  private func packets(_ bytes: [UInt8], reduced: Bool = true) throws(RTCPError) -> [RTCPPacket] {
    try bytes.withRawSpan { span throws(RTCPError) in
      var compound = try RTCPCompound(span, allowsReducedSize: reduced)
      var packets: [RTCPPacket] = []
      while let packet = compound.next() { packets.append(packet) }
      return packets
    }
  }

  @Test("a sender report with description and goodbye is what RFC 3550 §6.4.1, §6.5, §6.6 draw, byte for byte")
  func wire() {
    #expect(
      Self.compound()
        == bytes(
          """
          81C8000C 00000001 01020304 05060708 00000009 0000000A 0000000B
          AABBCCDD 40FFFFFB 00010203 0000004D 11223344 00005566
          81CA0005 00000001 010A 616C69636540686F7374 00 00 00 00
          81CB0003 00000001 04 646F6E65 000000
          """))
  }

  @Test("what is composed is read again")
  func roundTrip() throws {
    let bytes = Self.compound()
    let packets = try self.packets(bytes, reduced: false)
    #expect(packets.map(\.kind) == [.senderReport, .sourceDescription, .goodbye])
    bytes.withRawSpan { span in
      #expect(RTCPSenderInfo(packets[0], in: span).ntpTime == 0x0102_0304_0506_0708)
      #expect(packets[0].firstBlock.map { RTCPReportBlock(at: $0, in: span) } == Self.block)
      let name = RTCPCanonicalName(packets[1], in: span)
      #expect(name?.ssrc == 1)
      #expect(name.map { Array(bytes[$0.text]) } == Array("alice@host".utf8))
    }
  }

  @Test("names of every length end on a word with at least one zero", arguments: 0...9)
  func names(_ length: Int) throws {
    let name = [UInt8](repeating: 65, count: length)
    let bytes = [UInt8].written { room in
      var writer = RTCPWriter()
      writer.receiverReport(ssrc: 3, nil, into: &room)
      writer.canonicalName(name, ssrc: 3, into: &room)
      return writer.count
    }
    let packets = try self.packets(bytes, reduced: false)
    #expect(packets.count == 2)
    #expect(bytes.last == 0)
    let text = bytes.withRawSpan { RTCPCanonicalName(packets[1], in: $0)?.text }
    #expect(text.map { Array(bytes[$0]) } == name)
  }

  @Test("cumulative loss is 24 bits with a sign, clamped", arguments: [0, 1, -1, 8_388_607, -8_388_608, 9_000_000])
  func cumulative(_ value: Int32) {
    var block = Self.block
    block.cumulativeLost = value
    let bytes = [UInt8].written(24) { room in
      block.write(into: &room, at: 0)
      return 24
    }
    #expect(bytes.withRawSpan { RTCPReportBlock(at: 0, in: $0).cumulativeLost } == min(value, 8_388_607))
  }

  @Test(
    "malformed packets are refused, each with its reason (A.2)",
    arguments: [
      ("80C9", RTCPError.short, true),
      ("40C90001 00000001", .version, true),
      ("80C90002 00000001", .length, true),
      ("80C90001 00000001 80", .length, true),
      ("A0C90001 00000004 80C90001 00000001", .padding, true),
      ("A0C90001 00000000", .padding, true),
      ("A0C90001 0000000C", .padding, true),
      ("80CA0000", .order, false),
      ("81C90001 00000001", .truncated, true),
      ("80C80001 00000001", .truncated, true),
      ("82CB0001 00000001", .truncated, true),
      ("81CD0001 00000001", .truncated, true),
      ("80C90001 00000001 40CA0000", .version, true),
    ])
  func malformed(_ hex: String, _ error: RTCPError, _ reduced: Bool) {
    #expect(throws: error) { try self.packets(bytes(hex), reduced: reduced) }
  }

  @Test("unknown types are skipped, padding on the last packet is taken off, feedback keeps its bytes (RFC 4585)")
  func others() throws {
    let packets = try self.packets(bytes("80D00001 00000000 A1CE0004 00000001 00000002 DEADBEEF 00000004"))
    #expect(packets[0].kind == nil && packets[0].type == 208)
    #expect(packets[1].kind == .payloadFeedback && packets[1].count == 1)
    #expect(packets[1].feedbackControl == 20..<24)
  }

  @Test("cut at every byte, a packet is refused or shorter by whole packets, and nothing traps")
  func truncated() {
    let whole = Self.compound()
    for length in 0..<whole.count {
      let packets = try? self.packets([UInt8](whole[..<length]))
      #expect((packets != nil) == [52, 76].contains(length))
    }
  }

  @Test("random changes never trap")
  func fuzz() {
    var random = SeededRandom(5)
    var session = RTCPSession(
      ssrc: 0xAABB_CCDD, canonicalName: [], wallClock: WallClock(unixNanosecondsAtOrigin: 0), now: .milliseconds(0),
      random: &random)
    for _ in 0..<20_000 {
      var packet = Self.compound()
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        packet[Int.random(in: 0..<packet.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      packet.withRawSpan { bytes in
        _ = try? session.receive(bytes, now: .milliseconds(5))
        guard var compound = try? RTCPCompound(bytes) else { return }
        while let next = compound.next() { _ = RTCPCanonicalName(next, in: bytes) }
      }
    }
  }
}
