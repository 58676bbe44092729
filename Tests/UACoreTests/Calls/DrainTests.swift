import Handoff
import ModuleKit
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// An agent that is told to end: no new calls, and time for those that stand (`drain_timeout`).
@Suite struct DrainTests {
  private static func makeAgents() throws -> SimulatedAgents {
    try SimulatedAgents {
      $0.drainTimeout = 60
      $0.sipLimits.retryAfter = 17
    }
  }

  /// Alice calls Bob as he is.
  private func callAgain(_ agents: SimulatedAgents) throws {
    let target = try SIPURI("sip:bob@10.0.0.2")
    _ = try agents.alice.act { try $0.call(target, at: agents.bob.address, settings: agents.aliceSettings) }
  }

  @Test("while it drains new calls get 503 with Retry-After, and a call that stands goes on to its own end")
  func standing() throws {
    let agents = try Self.makeAgents()
    let call = try agents.establishedCall()
    #expect(agents.bob.act { $0.beginDrain() } == 60)
    try self.callAgain(agents)
    agents.run(milliseconds: 20_000)
    let refused = try #require(agents.alice.ended.first)
    #expect(agents.alice.ended.count == 1 && refused.status == 503)
    let refusal = agents.alice.trace.withLock { $0.first { $0.contains("SIP/2.0 503") } }
    #expect(refusal?.contains("Retry-After: 17") == true, "\(refusal ?? "")")
    #expect(agents.bob.isEstablished)
    agents.bob.act { $0.refreshStatistics(agents.bobCall) }
    agents.run(milliseconds: 100)
    #expect((agents.bob.report?.media.receivedPackets ?? 0) > 900)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle() && agents.bob.act { $0.isIdle })
    #expect(agents.bob.ended.map(\.reason) == ["hangup"])
  }

  @Test("a call that rings when the drain begins is sent elsewhere by 503; one that is just answered comes to stand")
  func ringing() throws {
    let agents = try Self.makeAgents()
    agents.bobSettings.answersAtOnce = false
    try agents.call()
    agents.run(milliseconds: 100)
    try self.callAgain(agents)
    agents.run(milliseconds: 100)
    let (first, second) = agents.bob.act { ($0.reports[0].id, $0.reports[1].id) }
    agents.bob.act { core in
      core.answer(first)
      _ = core.beginDrain()
    }
    agents.run(milliseconds: 1000)
    #expect(agents.bob.ended.map(\.id) == [second] && agents.alice.ended.map(\.status) == [503])
    #expect(agents.bob.act { $0.report(first)?.state } == .established)
  }

  @Test("drain_timeout 0 drains nothing: the call ends with the agent, at once")
  func off() throws {
    let agents = try SimulatedAgents()
    try agents.establishedCall()
    #expect(agents.bob.act { $0.beginDrain() } == nil)
    agents.bob.act { $0.hangUpAll() }
    agents.run(milliseconds: 200)
    #expect(agents.alice.ended.map(\.reason) == ["hangup"])
  }

  @Test("draining lasts until the last call is over, drain_timeout at most; what is left then ends with the agent")
  func lasting() async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: .main, encryption: nil, player: device, drainTimeout: 3)
    let ended = LivePair.reports(of: pair.bob)
    let first = try await pair.call(nil, device)
    _ = try await pair.call(nil, device)
    while await pair.bob.reports.count(where: { $0.state == .established }) < 2 {
      try await Task.sleep(for: .milliseconds(20))
    }
    let began = ContinuousClock.now
    await pair.alice.hangUp(first)
    await pair.bob.drain()
    let lasted = ContinuousClock.now - began
    #expect(lasted >= .seconds(3))
    #expect(await pair.bob.reports.map(\.state) == [.established])
    await pair.shutDown()
    #expect(await ended.value.map(\.reason) == ["hangup", "hangup"])
  }

  @Test("draining is over as soon as no call is left")
  func early() async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: .main, encryption: nil, player: device, drainTimeout: 3600)
    let call = try await pair.call(nil, device)
    while await pair.bob.reports.first?.state != .established { try await Task.sleep(for: .milliseconds(20)) }
    let drained = Task { await pair.bob.drain() }
    try await Task.sleep(for: .milliseconds(100))
    await pair.alice.hangUp(call)
    await drained.value
    #expect(await pair.bob.reports.isEmpty)
    await pair.shutDown()
  }
}
