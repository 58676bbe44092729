import Handoff
import ModuleKit
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// 100rel as an account's parameter has it.
@Suite struct ReliableProvisionalTests {
  static func agents(_ alice: ReliableProvisionals, _ bob: ReliableProvisionals, mode: RxMode) throws -> SimulatedAgents
  {
    let agents = try SimulatedAgents(mode: mode)
    agents.aliceSettings.reliableProvisionals = alice
    agents.bobSettings.reliableProvisionals = bob
    agents.bobSettings.answerMode = .early
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1000)
    return agents
  }

  @Test("test_call_100rel_audio: early media is acknowledged, and the call is answered", arguments: RxMode.allCases)
  func audio(mode: RxMode) throws {
    for (alice, bob) in [(ReliableProvisionals.yes, ReliableProvisionals.yes), (.required, .yes), (.yes, .required)] {
      let agents = try Self.agents(alice, bob, mode: mode)
      #expect(agents.bob.trace.withLock { $0.contains { $0.contains(" <-- PRACK sip:") } })
      #expect(agents.alice.report?.state == .early && agents.alice.report?.firstMedia != nil)
      try CallControlTests.run("a", agents.bob)
      agents.run(milliseconds: 1000)
      #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    }
  }

  @Test(
    "test_call_100rel_required_reject: who requires it has no call with who does not do it",
    arguments: RxMode.allCases)
  func requiredReject(mode: RxMode) throws {
    let agents = try Self.agents(.required, .no, mode: mode)
    #expect(agents.alice.ended.map(\.status) == [420])
    let others = try Self.agents(.no, .required, mode: mode)
    #expect(others.alice.ended.map(\.status) == [421])
    let neither = try Self.agents(.no, .yes, mode: mode)
    #expect(neither.bob.trace.withLock { !$0.contains { $0.contains("PRACK sip:") } })
    #expect(neither.alice.report?.state == .early)
  }
}
