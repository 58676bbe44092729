import Foundation
import Handoff
import ModuleKit
import NetBase
import RTPStack
import Runtime
import TestSupport
import Testing

@testable import UACore

/// The level that travels beside the audio (RFC 6464).
@Suite struct AudioLevelTests {
  /// Media packets of the network: the level's byte where a packet has an extension, nil where it has none.
  private final class Levels: Sendable {
    let bytes = Locked<[UInt32: [UInt8?]]>([:])

    init(of agents: SimulatedAgents, id: UInt8 = 1) {
      let bytes = self.bytes
      agents.simulation.network.tap { datagram in
        datagram.bytes.withRawSpan { packet in
          guard !datagram.isSignalling, case .rtp = PacketClass(packet), let header = try? RTPHeader(parsing: packet)
          else { return }
          let level = header.audioLevel(id, in: packet)
          #expect((level == nil) == (header.headerExtension == nil))
          bytes.withLock { $0[header.ssrc, default: []].append(level?.byte) }
        }
        return true
      }
    }

    /// What each side sent.
    var sides: [[UInt8?]] { self.bytes.withLock { Array($0.values) } }
  }

  /// The byte that tells of 20 ms of the probe's noise at 8 kHz.
  private static func level(ofPacket number: Int) -> UInt8? {
    let samples = (number * 160..<(number + 1) * 160).map { Double(ProbeNoise.sample($0)) / 32_768 }
    let power = samples.reduce(0) { $0 + $1 * $1 } / 160
    return UInt8((-10 * log10(power)).rounded()) | 0x80
  }

  @Test(
    "test_call_aulevel: each side tells how loud its audio is, and knows how loud the other's is",
    arguments: RxMode.allCases, [nil, "srtp-mand", "dtls_srtp"] as [String?])
  func aulevel(mode: RxMode, encryption: String?) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption) { $0.tellsAudioLevel = true }
    let levels = Levels(of: agents)
    try agents.establishedCall()
    agents.run(milliseconds: 2000)
    #expect(levels.sides.count == 2)
    for side in levels.sides {
      #expect(side.count > 90 && side == side.indices.map { Self.level(ofPacket: $0) }, "\(side.prefix(8))")
    }
    // Bob is muted: silence, and no voice.
    agents.bob.act { core in _ = core.execute(line: "/mute") }
    agents.run(milliseconds: 1000)
    for agent in [agents.alice, agents.bob] { agent.act { $0.refreshStatistics($0.reports[0].id) } }
    agents.run(milliseconds: 100)
    #expect(agents.alice.report?.media.audioLevel == AudioLevel(attenuation: 127, hasVoice: false))
    // The noise is equally likely to be any sample: 4.8 dB below full scale.
    let heard = try #require(agents.bob.report?.media.audioLevel)
    #expect((4...5).contains(heard.attenuation) && heard.hasVoice)
    #expect(agents.alice.report?.json["rx"]?["level_dbov"] == .integer(-127))
    #expect(agents.bob.report?.json["rx"]?["voice"] == .bool(true))
  }

  @Test("no level is offered, sent or taken without audio_level", arguments: RxMode.allCases)
  func none(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    let levels = Levels(of: agents)
    try agents.establishedCall()
    agents.run(milliseconds: 500)
    #expect(levels.sides.count == 2 && levels.sides.allSatisfy { $0.allSatisfy { $0 == nil } })
    #expect(agents.alice.report?.media.audioLevel == nil && agents.alice.report?.json["rx"]?["level_dbov"] == .null)
  }
}
