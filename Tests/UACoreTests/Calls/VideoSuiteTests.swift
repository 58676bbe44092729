import ModuleKit
import SRTPEngine
import TestSupport
import Testing

@testable import UACore

/// WebRTC's calls, audio and video on one socket behind ICE, once for each suite that DTLS-SRTP negotiates.
@Suite("calls with video, in each suite") struct VideoSuiteTests {
  /// The profiles of use_srtp (RFC 5764 §4.1.2, RFC 7714 §14.2).
  static let suites = SRTPProfile.allCases.filter { $0.dtlsName != nil }

  @Test(
    "test_call_webrtc: frames and sound cross both ways, before and after new keys, and nothing is lost",
    arguments: VideoCallTests.VideoCell.all.filter { $0.isExample && $0.isBundled }, suites)
  func video(cell: VideoCallTests.VideoCell, suite: SRTPProfile) throws {
    let (agents, alice, bob) = try VideoCallTests.makeAgents(cell, seed: 16) { settings in
      settings.configuration.moduleValues["dtls_srtp_profiles"] = suite.dtlsName
    }
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...9000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 700)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 700)
    let reports = try VideoCallTests.end(agents, call)
    for (report, display) in zip(reports, [alice, bob]) {
      #expect(report.profile == suite.rawValue && report.media.rekeys == 1 && report.media.lost == 0)
      let numbers = try VideoCallTests.numbers(display)
      #expect(numbers.count > 35 && numbers == Array(numbers[0]..<numbers[0] + numbers.count), "\(numbers)")
      let video = try #require(report.video)
      #expect(video.lost == 0 && video.recovered == 0 && video.discardedFrames == 0 && video.malformed == 0, "\(video)")
      #expect(video.receivedFrames == numbers.count)
    }
    for heard in [agents.aliceHears, agents.bobHears] {
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
  }
}
