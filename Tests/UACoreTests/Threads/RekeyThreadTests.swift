import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Re-keys in real time, between threads that the sanitizers see.
@Suite(.serialized, .timeLimit(.minutes(5))) struct RekeyThreadTests {
  struct Way: Sendable, CustomTestStringConvertible {
    let encryption: String
    let method: RekeyMethod
    var testDescription: String { "\(self.encryption) by \(self.method.rawValue)" }
    static let all = [
      Way(encryption: "srtp", method: .invite), Way(encryption: "srtp", method: .update),
      Way(encryption: "dtls_srtp", method: .invite),
    ]
  }

  /// Each mode in one way where a sanitizer makes it slow, in every way else.
  #if DEBUG
    static let cases = Array(zip(RxMode.allCases, Way.all))
  #else
    static let cases = RxMode.allCases.flatMap { mode in Way.all.map { (mode, $0) } }
  #endif

  @Test("a call on real threads that is re-keyed all the time loses nothing", arguments: cases)
  func allTheTime(mode: RxMode, way: Way) async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: mode, encryption: way.encryption, player: device, rekeyMethod: way.method)
    let (ended, others) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    let call = try await pair.call(way.encryption, device)
    // Each begins when the last is in use both ways; a starved machine needs longer for as many.
    let (start, wanted) = (ContinuousClock.now, 15)
    var begun = 0
    while start.duration(to: .now) < .seconds(3) || begun < wanted && start.duration(to: .now) < .seconds(25) {
      if await pair.alice.rekey(call) { begun += 1 }
      try await Task.sleep(for: .milliseconds(2))
    }
    await pair.alice.hangUp(call)
    await pair.alice.waitUntilIdle()
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    for reports in [await ended.value, await others.value] {
      let report = try #require(reports.first)
      var drops = report.media.drops
      // The last change may be under way at the hang-up.
      drops.ended = 0
      #expect(report.failure == nil && report.media.lost == 0 && drops == DropCounters(), "\(report.media)")
      #expect(report.media.rekeys >= 10 && report.media.receivedPackets > 100, "\(report.media)")
    }
    #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
  }
}
