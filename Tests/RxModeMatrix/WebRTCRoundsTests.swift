import ModuleKit
import TestSupport
import Testing

/// WebRTC's scenarios again and again, between threads and over the kernel's loopback: what goes wrong once in some calls only.
@Suite(.timeLimit(.minutes(20))) struct WebRTCRoundsTests {
  /// 100 by `Scripts/test --long`.
  private static let rounds = Seeds.isLong ? 100 : Seeds.count(debug: 1, release: 3)

  @Test("every round of the scenarios, in one suite, is like the first", arguments: RxMode.allCases)
  func rounds(mode: RxMode) async throws {
    let cell = Cell(
      mode: mode, encryption: "dtls_srtp", usesRTCPMux: true, subject: .scenario(.video), isRound: true)
    var counts: Set<Int> = []
    for round in 1...Self.rounds {
      var checks = Checks()
      do { try await WebRTCCalls.run(cell, &checks) } catch { checks.fail(error) }
      try #require(checks.failures.isEmpty, "round \(round), \(mode): \(checks.failures)")
      counts.insert(checks.count)
    }
    #expect(counts.count == 1 && counts.allSatisfy { $0 > 50 }, "assertions: \(counts)")
  }
}
