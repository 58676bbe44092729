import ModuleKit
import TestSupport

@testable import UACore

/// What baresip's self-test leaves out where media is received on threads: `test_call_webrtc`, `test_call_bundle`,
/// `test_call_medianat` and `test_peerconn`, one after the other.
enum WebRTCCalls {
  static func run(_ cell: Cell, _ checks: inout Checks) async throws {
    try await PlainCalls.run(.video, cell, &checks)
    let pair = try await Pair(cell, bobAnswersWith: self.account)
    do {
      try await self.mediaNAT(pair, cell, &checks)
      try await self.connection(pair, cell, &checks)
    } catch {
      await pair.shutDown()
      throw error
    }
    await pair.shutDown()
    for side in pair.sides {
      checks.expectEnd(of: side, cell, calls: 2)
      checks.expect(side.ear.heard() >= 20 && side.ear.finished() == 2, "heard \(side.ear.heard()) frames")
      // Which a machine that is busy for long enough may let happen.
      guard Seeds.isLong else { continue }
      let media = side.ended.map(\.media)
      checks.expect(media.allSatisfy { $0.lost == 0 && $0.drops.total == 0 }, "lost or dropped: \(media)")
    }
  }

  private static func account(_ side: Side) -> CallSettings {
    var account = side.account()
    account.mediaNAT = "ice"
    account.usesBundle = true
    return account
  }

  /// By SIP; Bob hangs up.
  private static func mediaNAT(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    _ = try await pair.call(self.account(pair.alice))
    try await self.talk(pair, cell, &checks)
    await pair.hangUp(pair.bob)
    try await pair.waitUntilEnded()
  }

  /// With descriptions that the program carries; Alice hangs up.
  private static func connection(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    let (alice, bob) = (pair.alice.agent, pair.bob.agent)
    let one = try await alice.connect("bob", settings: self.account(pair.alice))
    let other = try await bob.connect("alice", settings: self.account(pair.bob))
    let offer = try await alice.makeOffer(one)
    try await alice.takeAnswer(one, try await bob.makeAnswer(other, to: offer))
    try await self.talk(pair, cell, &checks)
    await pair.hangUp(pair.alice)
    try await pair.waitUntilEnded(2)
  }

  private static func talk(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    try await pair.waitForMedia(cell.packets)
    for side in pair.sides {
      let report = await side.reports().first
      checks.expectSecurity(of: report, cell)
      checks.expect(report?.profile == "AEAD_AES_128_GCM", "the suite is \(report?.profile ?? "none")")
      checks.expect((report?.media.checkDatagrams ?? 0) > 0, "addresses were checked")
    }
  }
}
