import ModuleKit
import TestSupport

@testable import UACore

/// Scenarios between two user agents.
enum PlainCalls {
  static func run(_ scenario: Scenario, _ cell: Cell, _ checks: inout Checks) async throws {
    let pair = try await Pair(cell)
    do {
      switch scenario {
      case .call: try await self.call(pair, cell, &checks)
      case .holdAndResume: try await self.holdAndResume(pair, cell, &checks)
      case .callerHangsUp: try await self.hangUp(pair, by: pair.alice, cell, &checks)
      case .calleeHangsUp: try await self.hangUp(pair, by: pair.bob, cell, &checks)
      case .hangUpDuringHandshake: try await self.hangUpDuringHandshake(pair, cell, &checks)
      case .digits: try await self.digits(pair, cell, &checks)
      case .twoCalls: try await self.twoCalls(pair, cell, &checks)
      case .video: try await self.video(pair, cell, &checks)
      case .peerVanishes, .sourceChange, .payloadTypeChange, .earlyMedia:
        throw WaitedInVain(what: "\(scenario) has two user agents")
      }
    } catch {
      await pair.shutDown()
      throw error
    }
    await pair.shutDown()
  }

  private static func call(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    _ = try await pair.call()
    try await pair.waitForMedia(cell.packets)
    try await wait(until: "both sides heard sound") { pair.sides.allSatisfy { $0.ear.heard() >= 10 } }
    for side in pair.sides {
      let report = await side.agent.reports.first
      checks.expectSecurity(of: report, cell)
      checks.expect(report?.state == .established, "established")
      checks.expect(report?.codec == "PCMU/8000/1", "codec \(report?.codec ?? "-")")
    }
    await pair.hangUp(pair.alice)
    try await pair.waitUntilEnded()
    for side in pair.sides {
      checks.expectEnd(of: side, cell)
      checks.expectPorts(of: side, cell)
      checks.expect(side.ear.heard() >= 10 && side.ear.finished() == 1, "heard \(side.ear.heard()) frames")
    }
  }

  private static func holdAndResume(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    let call = try await pair.call()
    try await pair.waitForMedia(cell.packets / 2)
    await pair.alice.agent.setHold(call, true)
    try await wait(until: "Bob is on hold") { await pair.bob.agent.reports.first?.isHeldByPeer == true }
    checks.expect(await pair.alice.agent.reports.first?.isOnHold == true, "Alice holds")
    // What is on its way arrives; then Bob is silent.
    let silence = Silence()
    try await wait(until: "Alice hears nothing any more") { await silence.isLasting(await pair.alice.received()) }
    let held = await pair.received()
    await pair.alice.agent.setHold(call, false)
    do {
      try await wait(until: "Bob is off hold") { await pair.bob.agent.reports.first?.isHeldByPeer == false }
    } catch {
      let states = await [pair.alice.agent.reports.first, pair.bob.agent.reports.first].map { report in
        report.map { "\($0.state), on hold \($0.isOnHold), held by the peer \($0.isHeldByPeer)" } ?? "no call"
      }
      throw WaitedInVain(what: "Bob is off hold: Alice \(states[0]); Bob \(states[1])")
    }
    try await pair.waitForMedia(cell.packets - cell.packets / 2, after: held)
    checks.expect(await pair.alice.agent.reports.first?.isOnHold == false, "Alice holds no more")
    checks.expectSecurity(of: await pair.alice.agent.reports.first, cell)
    await pair.hangUp(pair.alice)
    try await pair.waitUntilEnded()
    for side in pair.sides { checks.expectEnd(of: side, cell) }
  }

  private static func hangUp(_ pair: Pair, by side: Side, _ cell: Cell, _ checks: inout Checks) async throws {
    _ = try await pair.call()
    try await pair.waitForMedia(cell.packets)
    await pair.hangUp(side)
    try await pair.waitUntilEnded()
    let heard = pair.sides.map { $0.ear.heard() }
    for side in pair.sides {
      checks.expectEnd(of: side, cell)
      checks.expect(side.ear.finished() == 1, "the player was finished \(side.ear.finished()) times")
    }
    try await Task.sleep(for: .milliseconds(60))
    checks.expect(pair.sides.map { $0.ear.heard() } == heard, "no player is called after the end")
  }

  /// SIP stands, and not one datagram of media or handshake has come through.
  private static func hangUpDuringHandshake(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    pair.bob.wire.isCut = true
    pair.alice.wire.isCut = true
    _ = try await pair.call()
    try await wait(until: "the call is established") {
      let (alice, bob) = (await pair.alice.agent.reports.first, await pair.bob.agent.reports.first)
      return alice?.state == .established && bob?.state == .established
    }
    checks.expect(await pair.alice.agent.reports.first?.firstMedia == nil, "no media yet")
    if cell.encryption == "dtls_srtp" {
      checks.expect(await pair.alice.agent.reports.first?.profile == nil, "no keys yet")
      // A flight is sent again meanwhile.
      try await Task.sleep(for: .milliseconds(150))
    }
    await pair.hangUp(pair.alice)
    try await pair.waitUntilEnded()
    for side in pair.sides {
      checks.expectEnd(of: side, cell)
      checks.expect(side.ended.first?.media.receivedPackets == 0, "nothing was heard")
    }
  }

  private static func digits(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    let call = try await pair.call()
    try await pair.waitForMedia(1)
    await pair.alice.agent.send(digits: "1#", on: call)
    if let call = await pair.bob.agent.reports.first?.id { await pair.bob.agent.send(digits: "*9", on: call) }
    for (side, digits) in [(pair.bob, "1#"), (pair.alice, "*9")] {
      try await wait(until: "\(digits) has come") { (await side.agent.reports.first?.digits.count ?? 0) >= 2 }
    }
    try await pair.waitForMedia(cell.packets)
    for (side, digits) in [(pair.bob, "1#"), (pair.alice, "*9")] {
      let heard = await side.agent.reports.first?.digits
      checks.expect(heard == digits, "digits \(heard ?? "-")")
    }
    await pair.hangUp(pair.bob)
    try await pair.waitUntilEnded()
    for side in pair.sides { checks.expectEnd(of: side, cell) }
  }

  private static func twoCalls(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    let first = try await pair.call()
    let second = try await pair.call(pair.alice.account(device: 1))
    try await wait(until: "both calls have media") {
      let reports = await pair.alice.reports() + (await pair.bob.reports())
      return reports.count == 4 && reports.allSatisfy { $0.media.receivedPackets >= cell.packets }
    }
    for report in await pair.alice.agent.reports { checks.expectSecurity(of: report, cell) }
    await pair.alice.agent.hangUp(first)
    try await pair.waitUntilEnded(1)
    let before = await pair.alice.received(second)
    try await wait(until: "the second call goes on") { await pair.alice.received(second) >= before + 10 }
    checks.expect(pair.alice.ended.map(\.id) == [first], "only the first call is over")
    await pair.alice.agent.hangUp(second)
    try await pair.waitUntilEnded(2)
    for side in pair.sides { checks.expectEnd(of: side, cell, calls: 2) }
    checks.expect(pair.alice.ear.finished(0) == 1 && pair.alice.ear.finished(1) == 1, "both players were finished")
  }
}

extension PlainCalls {
  /// test_call_webrtc, test_call_bundle and test_call_video: frames cross both ways, whole and in order. That none is missing is for
  /// the virtual clock: a machine that is busy for half a second gives up what came late, and asks for a key frame.
  private static func video(_ pair: Pair, _ cell: Cell, _ checks: inout Checks) async throws {
    let displays = [ProbeCapture.makeName(), ProbeCapture.makeName()]
    func account(_ side: Side, _ display: String) -> CallSettings {
      var account = side.account()
      account.videoSource = VideoDevice(driver: ProbeVideo.name, device: "")
      account.videoDisplay = VideoDevice(driver: ProbeVideo.name, device: display)
      account.usesBundle = cell.usesRTCPMux
      account.mediaNAT = cell.usesRTCPMux ? "ice" : nil
      return account
    }
    try await pair.bob.agent.setAccounts([account(pair.bob, displays[1])])
    _ = try await pair.call(account(pair.alice, displays[0]))
    try await pair.waitForMedia(cell.packets)
    try await wait(until: "both sides saw ten frames") {
      displays.allSatisfy { ProbeDisplay.frames($0).count >= 10 }
    }
    for side in pair.sides { checks.expectSecurity(of: await side.agent.reports.first, cell) }
    await pair.hangUp(pair.alice)
    try await pair.waitUntilEnded()
    for (side, display) in zip(pair.sides, displays) {
      checks.expectEnd(of: side, cell)
      let frames = ProbeDisplay.frames(display).map { frame in
        (number: ProbeVideo.number(of: frame.bytes) ?? -1, isKey: frame.info.isKeyFrame)
      }
      checks.expect(frames.first?.isKey == true && !frames.contains { $0.number < 0 }, "whole frames: \(frames)")
      checks.expect(
        zip(frames, frames.dropFirst()).allSatisfy { $0.number + 1 == $1.number || $0.number < $1.number && $1.isKey },
        "in order, each behind the one that it needs: \(frames)")
      let video = side.ended.first?.video
      checks.expect(
        video?.malformed == 0 && video?.receivedFrames == frames.count,
        "\(video.map { "\($0)" } ?? "no video")")
      checks.expect(ProbeDisplay.finishes(display) == 1, "the display was finished")
    }
  }
}

/// Tells when a count has stood still for 200 ms.
private actor Silence {
  private var last = -1
  private var rounds = 0

  func isLasting(_ count: Int) -> Bool {
    self.rounds = count == self.last ? self.rounds + 1 : 0
    self.last = count
    return self.rounds >= 4
  }
}
