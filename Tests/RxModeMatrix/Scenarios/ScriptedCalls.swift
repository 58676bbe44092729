import ModuleKit
import NetBase

@testable import UACore

/// Scenarios in which the callee does what our own agents don't.
enum ScriptedCalls {
  private struct Setup: Sendable {
    let alice: Side
    let peer: ScriptedPeer
    let call: CallID

    /// Packets that each side has heard.
    func received() async -> (alice: Int, peer: Int) { (await self.alice.received(), await self.peer.received) }

    func waitForMedia(_ packets: Int, after start: (alice: Int, peer: Int) = (0, 0)) async throws {
      try await wait(until: "each side has heard \(packets) packets more") {
        let heard = await self.received()
        return heard.alice - start.alice >= packets && heard.peer - start.peer >= packets
      }
    }
  }

  /// Seconds of silence after which a call ends, where a scenario waits for it; longer than a handshake takes under a sanitizer.
  private static let timeout = 8

  static func run(_ scenario: Scenario, _ cell: Cell, _ checks: inout Checks) async throws {
    let peer = ScriptedPeer()
    let alice = Side("alice", cell) { settings in
      if scenario == .peerVanishes { settings.configuration.rtpTimeout = self.timeout }
    }
    do {
      let port = try await peer.start(cell)
      try await alice.agent.start()
      let call = try await alice.agent.call(
        "sip:peer@\(cell.address.host):\(port)", settings: alice.account(codecs: ["pcmu", "pcma"]))
      try await wait(until: "the peer is called") { await peer.isCalled }
      let setup = Setup(alice: alice, peer: peer, call: call)
      switch scenario {
      case .earlyMedia: try await self.earlyMedia(setup, cell, &checks)
      case .peerVanishes: try await self.vanish(setup, cell, &checks)
      case .sourceChange: try await self.change(setup, cell, &checks) { await $0.changeSource() }
      case .payloadTypeChange: try await self.change(setup, cell, &checks) { await $0.change(payloadType: 8) }
      default: throw WaitedInVain(what: "\(scenario) has a scripted peer")
      }
    } catch {
      await alice.shutDown()
      await peer.stop()
      throw error
    }
    await alice.shutDown()
    await peer.stop()
  }

  private static func earlyMedia(_ setup: Setup, _ cell: Cell, _ checks: inout Checks) async throws {
    try await setup.peer.answerEarly()
    try await setup.waitForMedia(cell.packets / 2)
    try await wait(until: "the caller hears sound before the answer") { setup.alice.ear.heard() >= 10 }
    checks.expect(await setup.alice.agent.reports.first?.state == .early, "early")
    checks.expectSecurity(of: await setup.alice.agent.reports.first, cell)
    let early = await setup.received()
    try await setup.peer.answer()
    try await wait(until: "the call is established") { await setup.alice.agent.reports.first?.state == .established }
    try await setup.waitForMedia(cell.packets - cell.packets / 2, after: early)
    try await self.hangUp(setup, cell, &checks)
  }

  /// The peer changes something in what it sends, and is heard all the same.
  private static func change(
    _ setup: Setup, _ cell: Cell, _ checks: inout Checks, _ change: (ScriptedPeer) async -> Void
  ) async throws {
    try await setup.peer.answer()
    try await setup.waitForMedia(cell.packets / 2)
    try await wait(until: "the caller hears sound") { setup.alice.ear.heard() >= 10 }
    let (before, sound) = (await setup.received(), setup.alice.ear.heard())
    await change(setup.peer)
    try await setup.waitForMedia(cell.packets - cell.packets / 2, after: before)
    try await wait(until: "the caller hears sound after the change") { setup.alice.ear.heard() >= sound + 10 }
    checks.expectSecurity(of: await setup.alice.agent.reports.first, cell)
    try await self.hangUp(setup, cell, &checks)
  }

  private static func hangUp(_ setup: Setup, _ cell: Cell, _ checks: inout Checks) async throws {
    await setup.alice.agent.hangUp(setup.call)
    try await setup.alice.waitUntilEnded()
    try await wait(until: "the peer heard of it") { await setup.peer.isOver }
    checks.expect(await setup.peer.received >= cell.packets, "the peer heard enough")
    checks.expect(await setup.peer.refused == 0, "the peer could open everything")
    checks.expectEnd(of: setup.alice, cell)
    checks.expect(setup.alice.ear.finished() == 1, "the player was finished")
  }

  private static func vanish(_ setup: Setup, _ cell: Cell, _ checks: inout Checks) async throws {
    try await setup.peer.answer()
    try await setup.waitForMedia(cell.packets)
    checks.expectSecurity(of: await setup.alice.agent.reports.first, cell)
    checks.expect(await setup.peer.refused == 0, "the peer could open everything")
    await setup.peer.vanish()
    try await setup.alice.waitUntilEnded()
    checks.expectEnd(of: setup.alice, cell, reason: "timeout")
    let said = setup.alice.ended.first?.failure?.message ?? ""
    checks.expect(said.contains("for \(self.timeout) s (rtp_timeout)"), "the call says why: \(said)")
    checks.expect(setup.alice.ear.finished() == 1, "the player was finished")
  }
}
