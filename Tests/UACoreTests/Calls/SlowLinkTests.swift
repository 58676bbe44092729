import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Links on which a flight is sent again before its answer can be there.
@Suite struct SlowLinkTests {
  @Test(
    "nothing is dropped of a handshake that is slower than its timer, or faster than the answer",
    arguments: [(1, 1), (600, 1), (1200, 600), (1, 600), (1, 1500), (1, 6000)])
  func handshake(media: Int64, signalling: Int64) throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp")
    agents.simulation.network.setMedia(LinkConditions(delay: media * 1000...media * 1000))
    agents.simulation.network.setSignalling(LinkConditions(delay: signalling * 1000...signalling * 1000))
    try agents.call()
    agents.run(milliseconds: 25_000)
    for agent in [agents.alice, agents.bob] {
      agent.act { core in for call in core.reports { core.refreshStatistics(call.id) } }
      agents.run(milliseconds: 10)
      let report = try #require(agent.report)
      #expect(report.secure != nil && report.state == .established)
      #expect(report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }
}
