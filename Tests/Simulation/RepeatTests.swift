import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// A seed is a call: the same one every time, OpenSSL included.
@Suite struct RepeatTests {
  static let seeds = Array(Seeds.chosen(debug: 12, release: 100))

  @Test("the same seed gives the same call, packet for packet and byte for byte", arguments: seeds)
  func isRepeated(seed: UInt64) throws {
    let (first, second) = (try WholeCall.run(seed: seed, keepsEntries: true), try WholeCall.run(seed: seed))
    guard first.digest != second.digest else {
      #expect(first.network == second.network)
      #expect(first.alice.heard == second.alice.heard && first.bob.heard == second.bob.heard)
      return
    }
    let again = try WholeCall.run(seed: seed, keepsEntries: true)
    let place = zip(first.entries, again.entries).enumerated().first { $0.element.0 != $0.element.1 }
    Issue.record("seed \(seed): the runs part at \(place.map { "\($0)" } ?? "their end") in \(first.scenario)")
  }

  @Test("OpenSSL's wall clock has no say: it may stand still, run, or jump by an hour at every look", arguments: seeds)
  func clockHasNoSay(seed: UInt64) throws {
    let standing = try WholeCall.run(seed: seed)
    for step in [20_000, 3_600_000_000, -50_000_000] as [Int64] {
      let moving = try WholeCall.run(seed: seed, clockStep: step)
      #expect(standing.digest == moving.digest, "seed \(seed), steps of \(step) µs: \(standing.scenario)")
    }
  }

  @Test("randomness and clock are really replayed, not merely unused")
  func isUsed() throws {
    let calls = try (1...40).map { try WholeCall.run(seed: $0) }
    let secured = calls.filter {
      $0.scenario.encryptions == ("dtls_srtp", "dtls_srtp") && $0.alice.reports[0].secure != nil
    }
    #expect(!secured.isEmpty)
    for call in secured { #expect(call.use.randomBytes > 300 && call.use.clockReads > 4, "\(call.use)") }
    #expect(Set(calls.map(\.digest)).count == calls.count)
  }
}
