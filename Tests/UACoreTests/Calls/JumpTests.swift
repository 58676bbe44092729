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
    var generator = TestGenerator(seed: 92)
    let random = (0..<20).map { _ in
      Offset(
        sequence: UInt16.random(in: 0...UInt16.max, using: &generator),
        timestamp: UInt32.random(in: 0...UInt32.max, using: &generator), ssrc: generator.happens(0.3) ? 1 : 0)
    }
    for (index, step) in (Self.steps + random).enumerated() {
      offset.withLock {
        $0.sequence &+= step.sequence
        $0.timestamp &+= step.timestamp
        $0.ssrc &+= step.ssrc
      }
      let before = ProbeCapture.samples(agents.aliceHears).count
      agents.run(milliseconds: 1500)
      let heard = ProbeCapture.samples(agents.aliceHears)[before...]
      #expect((11_680...12_320).contains(heard.count), "step \(index) \(step): \(heard.count)")
      // One frame in six may be silence where the jump was; the last half second is the peer's voice.
      let silent = heard.suffix(4000).count { $0 == 0 }
      #expect(silent < 200, "step \(index) \(step): \(silent) silent samples")
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let report = agents.alice.ended[0]
    #expect(report.failure == nil && report.reason == "hangup" && report.media.drops == DropCounters())
    // At once: no packet of the new count is taken for a late one of the old.
    #expect(report.media.late == 0, "\(report.media.late) packets came too late")
  }
}
