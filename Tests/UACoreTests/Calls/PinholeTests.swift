import ModuleKit
import SDPCodec
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Empty packets open a NAT's way for audio that is only received (`natpinhole`).
@Suite struct PinholeTests {
  @Test("who only listens sends a few empty packets, and only where the account wants it", arguments: RxMode.allCases)
  func listens(mode: RxMode) throws {
    for (wants, nat, packets) in [(true, nil, 8...9), (false, nil, 0...0), (true, "ice", 0...0)]
      as [(Bool, String?, ClosedRange<Int>)]
    {
      let agents = try SimulatedAgents(mode: mode, encryption: "srtp")
      agents.aliceSettings.audioDirection = .recvonly
      agents.aliceSettings.opensPinhole = wants
      agents.aliceSettings.mediaNAT = nat
      try agents.call()
      agents.run(milliseconds: 4000)
      #expect(agents.alice.isEstablished)
      for agent in [agents.alice, agents.bob] {
        agent.act { core in for id in core.calls.keys { core.refreshStatistics(id) } }
      }
      agents.run(milliseconds: 100)
      let (ours, theirs) = (agents.alice.report?.media, agents.bob.report?.media)
      #expect(packets.contains(ours?.sentPackets ?? -1), "\(wants) \(nat ?? "no NAT"): \(ours?.sentPackets ?? -1)")
      #expect(theirs?.receivedPackets == ours?.sentPackets && theirs?.drops.total == 0)
      // What Bob says is heard all the same.
      #expect((ours?.receivedPackets ?? 0) > 150 && ours?.sentBytes == 0)
    }
  }

  @Test("once the direction is both ways again, it is speech that is sent", arguments: RxMode.allCases)
  func thenSpeaks(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    agents.aliceSettings.audioDirection = .recvonly
    agents.aliceSettings.opensPinhole = true
    try agents.call()
    agents.run(milliseconds: 2000)
    #expect(ProbeCapture.samples(agents.bobHears).allSatisfy { $0 == 0 })
    try CallControlTests.run("/medialdir sendrecv", agents.alice)
    agents.run(milliseconds: 2000)
    #expect(ProbeCapture.samples(agents.bobHears).contains { abs(Int($0)) > 2000 })
  }
}
