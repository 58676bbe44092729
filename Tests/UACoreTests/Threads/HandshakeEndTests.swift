import Glibc
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// DTLS handshakes on real threads that lose datagrams, so that timers, packets and hang-ups meet.
@Suite(.serialized, .timeLimit(.minutes(5))) struct HandshakeEndTests {
  @Test(
    "a hang-up meets the handshake's timer and its packets, and all of them stay with one thread",
    arguments: RxMode.allCases)
  func meets(mode: RxMode) async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: mode, encryption: "dtls_srtp", player: device, loss: 40)
    let (ended, others) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    var generator = TestGenerator(seed: 71)
    let rounds = 16
    for round in 0..<rounds {
      let call = try await pair.call("dtls_srtp", device)
      // Around the first retransmission (100 ms), every other time; else anywhere before it, or long after.
      usleep(UInt32.random(in: round % 2 == 0 ? 95_000...110_000 : 0...250_000, using: &generator))
      await pair.alice.hangUp(call)
      await pair.alice.waitUntilIdle()
    }
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    let (reports, otherReports) = (await ended.value, await others.value)
    #expect(reports.count == rounds && reports.allSatisfy { $0.state == .ended && $0.failure == nil })
    #expect((reports + otherReports).contains { $0.media.handshakeRetransmissions > 0 }, "no timer was ever due")
    #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
    for report in reports + otherReports { #expect(report.media.drops.auth == 0 && report.media.drops.plaintext == 0) }
  }
}
