import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Malformed SIP, SDP, RTP, RTCP, SRTP, DTLS and STUN at a running call.
@Suite struct HostileInputTests {
  struct Cell: Sendable, CustomTestStringConvertible {
    let encryption: String?
    let mode: RxMode
    /// Whether both sides have `medianat=ice`.
    var usesICE = false
    var testDescription: String {
      "\(self.encryption ?? "none")\(self.usesICE ? " with ICE" : "") in mode \(self.mode.rawValue)"
    }

    static let all = RxMode.allCases.flatMap { mode in
      [nil, "srtp", "srtp-mand", "srtp-mandf", "dtls_srtp"].map { Cell(encryption: $0, mode: mode) }
        + [Cell(encryption: "dtls_srtp", mode: mode, usesICE: true)]
    }
  }

  /// For each of the eighteen cells; in the long run a million over all of them.
  static let inputs = Seeds.isLong ? 56_000 : Seeds.count(debug: 400, release: 5_600)
  static let seeds = Array(Seeds.chosen(debug: 1, release: 1))

  @Test("every hostile datagram is counted, and the call is the same as without", arguments: Cell.all, seeds)
  func isUnharmed(cell: Cell, seed: UInt64) throws {
    let note: Comment = "again: APUS_SEEDS=\(seed) swift test --filter HostileInputTests"
    let (calm, call) = try Replay.run(seed: seed) {
      (
        try HostileCall(cell, seed: seed, inputs: 0), try HostileCall(cell, seed: seed, inputs: Self.inputs)
      )
    }
    #expect(call.sent.media + call.sent.signalling >= Self.inputs)
    let share = Double(call.sent.authenticated) / Double(call.sent.media + call.sent.signalling)
    #expect((0.5...0.58).contains(share), "\(share) past authentication")
    // Of ten in a hundred that are STUN one half knows the password.
    let checks = Double(call.sent.signedChecks) / Double(Self.inputs)
    #expect(cell.usesICE ? (0.02...0.08).contains(checks) : checks == 0, "\(checks) are checks under the password")

    if Seeds.isLong {
      print("hostile: \(cell.testDescription): \(call.sent), drops \(call.alice.media.drops)")
    }

    // The counters add up to exactly what was sent.
    #expect(call.toSignalling.delivered - call.toSignalling.unread == call.signallingCounted, note)
    #expect(call.toSignalling.sent >= call.sent.signalling + calm.toSignalling.sent)
    let media = call.alice.media
    #expect(
      call.toMedia.sent - call.checksOfBob - call.reports
        == calm.toMedia.sent - calm.checksOfBob - calm.reports + call.sent.media, note)
    #expect(call.toMedia.delivered - call.toMedia.unread == media.receivedDatagrams, note)
    #expect(media.accountedDatagrams == media.receivedDatagrams, note)

    // The call's own score.
    for (calm, hostile) in [(calm.alice, call.alice), (calm.bob, call.bob)] {
      #expect(hostile.failure == nil && hostile.reason == "hangup", "\(hostile.failure?.message ?? "")")
      #expect(hostile.media.lost == calm.media.lost && hostile.media.late == calm.media.late, note)
      #expect(hostile.media.receivedPackets == calm.media.receivedPackets, note)
      #expect(hostile.media.playedFrames == calm.media.playedFrames, note)
      #expect(hostile.media.concealed == calm.media.concealed, note)
      let scores = (hostile.media.meanOpinionScore ?? 0, calm.media.meanOpinionScore ?? 1)
      #expect(abs(scores.0 - scores.1) < 0.005, "MOS \(scores)")
    }
    #expect(call.aliceHeard == calm.aliceHeard && call.bobHeard == calm.bobHeard, note)
    #expect(call.mediaSockets == 0)
  }
}

extension HostileCall {
  /// RTCP packets that Bob's agent made by itself: their pace depends on what it hears.
  fileprivate var reports: Int { self.bob.media.sentReports }
}
