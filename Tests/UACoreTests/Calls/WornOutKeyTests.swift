import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// Keys that are changed by themselves (`srtp_rekey_packets`, `srtp_rekey_reports`).
@Suite struct WornOutKeyTests {
  @Test(
    "a call gets new keys by itself before a key has protected too much, and loses nothing", arguments: RxMode.allCases,
    ["srtp", "srtp-mand", "dtls_srtp"])
  func byItself(mode: RxMode, encryption: String) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: 93) { $0.srtpRekeyPackets = 100 }
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...20_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 30_000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    // 1,500 packets each way; both ends come to the limit at the same time, and one may have to wait.
    for report in agents.alice.ended + agents.bob.ended {
      #expect((5...16).contains(report.media.rekeys), "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
    #expect((agents.alice.warnings + agents.bob.warnings).allSatisfy { $0.contains("491") })
  }

  @Test(
    "RTCP wears a key out, too, under RTP's keys and under its own", arguments: RxMode.allCases,
    [("srtp-mand", true), ("srtp-mand", false), ("dtls_srtp", true), ("dtls_srtp", false)])
  func byReports(mode: RxMode, kind: (encryption: String, usesMux: Bool)) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: kind.encryption, seed: 95) { $0.srtpRekeyReports = 3 }
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (kind.usesMux, kind.usesMux)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 60_000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    // A report every five seconds.
    for report in agents.alice.ended + agents.bob.ended {
      #expect((2...12).contains(report.media.rekeys), "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }

  @Test("what did not come about is asked for again, five seconds later")
  func again() throws {
    // Only Alice's keys wear out.
    let agents = try SimulatedAgents(
      encryption: "srtp-mand", seed: 94,
      adjust: { if $0.listen.host == "10.0.0.1" { $0.configuration.srtpRekeyPackets = 100 } })
    let descriptions = Descriptions(agents.simulation.network)
    let call = try agents.establishedCall()
    descriptions.set { message in
      // The answer to the first offer, and to the one that says what stands.
      if message.isInCall { message.body = message.body.filter { !$0.hasPrefix("a=crypto:") } }
    }
    agents.run(milliseconds: 3000)
    descriptions.set(nil)
    #expect(agents.alice.warnings.count >= 1 && agents.alice.report?.media.rekeys == 0)
    agents.run(milliseconds: 3000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.run(milliseconds: 3000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.rekeys >= 1 && report.media.lost == 0 && report.failure == nil, "\(report.media.rekeys)")
    }
  }

  @Test("without the setting the limit is RFC 3711's, less an eighth; RTCP has its own")
  func limits() {
    #expect(KeyLimit.standard.packets == (1 << 48) / 8 * 7 && KeyLimit.standard.reports == (1 << 31) / 8 * 7)
    #expect(KeyLimit() == .standard && KeyLimit(packets: 100).reports == KeyLimit.standard.reports)
  }
}
