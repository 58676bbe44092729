import NetBase
import SRTPEngine
import Testing

@Suite("Outbound keys", .bothTransforms)
struct OutboundKeysTests {
  /// The SRTCP index on the wire (RFC 3711 §3.4), without the E bit.
  private func index(_ wire: [UInt8], _ profile: SRTPProfile) -> UInt32 {
    let after = profile.isAEAD ? 0 : profile.rtcpTagLength
    return wire.withRawSpan { $0.uint32(at: $0.byteCount - after - 4) } & 0x7FFF_FFFF
  }

  @Test("without a key nothing is sent, and it is counted")
  func noKey() {
    var keys = OutboundKeys()
    #expect(transform(rtp(1)) { keys.protect(rtp: &$0) } == Outcome(result: .noKey, bytes: rtp(1)))
    #expect(transform(rtcp()) { keys.protect(rtcp: &$0) } == Outcome(result: .noKey, bytes: rtcp()))
    #expect(!keys.isReady && keys.counters.withoutKey == 2)
  }

  @Test("a key that waits changes nothing on the wire until it is switched to")
  func pending() throws {
    var old = try InboundSRTP(key(1))
    var new = try InboundSRTP(key(2))
    var keys = OutboundKeys()
    try keys.install(key(1), switchNow: false)
    #expect(keys.isReady && !keys.hasPending, "the first key is in use at once")
    #expect(old.received(keys.sent(rtp(1))) == ok(rtp(1)))
    try keys.install(key(2), switchNow: false)
    #expect(keys.hasPending && keys.packetsUnderCurrentKey == 1)
    #expect(old.received(keys.sent(rtp(2))) == ok(rtp(2)))
    try keys.switchToPending()
    #expect(!keys.hasPending && keys.packetsUnderCurrentKey == 0)
    #expect(new.received(keys.sent(rtp(3))) == ok(rtp(3)))
    try keys.switchToPending()
    #expect(new.received(keys.sent(rtp(4))) == ok(rtp(4)), "nothing waits, nothing changes")
  }

  @Test("of two keys that wait the later counts; the key in use, installed again, takes both back")
  func replaced() throws {
    var first = try InboundSRTP(key(1))
    var third = try InboundSRTP(key(3))
    var keys = OutboundKeys()
    try keys.install(key(1), switchNow: true)
    try keys.install(key(2), switchNow: false)
    try keys.install(key(1), switchNow: true)
    #expect(keys.hasPending == false)
    #expect(first.received(keys.sent(rtp(1))) == ok(rtp(1)))
    try keys.install(key(2), switchNow: false)
    try keys.install(key(3), switchNow: false)
    try keys.switchToPending()
    #expect(third.received(keys.sent(rtp(2))) == ok(rtp(2)))
  }

  @Test("the SRTCP index goes on over a re-key, on the wire", arguments: SRTPProfile.allCases, SRTPProfile.allCases)
  func controlIndex(from: SRTPProfile, to: SRTPProfile) throws {
    var keys = OutboundKeys()
    try keys.install(key(1, from), switchNow: true)
    for expected in 1...5 as ClosedRange<UInt32> {
      #expect(self.index(keys.sent(rtcp(), isRTCP: true), from) == expected)
    }
    try keys.install(key(2, to), switchNow: true)
    for expected in 6...9 as ClosedRange<UInt32> {
      #expect(self.index(keys.sent(rtcp(), isRTCP: true), to) == expected)
    }
    try keys.install(key(3, from), continuity: .fresh, switchNow: true)
    #expect(self.index(keys.sent(rtcp(), isRTCP: true), from) == 1, "a new association starts anew")
  }

  @Test("the rollover counter goes on over a re-key, and starts anew with a new association")
  func rolloverCounter() throws {
    // Under rollover counter 1, as the vector of RFC 3711's key has it.
    let secured = hex("800f0000decafbadcafebabe24ecf92d9c97bf2ac679b796fdfd365a267beecdc56456590e62")
    let clear = hex("800f0000decafbadcafebabe abababababababababababababababab")
    var keys = OutboundKeys()
    try keys.install(key(1), switchNow: true)
    #expect(!keys.sent(rtp(0xFFFF)).isEmpty)
    try keys.install(material(.aesCM128HMACSHA1Tag80, hex(Vector.rfc3711)), switchNow: true)
    #expect(keys.sent(clear) == secured)

    var fresh = OutboundKeys()
    try fresh.install(key(1), switchNow: true)
    #expect(!fresh.sent(rtp(0xFFFF)).isEmpty)
    try fresh.install(material(.aesCM128HMACSHA1Tag80, hex(Vector.rfc3711)), continuity: .fresh, switchNow: true)
    #expect(fresh.sent(clear) != secured)
    let bag = fresh.takeRetired()
    #expect(bag?.count == 1)
  }

  @Test("an identifier comes and goes with its key")
  func identifier() throws {
    var keys = OutboundKeys()
    var receiver = InboundKeys()
    let identifiers: [[UInt8]?] = [nil, [1], [1, 2, 3, 4], nil]
    for (number, identifier) in identifiers.enumerated() {
      try receiver.install(key(number, identifier: identifier), now: at(0))
      try keys.install(key(number, identifier: identifier), switchNow: true)
      let wire = keys.sent(rtp(number))
      #expect(wire.count == rtp(number).count + 10 + (identifier?.count ?? 0))
      #expect(receiver.received(wire) == ok(rtp(number)))
      let report = keys.sent(rtcp(), isRTCP: true)
      #expect(receiver.received(report, isRTCP: true) == ok(rtcp()))
    }
  }

  @Test("refusals are counted by reason")
  func counters() throws {
    var keys = OutboundKeys()
    try keys.install(key(1, lifetime: 2), switchNow: true)
    #expect(keys.sent([1, 2, 3]).isEmpty)
    #expect(transform(rtp(1), room: 3) { keys.protect(rtp: &$0) }.result == .noRoom)
    #expect(!keys.sent(rtp(1)).isEmpty)
    #expect(keys.sent(rtp(1)).isEmpty)
    #expect(!keys.sent(rtp(2)).isEmpty)
    #expect(keys.sent(rtp(3)).isEmpty)
    var expected = OutboundCounters()
    (expected.malformed, expected.noRoom, expected.repeatedIndices, expected.keyExpired) = (1, 1, 1, 1)
    #expect(keys.counters == expected)
  }
}
