import Glibc
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// What a load measures of its calls, and what it may leave out, over the kernel's loopback.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DelayTests {
  /// One call of two seconds; both reports.
  private func call(
    _ mode: RxMode, _ encryption: String?, adjust: (inout AgentSettings) -> Void
  ) async throws -> (reports: [CallReport], stamped: Int) {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: mode, encryption: encryption, player: device, adjust: adjust)
    let (alices, bobs) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    let call = try await pair.call(encryption, device)
    try await Task.sleep(for: .seconds(2))
    await pair.alice.hangUp(call)
    await pair.alice.waitUntilIdle()
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    #expect(pair.violations.all.isEmpty, "\(pair.violations.all)")
    return (await alices.value + bobs.value, pair.violations.stampedCount)
  }

  @Test(
    "each packet's way from the kernel to the jitter buffer is counted, and how late each tick is",
    arguments: RxMode.allCases, [nil, "dtls_srtp"])
  func counted(mode: RxMode, encryption: String?) async throws {
    let delays = MediaDelays(stripes: 2)
    let (reports, stamped) = try await self.call(mode, encryption) { $0.delays = delays }
    #expect(reports.count == 2 && stamped == 2)
    let received = reports.reduce(0) { $0 + $1.media.receivedPackets }
    let counts = delays.receive.counts
    // Those that waited for the answer or for keys are not.
    #expect(counts.total <= received && counts.total >= received - 20, "\(counts.total) of \(received)")
    #expect(received > 40)
    let middle = try #require(counts.value(at: 0.5))
    #expect(middle > 1_000 && middle < 100_000_000, "\(middle) ns")
    let ticks = delays.tick.counts
    #expect(ticks.total > 60 && ticks.longest < 2_000_000_000)
    for report in reports {
      let media = report.media
      #expect(media.decodedSamples % 160 == 0 && media.decodedSamples <= media.receivedPackets * 160)
      #expect(media.decodedSamples > 0)
    }
  }

  @Test("where nobody measures, no socket is asked for times")
  func notAsked() async throws {
    let (reports, stamped) = try await self.call(.pool, nil) { _ in }
    #expect(reports.count == 2 && stamped == 0)
  }

  @Test("without decoding packets are received and judged as ever, and nothing is played", arguments: RxMode.allCases)
  func notDecoded(mode: RxMode) async throws {
    let (reports, _) = try await self.call(mode, "srtp-mand") { $0.decodesAudio = false }
    #expect(reports.count == 2)
    for report in reports {
      let media = report.media
      #expect(media.receivedPackets > 20 && media.lost == 0 && media.drops.total == 0 && media.jitter >= 0)
      #expect(media.decodedSamples == 0 && media.playedFrames == 0)
    }
  }
}
