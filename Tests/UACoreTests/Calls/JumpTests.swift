import Handoff
import ModuleKit
import NetBase
import RTPStack
import TestSupport
import Testing

@testable import UACore

/// A peer whose sequence numbers, timestamps and SSRC jump.
@Suite struct JumpTests {
  /// What is added to the peer's numbers.
  struct Offset: Sendable {
    var sequence: UInt16 = 0
    var timestamp: UInt32 = 0
    var ssrc: UInt32 = 0
  }

  private static let steps: [Offset] = [
    Offset(sequence: 1), Offset(sequence: 1000), Offset(sequence: 0x7FFF), Offset(sequence: 0x8000),
    Offset(sequence: 0xFFFF), Offset(sequence: 0xFF00), Offset(timestamp: 160), Offset(timestamp: 0x7FFF_FFFF),
    Offset(timestamp: 0x8000_0000), Offset(timestamp: 0xFFFF_FFFF), Offset(timestamp: 0xF000_0000),
    Offset(timestamp: 8000 * 3600), Offset(ssrc: 1), Offset(sequence: 0x4000, timestamp: 0x4000_0000),
    Offset(sequence: 0xC000, timestamp: 0x0100_0000, ssrc: 7), Offset(sequence: 77, timestamp: 0xFFFF_0000, ssrc: 9),
  ]

  /// With some by chance.
  private static let all: [Offset] = {
    var generator = TestGenerator(seed: 92)
    return steps
      + (0..<20).map { _ in
        Offset(
          sequence: UInt16.random(in: 0...UInt16.max, using: &generator),
          timestamp: UInt32.random(in: 0...UInt32.max, using: &generator), ssrc: generator.happens(0.3) ? 1 : 0)
      }
  }()

  /// Alice hears the peer in a second and a half.
  private func expectVoice(_ agents: SimulatedAgents, _ note: String, in run: () -> Void) {
    let before = ProbeCapture.samples(agents.aliceHears).count
    run()
    let heard = ProbeCapture.samples(agents.aliceHears)[before...]
    #expect((11_680...12_320).contains(heard.count), "\(note): \(heard.count)")
    // One frame in six may be silence where the jump was; the last half second is the peer's voice.
    let silent = heard.suffix(4000).count { $0 == 0 }
    #expect(silent < 200, "\(note): \(silent) silent samples")
  }

  @Test(
    "after any jump of sequence number, timestamp or SSRC the peer is heard again at once", arguments: RxMode.allCases)
  func jumps(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, seed: 91)
    let network = agents.simulation.network
    let call = try agents.establishedCall()
    let offset = Locked(Offset())
    network.tap { [unowned network] datagram in
      guard !datagram.isSignalling, datagram.source.host == "10.0.0.2", datagram.source.port % 2 == 0 else {
        return true
      }
      let by = offset.withLock { $0 }
      var bytes = datagram.bytes
      let parsed = bytes.withRawSpan { try? RTPHeader(parsing: $0) }
      guard var header = parsed else { return true }
      header.sequenceNumber &+= by.sequence
      header.timestamp &+= by.timestamp
      header.ssrc &+= by.ssrc
      bytes.withPacket { packet in _ = header.write(into: &packet.storage) }
      network.inject(bytes, from: datagram.source, to: datagram.destination)
      return false
    }
    for (index, step) in Self.all.enumerated() {
      offset.withLock {
        $0.sequence &+= step.sequence
        $0.timestamp &+= step.timestamp
        $0.ssrc &+= step.ssrc
      }
      self.expectVoice(agents, "step \(index) \(step)") { agents.run(milliseconds: 1500) }
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let report = agents.alice.ended[0]
    #expect(report.failure == nil && report.reason == "hangup" && report.media.drops == DropCounters())
    // At once: no packet of the new count is taken for a late one of the old.
    #expect(report.media.late == 0, "\(report.media.late) packets came too late")
  }

  @Test(
    "the same under keys: what they let out is heard again at once, and nothing of it is refused",
    arguments: RxMode.allCases, ["srtp-mand", "dtls_srtp"])
  func underKeys(mode: RxMode, encryption: String) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: 93)
    agents.simulation.network.tap { StandIn.spares($0) }
    let call = try agents.call()
    agents.run(milliseconds: 1000)
    let peer = StandIn(agents)
    peer.speak(milliseconds: 1000)
    for (index, step) in Self.all.enumerated() {
      if step.ssrc > 0 { peer.changeSource() }
      let (sequence, refused) = (peer.sequence, peer.refused)
      peer.sequence &+= step.sequence
      peer.timestamp &+= step.timestamp
      peer.speak(milliseconds: 20)
      // To its keys that was a step back, by which they would protect two packets alike.
      if peer.refused > refused { peer.sequence = sequence }
      self.expectVoice(agents, "step \(index) \(step)") { peer.speak(milliseconds: 1500) }
    }
    #expect(peer.refused <= Self.all.count / 4, "\(peer.refused) of \(Self.all.count) jumps were not made")
    agents.run(milliseconds: 20)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let report = agents.alice.ended[0]
    let media = report.media
    #expect(report.failure == nil && report.reason == "hangup" && media.drops == DropCounters(), "\(media.drops)")
    // A packet from too far away only makes known that there was a jump.
    #expect(media.receivedPackets + media.suspect == peer.sent && media.suspect <= Self.all.count)
    #expect(media.late == 0, "\(media.late) packets came too late")
  }
}
