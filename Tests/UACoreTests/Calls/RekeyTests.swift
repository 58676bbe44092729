import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// Re-keys of whole calls, one behind the other.
@Suite struct RekeyTests {
  /// What both hear of six seconds' call, and how often its keys changed as each end counts.
  private func recordings(
    _ cell: Cell, codec: String, rekeys method: RekeyMethod?
  ) throws -> (heard: [[Int16]], rekeys: ClosedRange<Int>) {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, codec: codec, seed: 58) {
      $0.rekeyMethod = method ?? .invite
    }
    let call = try agents.establishedCall()
    let start = agents.simulation.now
    for step in 1...300 {
      if method != nil { _ = agents.alice.act { $0.rekey(call) } }
      agents.simulation.run(until: start.advanced(byMilliseconds: Int64(step) * 20))
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
    let counts = [agents.alice.ended[0].media.rekeys, agents.bob.ended[0].media.rekeys].sorted()
    return ([agents.aliceHears, agents.bobHears].map { ProbeCapture.samples($0) }, counts[0]...counts[1])
  }

  @Test(
    "a recording of a call that is re-keyed all the time is, to the bit, that of one that is not",
    arguments: Cell.all.filter { $0.encryption != nil }, ["pcmu", "opus"])
  func sameRecording(cell: Cell, codec: String) throws {
    let without = try self.recordings(cell, codec: codec, rekeys: nil)
    #expect(without.rekeys == 0...0 && without.heard.allSatisfy { $0.count > 8000 * 5 })
    for method in RekeyMethod.allCases {
      let with = try self.recordings(cell, codec: codec, rekeys: method)
      // Both ends count the same ones, but for what is under way at the end.
      #expect(with.rekeys.lowerBound > 30 && with.rekeys.count <= 2, "\(method) \(with.rekeys)")
      #expect(with.heard == without.heard, "\(method)")
    }
  }

  #if DEBUG
    private static let count = 60
  #else
    private static let count = LongRun.isOn ? 3000 : 1000
  #endif

  @Test(
    "re-keys back to back from both sides, 50 packets a second both ways, lose nothing",
    arguments: RxMode.allCases, RekeyMethod.allCases)
  func backToBack(mode: RxMode, method: RekeyMethod) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 56) { $0.rekeyMethod = method }
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
