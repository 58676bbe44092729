import NetBase
import Testing

@testable import RTPStack

@Suite("Redundant audio data (RFC 2198)") struct RedundantPayloadTests {
  private func parse(_ bytes: [UInt8]) -> RedundantPayload? { bytes.withRawSpan { RedundantPayload(parsing: $0) } }

  @Test("a packet's own payload, and the older ones before it")
  func blocks() throws {
    // Two redundant blocks of PT 5, 480 and 240 units old, of 3 and 2 bytes; then four bytes of PT 7.
    let packet = bytes("85 07 80 03  85 03 C0 02  07  A1 A2 A3  B1 B2  C1 C2 C3 C4")
    let redundant = try #require(self.parse(packet))
    #expect(redundant.redundantCount == 2)
    #expect(redundant.redundant(0) == .init(payloadType: 5, timestampOffset: 480, bytes: 9..<12))
    #expect(redundant.redundant(1) == .init(payloadType: 5, timestampOffset: 240, bytes: 12..<14))
    #expect(redundant.primary == .init(payloadType: 7, timestampOffset: 0, bytes: 14..<18))
    let alone = try #require(self.parse(bytes("6F 01 02")))
    #expect(alone.redundantCount == 0 && alone.primary == .init(payloadType: 111, timestampOffset: 0, bytes: 1..<3))
    let most = try #require(self.parse(bytes("FF FF FC 00 00")))
    #expect(
      most.redundant(0) == .init(payloadType: 127, timestampOffset: 0x3FFF, bytes: 5..<5) && most.primary.bytes.isEmpty)
  }

  @Test(
    "what does not fit is refused",
    arguments: [
      "", "85", "85 07 80", "85 07 80 03", "85 07 80 03 07 A1 A2", "85 07 83 FF 07 A1 A2 A3",
      // Eight older blocks.
      "85 00 00 00 85 00 00 00 85 00 00 00 85 00 00 00 85 00 00 00 85 00 00 00 85 00 00 00 85 00 00 00 07",
    ])
  func malformed(_ hex: String) { #expect(self.parse(bytes(hex)) == nil) }

  /// A buffer that has a packet of 160 samples each 20 ms from `0` on.
  private func insert(_ sequence: Int, into buffer: inout JitterBuffer, at time: Double) {
    let result = [UInt8(truncatingIfNeeded: sequence)].withRawSpan {
      buffer.insert(header(sequence, timestamp: sequence * 160), payload: $0, now: .milliseconds(time))
    }
    #expect(result == .queued)
  }

  private func recover(_ sequence: Int, from later: Int, into buffer: inout JitterBuffer, at time: Double) -> Bool {
    [UInt8(truncatingIfNeeded: sequence)].withRawSpan {
      buffer.recover(
        header(later, timestamp: later * 160), age: UInt32((later - sequence) * 160), payloadType: 0, payload: $0,
        now: .milliseconds(time))
    }
  }

  @Test("a lost packet is played in its place, and only where it is missing and in time")
  func recovers() throws {
    var buffer = JitterBuffer(
      mode: .fixed(milliseconds: 60...200), clockRate: 8000, packetSamples: 160, start: Instant(nanoseconds: 0))
    #expect(!self.recover(0, from: 1, into: &buffer, at: 0), "nothing is known of its stream")
    var (played, missing) = ([UInt8](), 0)
    // Across the sequence number's wrap; 65,539 and 65,540 are lost, and so is 65,544, which nothing brings again.
    let first = 65_530
    for index in 0..<24 {
      let (sequence, time) = (first + index, Double(index) * 20)
      if ![65_539, 65_540, 65_544].contains(sequence), index < 18 {
        self.insert(sequence, into: &buffer, at: time)
        if ![65_545, 65_546].contains(sequence) {
          let isNew = sequence == 65_541
          if index > 0 { #expect(self.recover(sequence - 1, from: sequence, into: &buffer, at: time) == isNew) }
          if index > 1 { #expect(self.recover(sequence - 2, from: sequence, into: &buffer, at: time) == isNew) }
        }
      }
      guard index > 2 else { continue }
      switch buffer.pop(now: .milliseconds(time)) {
      case .packet: played.append(buffer.payload.uint8(at: 0))
      case .missing: missing += 1
      case .conceal, .silence, .buffering, .empty: break
      }
      if index == 15 { #expect(!self.recover(65_536, from: 65_545, into: &buffer, at: time), "its time is over") }
    }
    #expect(played == (first..<first + 18).filter { $0 != 65_544 }.map { UInt8(truncatingIfNeeded: $0) })
    #expect(missing == 1 && buffer.statistics.recovered == 2 && buffer.statistics.late == 0)
    #expect(buffer.statistics.duplicates == 0 && buffer.statistics.inserted == buffer.statistics.accounted)
  }
}
