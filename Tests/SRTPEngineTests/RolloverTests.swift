import NetBase
import Testing

@testable import SRTPEngine

@Suite("Rollover counters across a re-key", .bothTransforms)
struct RolloverTests {
  /// Brings both ends to rollover counter 2, in steps that neither takes for a step back.
  private func advance(_ outbound: inout OutboundKeys, _ keys: inout InboundKeys) {
    for number in stride(from: 0, through: 2 * 65536 + 100, by: 20_000) {
      let wire = outbound.sent(rtp(number))
      #expect(keys.received(wire) == ok(rtp(number)))
    }
  }

  @Test("the counter goes on (RFC 3711 §3.3.1)", arguments: SRTPProfile.allCases)
  func carried(_ profile: SRTPProfile) throws {
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(1, profile), switchNow: true)
    try keys.install(key(1, profile), now: at(0))
    self.advance(&outbound, &keys)
    for generation in 2..<6 {
      try keys.install(key(generation, profile), now: at(0))
      try outbound.install(key(generation, profile), switchNow: true)
      for number in 0..<3 {
        let clear = rtp(140_000 + 10 * generation + number)
        #expect(keys.received(outbound.sent(clear)) == ok(clear))
      }
    }
    #expect(keys.heard && keys.counters.acceptedUnderOlderKey == 0)
  }

  @Test(
    "a peer that restarts the counter, or does not, is understood whatever was agreed",
    arguments: [SRTPContinuity.carryRollover, .fresh], [SRTPContinuity.carryRollover, .fresh])
  func practiceDiffers(theirs: SRTPContinuity, ours: SRTPContinuity) throws {
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(1), switchNow: true)
    try keys.install(key(1), now: at(0))
    self.advance(&outbound, &keys)
    let late = outbound.sent(rtp(140_001))
    try keys.install(key(2), continuity: ours, now: at(0))
    try outbound.install(key(2), continuity: theirs, switchNow: true)
    for number in 140_002..<140_010 { #expect(keys.received(outbound.sent(rtp(number))) == ok(rtp(number))) }
    #expect(keys.received(late) == ok(rtp(140_001)), "in flight under the old key")
    // Once more, to be sure that the counter that was found is the one carried on.
    try keys.install(key(3), continuity: ours, now: at(0))
    try outbound.install(key(3), continuity: theirs, switchNow: true)
    #expect(keys.received(outbound.sent(rtp(140_020))) == ok(rtp(140_020)))
  }

  @Test(
    "a peer that restarts its counter with every key is understood wherever the wrap falls among them",
    arguments: [SRTPContinuity.carryRollover, .fresh], [0, 1, 4])
  func restartsAroundTheWrap(ours: SRTPContinuity, lead: Int) throws {
    for start in 65_536 - 60...65_536 {
      var outbound = OutboundKeys()
      var keys = InboundKeys()
      try outbound.install(key(1), switchNow: true)
      try keys.install(key(1), now: at(0))
      for tick in 0..<150 {
        let now = at(Int64(tick) * 20)
        // The key is here some packets before the peer uses it.
        if tick % 25 == 0, tick > 0 { try keys.install(key(1 + tick / 25), continuity: ours, now: now) }
        if tick % 25 == lead, tick > lead {
          try outbound.install(key(1 + tick / 25), continuity: .fresh, switchNow: true)
        }
        let clear = rtp(start + tick)
        let outcome = keys.received(outbound.sent(clear), now)
        #expect(outcome == ok(clear), "packet \(start + tick) under key \(1 + tick / 25)")
      }
    }
  }

  @Test("the first packet under a new key is understood also when the old one is out of use")
  func silentThroughTheOverlap() throws {
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(1), switchNow: true)
    try keys.install(key(1), now: at(0))
    self.advance(&outbound, &keys)
    try keys.install(key(2), now: at(0))
    keys.timeout(now: at(40_000))
    #expect(keys.generationCount == 1)
    try outbound.install(key(2), continuity: .fresh, switchNow: true)
    #expect(keys.received(outbound.sent(rtp(140_010)), at(40_001)) == ok(rtp(140_010)))
  }

  @Test("forged packets before the first real one do no harm")
  func forgedFirst() throws {
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(1), switchNow: true)
    try keys.install(key(1), now: at(0))
    self.advance(&outbound, &keys)
    try keys.install(key(2), now: at(0))
    try outbound.install(key(2), switchNow: true)
    for number in stride(from: 0, to: 65536, by: 1111) {
      let forged = rtp(number, length: 40)
      let outcome = keys.received(forged)
      #expect(outcome.result != .ok && outcome.bytes == forged)
    }
    #expect(keys.received(outbound.sent(rtp(140_010))) == ok(rtp(140_010)))
  }

  /// Where the key changes and where the sequence number wraps, in packets from the start at 65 500.
  struct Crossing: Sendable, CustomTestStringConvertible {
    let switchAt: Int
    let reordering: Int
    var testDescription: String { "switch at \(65_500 + self.switchAt), reordered by \(self.reordering)" }
    static let all = [20, 30, 34, 35, 36, 37, 38, 45, 60].flatMap { place in
      [1, 2, 5, 16].map { Crossing(switchAt: place, reordering: $0) }
    }
  }

  @Test("a wrap inside the overlap loses nothing, in any order", arguments: Crossing.all)
  func wrapInsideTheOverlap(_ crossing: Crossing) throws {
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(1), switchNow: true)
    try keys.install(key(1), now: at(0))
    for number in stride(from: 45_500, to: 65_500, by: 1000) { _ = keys.received(outbound.sent(rtp(number))) }
    try keys.install(key(2), now: at(0))
    var wire: [(Int, [UInt8])] = []
    for offset in 0..<80 {
      if offset == crossing.switchAt { try outbound.install(key(2), switchNow: true) }
      wire.append((65_500 + offset, outbound.sent(rtp(65_500 + offset))))
    }
    // Groups of packets arrive back to front.
    for start in stride(from: 0, to: wire.count, by: crossing.reordering) {
      for (number, packet) in wire[start..<min(start + crossing.reordering, wire.count)].reversed() {
        #expect(keys.received(packet) == ok(rtp(number)), "\(number)")
      }
    }
    for (_, packet) in wire { #expect(keys.received(packet).result == .replayed) }
  }

  @Test(
    "the index is estimated as RFC 3711 appendix A has it, but never below 0",
    arguments: [
      (0, 0, 0), (0, 65535, 65535), (5, 40_000, 40_000), (65_535, 0, 65_536), (65_535, 65_534, 65_534),
      (65_536, 65_535, 65_535), (65_536 + 40_000, 1000, 2 * 65_536 + 1000), (65_536 + 40_000, 39_000, 65_536 + 39_000),
      (65_536 + 32_768, 0, 65_536), (65_536 + 32_769, 0, 2 * 65_536), (0x8000, 65_535, 65_535), (0x8001, 0, 65_536),
    ] as [(UInt64, UInt16, UInt64)])
  func estimate(highest: UInt64, sequenceNumber: UInt16, index: UInt64) {
    #expect(PacketIndex.estimate(sequenceNumber, highest: highest) == index)
  }
}
