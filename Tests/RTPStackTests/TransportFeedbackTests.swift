import NetBase
import RTPStack
import Testing

@Suite("Transport-wide feedback") struct TransportFeedbackTests {
  /// What a report says, read by the draft's words (§3.1).
  private struct Report: Equatable {
    var base: UInt16
    var count: UInt8
    /// Milliseconds since the origin, for each number from `base` on; nil for one that did not come.
    var arrivals: [Double?]
  }

  private func read(_ bytes: [UInt8]) throws -> Report {
    #expect(bytes.count % 4 == 0)
    return try bytes.withRawSpan { span throws in
      var compound = try RTCPCompound(span)
      let (first, second) = (compound.next(), compound.next())
      let packet = try #require(first)
      #expect(packet.kind == .transportFeedback && packet.count == 15 && second == nil)
      #expect(span.uint32(at: 4) == 7 && span.uint32(at: 8) == 9)
      let statuses = Int(span.uint16(at: 14))
      var place = 20
      var symbols: [UInt16] = []
      while symbols.count < statuses {
        let chunk = span.uint16(at: place)
        try #require(chunk >> 14 == 0b11, "a vector of two-bit symbols")
        symbols += (0..<7).map { chunk >> UInt16(12 - 2 * $0) & 3 }
        place += 2
      }
      #expect(symbols.dropFirst(statuses).allSatisfy { $0 == 0 })
      var time = Int(span.uint32(at: 16) >> 8) * 256
      let arrivals: [Double?] = symbols.prefix(statuses).map { symbol in
        guard symbol == 2 else { return nil }
        time += Int(Int16(bitPattern: span.uint16(at: place)))
        place += 2
        return Double(time) / 4
      }
      return Report(base: span.uint16(at: 12), count: span.uint8(at: 19), arrivals: arrivals)
    }
  }

  private func report(_ feedback: inout TransportFeedback, at time: Double) -> [UInt8] {
    .written(TransportFeedback.roomNeeded) { feedback.timeout(now: .milliseconds(time), ssrc: 7, source: 9, into: &$0) }
  }

  @Test("tells every 200 ms which packets came, and when, across the wrap of their numbers")
  func arrivals() throws {
    var feedback = TransportFeedback(origin: .milliseconds(1000))
    #expect(feedback.nextDeadline == nil)
    // 65,534 is late, 65,535 and 2 don't come, 1 comes twice.
    for (number, time) in [(65_533, 100.0), (0, 140.25), (65_534, 145), (1, 180.5), (1, 190), (3, 230)] {
      feedback.note(UInt16(number), now: .milliseconds(1000 + time))
    }
    #expect(feedback.nextDeadline == .milliseconds(1300))
    #expect(self.report(&feedback, at: 1299).isEmpty)
    let first = try self.read(self.report(&feedback, at: 1300))
    #expect(first == Report(base: 65_533, count: 0, arrivals: [100, 145, nil, 140.25, 180.5, nil, 230]))
    #expect(feedback.nextDeadline == nil && self.report(&feedback, at: 1400).isEmpty)
    // What was told as missing is not told again.
    feedback.note(2, now: .milliseconds(1310))
    #expect(feedback.nextDeadline == nil)
    feedback.note(5, now: .milliseconds(1320))
    let second = try self.read(self.report(&feedback, at: 1520))
    #expect(second == Report(base: 4, count: 1, arrivals: [nil, 320]))
    #expect(feedback.reports == 2)
  }

  @Test("the longest report fits, and a jump of the numbers begins anew")
  func bounds() throws {
    var feedback = TransportFeedback(origin: .milliseconds(0))
    for number in 0..<64 { feedback.note(UInt16(number), now: .milliseconds(Double(number))) }
    let full = self.report(&feedback, at: 1000)
    #expect(full.count == TransportFeedback.roomNeeded / 4 * 4)
    #expect(try self.read(full).arrivals == (0..<64).map { Double($0) })
    feedback.note(64, now: .milliseconds(1010))
    feedback.note(128, now: .milliseconds(1020))
    #expect(try self.read(self.report(&feedback, at: 1300)) == Report(base: 128, count: 1, arrivals: [1020]))
  }

  @Test("a packet's number is read from an element of two bytes")
  func number() throws {
    let packet = bytes("90 00 00 01 00000000 00000007 BEDE 0001 51 12 34 00")
    packet.withRawSpan { span in
      let header = try? RTPHeader(parsing: span)
      #expect(header?.transportNumber(5, in: span) == 0x1234)
      #expect(header?.transportNumber(4, in: span) == nil)
    }
    let short = bytes("90 00 00 01 00000000 00000007 BEDE 0001 50 12 00 00")
    short.withRawSpan { span in #expect((try? RTPHeader(parsing: span))?.transportNumber(5, in: span) == nil) }
  }
}
