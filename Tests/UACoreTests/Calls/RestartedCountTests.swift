import Foundation
import ModuleKit
import NetBase
import SDPCodec
import SRTPEngine
import TestSupport
import Testing

@testable import UACore

/// A peer that counts its packets anew under a key and an SSRC that it has used already, as one that has forgotten.
@Suite struct RestartedCountTests {
  /// Bob's newest key, as he has told it.
  private func key(_ agents: SimulatedAgents) throws -> SRTPKeyMaterial {
    let bytes = agents.bob.act { $0.calls.values.first?.media?.localDescription?.bytes ?? [] }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
    let words = try #require(lines.first { $0.hasPrefix("a=crypto:") }).split(separator: " ")
    let profile = try #require(SRTPProfile(rawValue: String(words[1])))
    let secret = try #require(Data(base64Encoded: String(words[2].dropFirst("inline:".count))))
    return try SRTPKeyMaterial(profile: profile, keyAndSalt: Array(secret).withRawSpan { SecretBytes($0) })
  }

  /// A second of Bob's voice by a context that has sent nothing yet; returns how many samples of the last half Alice
  /// heard.
  private func speak(_ agents: SimulatedAgents, from first: UInt16) throws -> Int {
    let addresses = [agents.alice, agents.bob].map { $0.act { $0.calls.values.first?.media?.localAddress } }
    let (alice, bob) = (try #require(addresses[0]), try #require(addresses[1]))
    var outbound = try OutboundSRTP(try self.key(agents))
    for number in 0..<UInt16(50) {
      var bytes = PlainPackets.pcmu(
        sequence: first &+ number, timestamp: UInt32(first) &* 160 &+ UInt32(number) * 160, ssrc: 0x5EED_0000)
      let count = bytes.count
      bytes += [UInt8](repeating: 0, count: 32)
      let (result, length) = bytes.withPacket(count: count) { (outbound.protect(rtp: &$0), $0.count) }
      #expect(result == .ok)
      agents.simulation.network.inject(Array(bytes.prefix(length)), from: bob, to: alice)
      agents.run(milliseconds: 20)
    }
    return ProbeCapture.samples(agents.aliceHears).suffix(4000).count { $0 != 0 }
  }

  @Test(
    "a peer that begins to count anew is refused and counted, and heard at once when the keys are new",
    arguments: RxMode.allCases, [(40_000, 39_000), (65_530, 20_000), (65_530, 65_000)] as [(UInt16, UInt16)])
  func isHeardUnderNewKeys(mode: RxMode, numbers: (before: UInt16, after: UInt16)) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 94)
    agents.simulation.network.tap { StandIn.spares($0) }
    let call = try agents.call()
    agents.run(milliseconds: 500)
    #expect(try self.speak(agents, from: numbers.before) > 3800)
    #expect(try self.speak(agents, from: numbers.after) == 0)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 500)
    #expect(try self.speak(agents, from: numbers.after) > 3800)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let report = agents.alice.ended[0]
    let drops = report.media.drops
    #expect(report.failure == nil && report.media.rekeys == 1)
    #expect(drops.auth + drops.replay == 50 && drops.total == 50, "\(drops)")
  }
}
