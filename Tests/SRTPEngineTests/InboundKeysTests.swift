import NetBase
import SRTPEngine
import Testing

@Suite("A ring of inbound keys", .bothTransforms)
struct InboundKeysTests {
  @Test("without a key nothing passes, and it is counted")
  func noKey() {
    var keys = InboundKeys()
    #expect(keys.received(rtp(1)) == Outcome(result: .noKey, bytes: rtp(1)))
    #expect(keys.received(rtcp(), isRTCP: true) == Outcome(result: .noKey, bytes: rtcp()))
    #expect(keys.counters.withoutKey == 2 && keys.generationCount == 0 && !keys.heard)
  }

  @Test("a packet in flight under the old key still opens, before and after the new one is heard")
  func inFlight() throws {
    var old = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    let late = [old.sent(rtp(1)).bytes, old.sent(rtp(2)).bytes, old.sent(rtp(3)).bytes]
    #expect(keys.received(late[0]) == ok(rtp(1)))
    try keys.install(key(2), now: at(10))
    #expect(!keys.heard && keys.generationCount == 2)
    #expect(keys.received(late[1], at(20)) == ok(rtp(2)))
    #expect(keys.heard == false)
    #expect(keys.received(new.sent(rtp(4)).bytes, at(30)) == ok(rtp(4)))
    #expect(keys.heard == true)
    #expect(keys.received(late[2], at(40)) == ok(rtp(3)))
    #expect(keys.counters.accepted == 4 && keys.counters.acceptedUnderOlderKey == 2)
  }

  @Test(
    "a packet that no key opens is left as it came while several live, or when asked", arguments: SRTPProfile.allCases)
  func untouched(_ profile: SRTPProfile) throws {
    var stranger = try OutboundSRTP(key(9, profile))
    let (wire, report) = (stranger.sent(rtp(1)).bytes, stranger.sent(rtcp(), isRTCP: true).bytes)
    var keys = InboundKeys()
    try keys.install(key(1, profile), now: at(0))
    keys.preservesFailures = true
    #expect(keys.received(wire) == Outcome(result: .authenticationFailed, bytes: wire))
    #expect(keys.received(report, isRTCP: true) == Outcome(result: .authenticationFailed, bytes: report))
    keys.preservesFailures = false
    try keys.install(key(2, profile), now: at(0))
    #expect(keys.received(wire) == Outcome(result: .authenticationFailed, bytes: wire))
    #expect(keys.received(report, isRTCP: true) == Outcome(result: .authenticationFailed, bytes: report))
    // The key comes, and the packet that was kept opens.
    try keys.install(key(9, profile), now: at(0))
    #expect(keys.received(wire) == ok(rtp(1)))
    #expect(keys.received(report, isRTCP: true) == ok(rtcp()))
  }

  @Test(
    "the old key has three round trips once the new one was heard, 0.5 s at least, 3 s at most",
    arguments: [(10, 500), (400, 1200), (5000, 3000)] as [(Int64, Int64)])
  func grace(roundTrip: Int64, expected: Int64) throws {
    var old = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    var keys = InboundKeys()
    keys.roundTripTime = .milliseconds(roundTrip)
    try keys.install(key(1), now: at(0))
    try keys.install(key(2), now: at(1000))
    let wire = (0..<3).map { old.sent(rtp($0)).bytes }
    #expect(keys.received(new.sent(rtp(10)).bytes, at(2000)).result == .ok)
    #expect(keys.nextDeadline == at(2000 + expected))
    #expect(keys.received(wire[0], at(1999 + expected)).result == .ok)
    #expect(keys.received(wire[1], at(2000 + expected)).result == .authenticationFailed)
    #expect(keys.generationCount == 1 && keys.nextDeadline == nil)
    #expect(keys.counters.retiredGenerations == 1)
    let bag = keys.takeRetired()
    #expect(bag?.count == 1)
  }

  @Test("the old key is out of use 30 s after the new one came, heard or not")
  func hardCap() throws {
    var old = try OutboundSRTP(key(1))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    try keys.install(key(2), now: at(5000))
    #expect(keys.nextDeadline == at(35_000))
    #expect(keys.received(old.sent(rtp(1)).bytes, at(34_999)).result == .ok)
    keys.timeout(now: at(35_000))
    #expect(keys.generationCount == 1)
    #expect(keys.received(old.sent(rtp(2)).bytes, at(35_000)).result == .authenticationFailed)
  }

  @Test("a key that the newest one has overtaken opens what is on its way, as long as an older one may, and is freed")
  func overtaken() throws {
    var late = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    let wire = (1...4).map { late.sent(rtp($0)).bytes }
    var keys = InboundKeys()
    // Without a newer key it is not an old one.
    try keys.installFormer(key(1), now: at(0))
    #expect(keys.generationCount == 0)
    try keys.install(key(2), now: at(0))
    try keys.installFormer(key(1), now: at(1000))
    #expect(keys.nextDeadline == at(31_000) && !keys.heard)
    #expect(keys.received(wire[0], at(1000)) == ok(rtp(1)))
    #expect(keys.received(wire[0], at(1000)).result == .replayed)
    #expect(keys.received(new.sent(rtp(4)).bytes, at(2000)) == ok(rtp(4)))
    #expect(keys.nextDeadline == at(2600))
    #expect(keys.received(wire[1], at(2599)) == ok(rtp(2)))
    // Nor is it a way around what the newest key has opened.
    #expect(keys.received(wire[3], at(2599)).result == .replayed)
    #expect(keys.received(wire[2], at(2600)).result == .authenticationFailed)
    let bag = keys.takeRetired()
    #expect(bag?.count == 1)
    #expect(keys.generationCount == 1)
    // The peer was heard already: three round trips.
    try keys.installFormer(key(3), now: at(3000))
    #expect(keys.nextDeadline == at(3600))
  }

  @Test("a key that was overtaken keeps none that is older in use")
  func overtakenAmongOthers() throws {
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    try keys.install(key(2), now: at(1000))
    try keys.installFormer(key(3), now: at(20_000))
    try keys.installFormer(key(1), now: at(20_000))
    try keys.installFormer(key(2), now: at(20_000))
    #expect(keys.generationCount == 3 && keys.nextDeadline == at(31_000))
    keys.timeout(now: at(31_000))
    #expect(keys.generationCount == 1)
  }

  @Test("a fifth key puts the oldest out of use, the four others open")
  func displaced() throws {
    var peers = [Int: [UInt8]]()
    var keys = InboundKeys()
    for number in 1...5 {
      var peer = try OutboundSRTP(key(number))
      peers[number] = peer.sent(rtp(number)).bytes
      try keys.install(key(number), now: at(0))
    }
    #expect(keys.generationCount == 4 && keys.counters.displacedGenerations == 1)
    #expect(keys.received(try #require(peers[1])).result == .authenticationFailed)
    for number in 2...5 { #expect(keys.received(try #require(peers[number])) == ok(rtp(number))) }
  }

  @Test("once the new key is heard, the old one opens lower indices of the same SSRC only")
  func superseded() throws {
    var old = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    #expect(keys.received(old.sent(rtp(1)).bytes).result == .ok)
    #expect(keys.received(old.sent(rtcp(), isRTCP: true).bytes, isRTCP: true).result == .ok)
    try keys.install(key(2), now: at(0))
    #expect(keys.received(new.sent(rtp(5)).bytes).result == .ok)
    #expect(keys.received(old.sent(rtp(4)).bytes) == ok(rtp(4)))
    // The new key has seen index 5, so that one counts as a replay.
    #expect(keys.received(old.sent(rtp(5)).bytes).result == .replayed)
    #expect(keys.received(old.sent(rtp(6)).bytes).result == .supersededKey)
    #expect(keys.received(old.sent(rtp(7)).bytes).result == .supersededKey)
    #expect(keys.received(old.sent(rtp(6, ssrc: 7)).bytes) == ok(rtp(6, ssrc: 7)), "another SSRC may still switch")
    #expect(keys.counters.superseded == 2)
    // SRTCP index 1 was the old key's; 2 is the new one's, and so is everything after.
    var next = try OutboundSRTP(key(2))
    _ = next.sent(rtcp(), isRTCP: true)
    #expect(keys.received(next.sent(rtcp(), isRTCP: true).bytes, isRTCP: true).result == .ok)
    #expect(keys.received(old.sent(rtcp(), isRTCP: true).bytes, isRTCP: true).result == .replayed)
    #expect(keys.received(old.sent(rtcp(), isRTCP: true).bytes, isRTCP: true).result == .supersededKey)
  }

  @Test("a replay is refused under whichever key it comes, and only what was authenticated counts as seen")
  func replays() throws {
    var old = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    let (first, second) = (old.sent(rtp(1)).bytes, old.sent(rtp(3)).bytes)
    #expect(keys.received(first).result == .ok)
    #expect(keys.received(first).result == .replayed)
    try keys.install(key(2), now: at(0))
    #expect(keys.received(first) == Outcome(result: .replayed, bytes: first))
    // The new key has index 3 in its window; the old key's packet 3 is none of its business before it is heard there.
    #expect(keys.received(second).result == .ok)
    #expect(keys.received(new.sent(rtp(4)).bytes).result == .ok)
    #expect(keys.received(second) == Outcome(result: .replayed, bytes: second))
  }

  @Test("an index far behind the new key's window still opens under the old key")
  func behindTheWindow() throws {
    var old = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    let late = old.sent(rtp(100)).bytes
    try keys.install(key(2), now: at(0))
    #expect(keys.received(new.sent(rtp(1000)).bytes).result == .ok)
    #expect(keys.received(late) == ok(rtp(100)))
  }

  @Test("the key in use, installed again, keeps its replay state; an older one becomes the newest again")
  func again() throws {
    var old = try OutboundSRTP(key(1))
    var new = try OutboundSRTP(key(2))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    let first = old.sent(rtp(1)).bytes
    #expect(keys.received(first).result == .ok)
    try keys.install(key(1), now: at(0))
    #expect(keys.generationCount == 1 && keys.heard)
    #expect(keys.received(first).result == .replayed)
    // A re-key is rolled back: the peer goes on under the old key.
    try keys.install(key(2), now: at(0))
    #expect(keys.received(new.sent(rtp(2)).bytes).result == .ok)
    try keys.install(key(1), now: at(0))
    #expect(keys.generationCount == 2 && !keys.heard)
    #expect(keys.received(first).result == .replayed)
    #expect(keys.received(new.sent(rtp(3)).bytes) == ok(rtp(3)))
    #expect(keys.received(old.sent(rtp(4)).bytes) == ok(rtp(4)))
    #expect(keys.heard == true)
    #expect(keys.received(old.sent(rtp(5)).bytes, at(10_000)) == ok(rtp(5)))
    #expect(keys.generationCount == 1)
  }

  @Test("the suite may change with the key", arguments: SRTPProfile.allCases, SRTPProfile.allCases)
  func suiteChange(from: SRTPProfile, to: SRTPProfile) throws {
    var outbound = OutboundKeys()
    var keys = InboundKeys()
    try outbound.install(key(1, from), switchNow: true)
    try keys.install(key(1, from), now: at(0))
    #expect(keys.received(outbound.sent(rtp(1))) == ok(rtp(1)))
    let (late, lateReport) = (outbound.sent(rtp(2)), outbound.sent(rtcp(mark: 2), isRTCP: true))
    try keys.install(key(2, to), now: at(0))
    try outbound.install(key(2, to), switchNow: true)
    #expect(keys.received(outbound.sent(rtp(3))) == ok(rtp(3)))
    #expect(keys.received(outbound.sent(rtcp(mark: 3), isRTCP: true), isRTCP: true) == ok(rtcp(mark: 3)))
    #expect(keys.received(late) == ok(rtp(2)))
    #expect(keys.received(lateReport, isRTCP: true) == ok(rtcp(mark: 2)))
  }

  @Test("a master key identifier decides between keys", arguments: SRTPProfile.allCases)
  func identifiers(_ profile: SRTPProfile) throws {
    var old = try OutboundSRTP(key(1, profile, identifier: [0, 1]))
    var new = try OutboundSRTP(key(2, profile, identifier: [0, 2]))
    var stranger = try OutboundSRTP(key(2, profile, identifier: [0, 3]))
    var keys = InboundKeys()
    try keys.install(key(1, profile, identifier: [0, 1]), now: at(0))
    try keys.install(key(2, profile, identifier: [0, 2]), now: at(0))
    #expect(keys.received(old.sent(rtp(1)).bytes) == ok(rtp(1)))
    #expect(keys.received(new.sent(rtp(2)).bytes) == ok(rtp(2)))
    #expect(keys.received(old.sent(rtcp(), isRTCP: true).bytes, isRTCP: true) == ok(rtcp()))
    #expect(keys.received(stranger.sent(rtp(3)).bytes).result == .unknownKeyIdentifier)
    #expect(keys.received(stranger.sent(rtcp(), isRTCP: true).bytes, isRTCP: true).result == .unknownKeyIdentifier)
    #expect(keys.counters.unknownKeyIdentifiers == 2)
  }

  @Test("a key that is refused changes nothing")
  func refused() {
    var keys = InboundKeys(replayWindow: 5)
    #expect(throws: SRTPError.badReplayWindow(5)) { try keys.install(key(1), now: at(0)) }
    #expect(keys.generationCount == 0)
  }

  @Test("a peer that changes its SSRC with every packet costs bounded memory, and is still heard")
  func manySources() throws {
    var outbound = try OutboundSRTP(key(1))
    var keys = InboundKeys()
    try keys.install(key(1), now: at(0))
    for number in 0..<500 {
      let clear = rtp(number, ssrc: UInt32(number))
      #expect(keys.received(outbound.sent(clear).bytes, at(Int64(number))) == ok(clear))
    }
    try keys.install(key(2), now: at(500))
    var next = try OutboundSRTP(key(2))
    #expect(keys.received(next.sent(rtp(1, ssrc: 499)).bytes, at(501)) == ok(rtp(1, ssrc: 499)))
  }

  @Test("retired contexts are freed by another thread")
  func handedOut() async throws {
    var keys = InboundKeys()
    for number in 0..<8 { try keys.install(key(number), now: at(0)) }
    let freed = await self.free(keys.takeRetired())
    #expect(freed == 4)
    let none = keys.takeRetired() == nil
    #expect(none)
  }

  @concurrent private func free(_ bag: consuming RetiredSRTP?) async -> Int { bag?.count ?? 0 }
}
