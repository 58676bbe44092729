import Handoff
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Someone on the way of the answers puts another certificate's fingerprint into them, in the middle of a call with ICE.
@Suite("a changed fingerprint") struct ChangedFingerprintTests {
  private static let other = Array(repeating: "AB", count: 32).joined(separator: ":")

  @Test(
    "in the answer to a hold or to new keys is refused with a sentence, and the call goes on under its keys",
    arguments: RxMode.allCases, [true, false])
  func answer(mode: RxMode, isHold: Bool) throws {
    let agents = try ICECallTests.makeAgents(mode: mode, seed: 27)
    let descriptions = Descriptions(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let changed = Locked(0)
    descriptions.set { message in
      guard message.isInCall, !message.isRequest, changed.withLock({ $0 }) == 0 else { return }
      message.body = message.body.map { line in
        guard line.hasPrefix("a=fingerprint:") else { return line }
        changed.withLock { $0 += 1 }
        return "a=fingerprint:sha-256 \(Self.other)"
      }
    }
    if isHold {
      agents.alice.act { $0.setHold(call, true) }
    } else {
      #expect(agents.alice.act { $0.rekey(call) })
    }
    agents.run(milliseconds: 20_000)
    #expect(changed.withLock { $0 } == 1 && agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(agents.alice.report?.isOnHold == false && agents.bob.report?.isHeldByPeer == false)
    #expect(agents.alice.warnings.count == 1, "\(agents.alice.warnings)")
    // What is answered as it should be is done.
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let report = try #require(agent.ended.first)
      #expect(report.reason == "hangup" && report.failure == nil && report.media.rekeys == 1, "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(agent.name) \(report.media)")
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
  }
}
