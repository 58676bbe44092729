import NetBase
import Testing

@testable import SRTPEngine

@Suite("Hostile input", .bothTransforms)
struct HostileInputTests {
  @Test("random bytes of any length are refused, never a trap", arguments: SRTPProfile.allCases)
  func random(_ profile: SRTPProfile) throws {
    var random = Seeded(state: 7)
    var keys = InboundKeys()
    for number in 0..<3 {
      let identifier: [UInt8]? = number == 1 ? [UInt8](repeating: 1, count: 128) : nil
      try keys.install(key(number, profile, identifier: identifier), now: at(0))
    }
    for _ in 0..<3000 {
      var bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if let first = bytes.first, Bool.random(using: &random) { bytes[0] = first & 0x3F | 0x80 }
      let outcome = keys.received(bytes, isRTCP: Bool.random(using: &random))
      #expect(outcome.result != .ok && outcome.bytes == bytes)
    }
    #expect(keys.counters.accepted == 0 && keys.counters.failures == 0 && keys.heard == false)
  }

  @Test("an AEAD header too long for libsrtp2 is refused by it, and harms no packet after it")
  func longHeader() throws {
    var outbound = try OutboundSRTP(key(1, .aeadAES128GCM))
    var inbound = try InboundSRTP(key(1, .aeadAES128GCM))
    var clear = rtp(1, length: 4 + 4 * 1000 + 20)
    (clear[0], clear[14], clear[15]) = (0x90, 0x03, 0xE8)  // 1000 words of extension
    let sent = outbound.sent(clear)
    if case .openssl = BothTransforms.current {
      #expect(inbound.received(sent.bytes) == ok(clear))
    } else {
      #expect(sent.result != .ok)
      #expect(inbound.received(clear + [UInt8](repeating: 0, count: 16)).result != .ok)
    }
    #expect(inbound.received(outbound.sent(rtp(2)).bytes) == ok(rtp(2)))
  }
}
