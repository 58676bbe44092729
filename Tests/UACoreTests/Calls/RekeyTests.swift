import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Re-keys of whole calls, one behind the other.
@Suite struct RekeyTests {
  #if DEBUG
    private static let count = 60
  #else
    private static let count = LongRun.isOn ? 3000 : 1000
  #endif

  @Test(
    "re-keys back to back from both sides, 50 packets a second both ways, lose nothing",
    arguments: RxMode.allCases)
  func backToBack(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 56)
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...40_000))
    agents.simulation.network.setSignalling(LinkConditions(delay: 1000...30_000))
    let call = try agents.establishedCall()
    var generator = TestGenerator(seed: 57)
    var offered = 0
    // The next one is offered as soon as the last is in use both ways.
    for _ in 0..<Self.count * 100 where offered < Self.count {
      let isAlice = generator.happens(0.5)
      let isOffered = isAlice ? agents.alice.act { $0.rekey(call) } : agents.bob.act { $0.rekey(agents.bobCall) }
      if isOffered { offered += 1 }
      // An offer is there before the other side thinks of one.
      agents.run(milliseconds: isOffered ? 40 : 10)
    }
    #expect(offered == Self.count)
    // Offers that cross are refused by both and tried again (RFC 3261 §14.1); who has no luck at all is told, seldom.
    let warnings = agents.alice.warnings + agents.bob.warnings
    #expect(warnings.allSatisfy { $0.hasSuffix("491 Request Pending") }, "\(warnings)")
    #expect(warnings.count <= Self.count / 200, "\(warnings)")
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let media = agent.ended[0].media
      #expect(media.lost == 0 && media.late == 0 && media.drops == DropCounters(), "\(agent.name) \(media)")
      // An INVITE that overtakes the last ACK is offered again later; its keys may then be in use with the next ones.
      #expect((Self.count * 9 / 10...Self.count).contains(media.rekeys), "\(agent.name) \(media.rekeys)")
      #expect(agent.ended[0].failure == nil)
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
  }
}
