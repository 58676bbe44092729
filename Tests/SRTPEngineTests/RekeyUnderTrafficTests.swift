import NetBase
import SRTPEngine
import Testing

/// SplitMix64, so that a failure replays from its seed.
struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    self.state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = self.state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

@Suite("Re-keys while packets flow", .bothTransforms)
struct RekeyUnderTrafficTests {
  private struct InFlight {
    var arrival: Int64
    var clear: [UInt8]
    var wire: [UInt8]
    var isRTCP: Bool
  }

  /// One direction of a call, 50 packets a second of each of two SSRCs, each packet up to 90 ms late.
  ///
  /// - Parameters:
  ///   - start: the first sequence number; by default near a wrap, so that it falls among the re-keys.
  ///   - pause: how many packets are not sent from a re-key on, as when it comes with hold.
  ///   - changesSource: how many packets before each re-key the second SSRC becomes another one; nil for never.
  private func run(
    rekeys: Int, seed: UInt64, profiles: [SRTPProfile], every interval: Int, start: Int = 65_000, pause: Int = 0,
    changesSource lead: Int? = nil
  ) throws -> InboundCounters {
    var random = Seeded(state: seed)
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(0, profiles[0]), switchNow: true)
    try keys.install(key(0, profiles[0]), now: at(0))
    var flight: [InFlight] = []
    var (generation, sent, tick) = (0, 0, 0)
    while generation < rekeys || !flight.isEmpty {
      let now = Int64(tick) * 20
      if generation < rekeys {
        if tick % interval == 0, tick > 0 {
          generation += 1
          let profile = profiles[generation % profiles.count]
          // The peer can read it first; we switch when it has said so.
          try keys.install(key(generation, profile), now: at(now))
          try outbound.install(key(generation, profile), switchNow: true)
        }
        let isPausing = generation > 0 && tick % interval < pause
        let second = lead.map { (UInt32(2 + (tick + $0) / interval), 100 + tick) } ?? (UInt32(2), start + tick)
        for (ssrc, number) in isPausing ? [] : [(UInt32(1), start + tick), second] {
          let isRTCP = tick % 25 == 7
          let clear = isRTCP ? rtcp(ssrc: ssrc, mark: UInt8(truncatingIfNeeded: tick)) : rtp(number, ssrc: ssrc)
          let wire = outbound.sent(clear, isRTCP: isRTCP)
          let arrival = now + Int64.random(in: 0...90, using: &random)
          flight.append(InFlight(arrival: arrival, clear: clear, wire: wire, isRTCP: isRTCP))
          sent += 1
        }
      }
      for packet in flight.filter({ $0.arrival <= now }).sorted(by: { $0.arrival < $1.arrival }) {
        let outcome = keys.received(packet.wire, isRTCP: packet.isRTCP, at(now))
        if outcome != ok(packet.clear) {
          Issue.record("\(outcome.result) at \(now) ms, seed \(seed), generation \(generation)")
        }
      }
      flight.removeAll { $0.arrival <= now }
      tick += 1
    }
    #expect(keys.counters.accepted == sent)
    // A key that nothing was sent under yet leaves the old one its 30 s.
    let end = Int64(tick) * 20 + (pause > 0 ? 31_000 : 4000)
    keys.timeout(now: at(end))
    #expect(keys.generationCount == 1 && keys.nextDeadline == nil)
    var old = try OutboundSRTP(key(generation - 1, profiles[(generation - 1) % profiles.count]))
    let result = keys.received(old.sent(rtp(start + tick, ssrc: 3)).bytes, at(end)).result
    #expect(result != .ok, "a key is refused after its time")
    return keys.counters
  }

  @Test("1,000 re-keys back to back lose no packet, and every old key is refused after its time")
  func thousand() throws {
    let counters = try self.run(rekeys: 1000, seed: 1, profiles: [.aeadAES128GCM], every: 3)
    #expect(counters.retiredGenerations == 1000)
    #expect(counters.acceptedUnderOlderKey > 1000, "packets were in flight under the old keys")
  }

  @Test("re-keys that change the suite each time lose no packet", arguments: 1...4 as ClosedRange<UInt64>)
  func suites(seed: UInt64) throws {
    _ = try self.run(rekeys: 100, seed: seed, profiles: SRTPProfile.allCases, every: 4)
  }

  @Test(
    "a re-key together with another suite, hold, another SSRC and a wrap loses no packet",
    arguments: [0, 3, 6], [nil, 0, 2] as [Int?])
  func together(pause: Int, changesSource: Int?) throws {
    for seed in 11...14 as ClosedRange<UInt64> {
      _ = try self.run(
        rekeys: 60, seed: seed, profiles: SRTPProfile.allCases, every: 8, start: 65_536 - Int(seed) * 17, pause: pause,
        changesSource: changesSource)
    }
  }

  @Test("re-keys a second apart lose no packet")
  func calm() throws {
    let counters = try self.run(rekeys: 20, seed: 9, profiles: [.aesCM128HMACSHA1Tag80], every: 50)
    #expect(counters.displacedGenerations == 0)
  }
}
