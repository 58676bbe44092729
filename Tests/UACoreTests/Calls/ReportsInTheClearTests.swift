import Handoff
import MemorySearch
import ModuleKit
import NetBase
import SRTPEngine
import TestSupport
import Testing

@testable import UACore

/// RTCP in the clear that the peer itself vouches for: its tag is right, and its E bit says that nobody encrypted it.
@Suite(.serialized) struct ReportsInTheClearTests {
  /// One of each kind of transform.
  private static let suites = [
    "srtp": "AES_CM_128_HMAC_SHA1_80", "srtp-mand": "AES_256_CM_HMAC_SHA1_80", "srtp-mandf": "AEAD_AES_128_GCM",
  ]
  static let cells = RxMode.allCases.flatMap { mode in
    ["srtp", "srtp-mand", "srtp-mandf", "dtls_srtp"].map { Cell(encryption: $0, mode: mode) }
  }

  /// The key among the noted ones that opens a packet of the peer's.
  private static func key(of packet: [UInt8], _ profile: SRTPProfile) throws -> SRTPKeyMaterial {
    for secret in NotedKeys.all.withLock({ $0 }) {
      let material = try SRTPKeyMaterial(profile: profile, keyAndSalt: secret.bytes)
      var inbound = try InboundSRTP(material)
      var room = packet
      if case .ok = room.withPacket({ inbound.unprotect(rtp: &$0) }) { return material }
    }
    throw ModuleError(.peer, "no noted key opens the peer's packets")
  }

  @Test(
    "a BYE under the peer's own key with E = 0 and a right tag is refused and counted, and the call goes on",
    arguments: cells)
  func goodbye(cell: Cell) throws {
    NotedKeys.all.withLock { $0.removeAll() }
    let encryption = try #require(cell.encryption)
    let agents = try SimulatedAgents(
      mode: cell.mode, encryption: encryption, seed: 99,
      configure: { $0.moduleValues["srtp_suites"] = Self.suites[encryption] ?? Self.suites["srtp"] },
      adjust: { NotedKeys.note(of: &$0) })
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (true, true)
    let sent = Locked<Datagram?>(nil)
    agents.simulation.network.tap { datagram in
      if !datagram.isSignalling, datagram.source.host == "10.0.0.2", datagram.bytes.count > 172 {
        sent.withLock { $0 = datagram }
      }
      return true
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    let genuine = try #require(sent.withLock { $0 })
    let profile = try #require(agents.alice.report?.profile.flatMap { SRTPProfile(rawValue: $0) })
    let key = try Self.key(of: genuine.bytes, profile)
    // Ahead of what Bob counts himself, and within the window of both.
    let (clear, encrypted) = (
      try SRTCPForger(key, isEncrypted: false, index: 40), try SRTCPForger(key, isEncrypted: true, index: 80)
    )
    let source = Array(genuine.bytes[8..<12])
    let report = [0x80, 201, 0, 1] + source
    for _ in 0..<20 {
      let bytes = try #require(clear.protect(report + [0x81, 203, 0, 1] + source))
      agents.simulation.network.inject(bytes, from: genuine.source, to: genuine.destination)
      agents.run(milliseconds: 50)
    }
    // With E = 1 the same key is believed: a report that says nothing.
    for _ in 0..<5 {
      let bytes = try #require(encrypted.protect(report))
      agents.simulation.network.inject(bytes, from: genuine.source, to: genuine.destination)
      agents.run(milliseconds: 50)
    }
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = agents.alice.ended[0].media
    #expect(media.drops.plaintext == 20 && media.drops.total == 20, "\(media.drops)")
    #expect(media.receivedReports >= 5, "\(media.receivedReports)")
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      #expect(agent.ended[0].media.lost == 0 && agent.ended[0].failure == nil && agent.ended[0].reason == "hangup")
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) ?? 0 > 8000)
    }
  }
}
