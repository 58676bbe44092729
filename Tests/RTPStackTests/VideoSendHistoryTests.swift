import NetBase
import RTPStack
import Testing

@Suite("Packets that are sent again") struct VideoSendHistoryTests {
  private func store(_ history: inout SendHistory, _ sequence: UInt16, _ packet: [UInt8], at time: Double = 0) {
    packet.withRawSpan { history.store(sequence: sequence, $0, now: .milliseconds(time)) }
  }

  private func packet(_ history: borrowing SendHistory, _ sequence: UInt16) -> [UInt8]? {
    history.copy(of: sequence)
  }

  @Test("the last packets are kept, across the wrap of their numbers, each as long as it was")
  func ring() {
    var history = SendHistory(capacity: 16)
    for index in 0..<40 {
      let sequence = UInt16(truncatingIfNeeded: 65_520 + index)
      self.store(&history, sequence, [UInt8](repeating: UInt8(index), count: 1 + index * 37))
    }
    for index in 0..<40 {
      let expected = index < 24 ? nil : [UInt8](repeating: UInt8(index), count: 1 + index * 37)
      #expect(self.packet(history, UInt16(truncatingIfNeeded: 65_520 + index)) == expected)
    }
    #expect(self.packet(history, 500) == nil)
    // One that is too long takes its place all the same: what was there is older than the last sixteen.
    self.store(&history, 24, [UInt8](repeating: 0, count: 1501))
    #expect(self.packet(history, 24) == nil && self.packet(history, 8) == nil)
    self.store(&history, 25, [UInt8](repeating: 9, count: 1500))
    #expect(self.packet(history, 25)?.count == 1500)
    #expect(history.statistics.stored == 41 && history.statistics.tooLong == 1)
  }

  @Test("who asks for all that is kept, again and again, gets as many as were sent, after the first capacity")
  func flood() {
    var history = SendHistory(capacity: 16)
    for sequence in 0..<16 { self.store(&history, UInt16(sequence), [1]) }
    func ask(_ time: Double) -> Int {
      (0..<16).count { history.mayResend(UInt16($0), now: .milliseconds(time), roundTrip: nil) }
    }
    #expect(ask(30) == 16 && ask(60) == 0 && ask(90) == 0)
    self.store(&history, 16, [2], at: 100)
    // One more was sent: one more is sent again, of those that are left.
    #expect(ask(120) == 1)
    #expect(history.statistics.resent == 17 && history.statistics.tooMany == 16 + 16 + 14)
    #expect(history.statistics.refused == history.statistics.tooMany + 1)
  }

  @Test("a packet is sent again once in 20 ms or a round trip, and not when it is gone or old")
  func limit() {
    var history = SendHistory(capacity: 8)
    self.store(&history, 7, [1], at: 0)
    self.store(&history, 8, [2], at: 0)
    func may(_ sequence: UInt16, _ time: Double, _ roundTrip: Duration? = nil) -> Bool {
      history.mayResend(sequence, now: .milliseconds(time), roundTrip: roundTrip)
    }
    #expect(may(7, 1) && !may(7, 20.9) && may(8, 5) && may(7, 21, .milliseconds(3)))
    #expect(!may(7, 70, .milliseconds(50)) && may(7, 71, .milliseconds(50)))
    #expect(!may(9, 71))
    #expect(may(8, 2000) && !may(8, 2021))
    #expect(history.statistics.resent == 5 && history.statistics.tooSoon == 2 && history.statistics.unknown == 2)
    // The number's next packet is another one.
    self.store(&history, 8, [3], at: 2025)
    let isGranted = history.mayResend(8, now: .milliseconds(2026), roundTrip: .seconds(1))
    #expect(isGranted)
  }

  @Test("a retransmission has the original number before the payload, and keeps everything but padding (RFC 4588 §4)")
  func retransmission() throws {
    // A contributing source, an extension, three bytes of payload and five of padding.
    let original = bytes("B1 E0 1234 00000009 0000000B 000000AA BEDE0001 10AA0000 010203 0000000005")
    let packet = original.withRawSpan { span in
      [UInt8].written {
        RTXPayload.write(original: span, payloadType: 97, sequenceNumber: 0xABCD, ssrc: 0xC, into: &$0)
      }
    }
    #expect(packet == bytes("91 E1 ABCD 00000009 0000000C 000000AA BEDE0001 10AA0000 1234 010203"))
    try packet.withRawSpan { span in
      let header = try RTPHeader(parsing: span)
      let payload = span.extracting(header.payload)
      #expect(header.marker && header.payloadType == 97 && RTXPayload.original(of: payload) == 0x1234)
      #expect(payload.copied().dropFirst(2) == [1, 2, 3])
    }
    #expect([UInt8]([1]).withRawSpan { RTXPayload.original(of: $0) } == nil)
    #expect([UInt8]([0xFF, 0xFE]).withRawSpan { RTXPayload.original(of: $0) } == 0xFFFE)
  }

  @Test("what is no packet, or has no room, is not sent again")
  func refused() {
    func write(_ packet: [UInt8], room: Int) -> Int {
      packet.withRawSpan { span in
        [UInt8].written(room) {
          RTXPayload.write(original: span, payloadType: 97, sequenceNumber: 1, ssrc: 2, into: &$0)
        }
      }.count
    }
    let packet = bytes("80 60 0001 00000000 00000001 AABB")
    #expect(write(packet, room: 16) == 16 && write(packet, room: 15) == 0 && write([0x80], room: 64) == 0)
  }
}
