import NetBase
import RTPStack
import Testing

private struct Decoder: ~Copyable {
  var octets = 0
  mutating func decode(_ payload: RawSpan) { self.octets += payload.byteCount }
}

/// The form in which a transport that owns both decodes straight from the buffer: the two as parameters of a static function.
private struct Reception: ~Copyable {
  var buffer: JitterBuffer
  var decoder = Decoder()

  init(_ buffer: consuming JitterBuffer) { self.buffer = buffer }

  mutating func tick(_ now: Instant) {
    switch self.buffer.pop(now: now) {
    case .packet:
      Self.decode(self.buffer, &self.decoder)
      self.buffer.decoded(samples: 160)
    case .missing: Self.recover(self.buffer, &self.decoder)
    case .conceal, .silence, .buffering, .empty: break
    }
  }

  static func decode(_ buffer: borrowing JitterBuffer, _ decoder: inout Decoder) { decoder.decode(buffer.payload) }

  static func recover(_ buffer: borrowing JitterBuffer, _ decoder: inout Decoder) {
    switch buffer.followingPayload {
    case .some(let following): decoder.decode(following)
    case nil: break
    }
  }
}

@Suite struct BorrowedPayloadTests {
  @Test("payloads are decoded where they lie, the following one in place of a lost one")
  func borrowed() {
    var reception = Reception(
      JitterBuffer(mode: .fixed(milliseconds: 0...200), clockRate: 8000, packetSamples: 160, start: .milliseconds(0)))
    for index in [0, 1, 3] {
      let payload = [UInt8](repeating: 0, count: 100 + index)
      _ = payload.withRawSpan {
        reception.buffer.insert(header(index, timestamp: 160 * index), payload: $0, now: .milliseconds(0))
      }
    }
    for tick in 0..<4 { reception.tick(.milliseconds(Double(tick) * 20)) }
    #expect(reception.decoder.octets == 100 + 101 + 103 + 103)
  }
}
