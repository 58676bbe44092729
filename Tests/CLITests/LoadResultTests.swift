internal import ArgumentParser
internal import ModuleKit
internal import Testing

@testable internal import CLI
@testable internal import UACore

@Suite("the result of a load")
struct LoadResultTests {
  private func report(_ number: UInt64, _ change: (inout CallReport) -> Void = { _ in }) -> CallReport {
    .example(number, change)
  }

  private func result(_ arguments: [String], _ reports: [CallReport], _ others: [CallReport] = []) throws -> LoadResult
  {
    LoadResult(try LoadCommand.parse(arguments), reports: reports, peerReports: others)
  }

  @Test("reasons are counted, the most frequent first, and the error names them")
  func failures() throws {
    let busy = { (report: inout CallReport) in (report.setup, report.reason, report.status) = (nil, "rejected", 486) }
    let mute = { (report: inout CallReport) in report.media.receivedPackets = 0 }
    let reports = [self.report(1), self.report(2, busy), self.report(3, mute), self.report(4, busy)]
    let result = try self.result(["--calls", "5"], reports)
    #expect(result.failures.map(\.reason) == ["status 486", "no media both ways", "not placed"])
    #expect(result.failures.map(\.count) == [2, 1, 1])
    #expect(result.failed == 4 && result.established == 2 && !result.isGood)
    #expect(
      result.verdict.message == "4 of 5 calls failed: 2 × status 486, 1 × no media both ways, 1 × not placed")
    #expect(result.verdict.status == .callFailed)
  }

  @Test("where nobody answered, the error is the first call's, with its exit status")
  func unreachable() throws {
    let error = ModuleError(.unavailable, "sip:a@b can't be reached")
    let reports = [self.report(1) { ($0.setup, $0.reason, $0.failure) = (nil, "unreachable", error) }]
    let verdict = try self.result(["--calls", "1"], reports).verdict
    #expect(verdict.status == .unavailable && verdict.message == "sip:a@b can't be reached")
  }

  @Test("calls that a signal cut short are counted as that, and those that were refused as before")
  func interrupted() throws {
    let unanswered = { (report: inout CallReport) in (report.setup, report.reason) = (nil, "cancelled") }
    let mute = { (report: inout CallReport) in (report.media.receivedPackets, report.duration) = (0, 0.3) }
    let longMute = { (report: inout CallReport) in (report.media.receivedPackets, report.duration) = (0, 60) }
    let busy = { (report: inout CallReport) in (report.setup, report.reason, report.status) = (nil, "rejected", 486) }
    var result = try self.result(
      ["--calls", "5"],
      [self.report(1, unanswered), self.report(2, mute), self.report(3, busy), self.report(4, longMute)])
    result.wasInterrupted = true
    #expect(
      Set(result.failures.map(\.reason)) == [
        "interrupted before the answer", "interrupted before media", "no media both ways", "status 486",
        "interrupted before the call",
      ])
  }

  @Test("what less than a second measured, or a time before all had settled, is no figure of the CPU")
  func tooShort() throws {
    for (seconds, calls, hasSettled) in [(0.9, 1, true), (2, 0, true), (2, 1, false)] as [(Double, Int, Bool)] {
      var result = try self.result(["--calls", "1"], [self.report(1)])
      result.take(cpu: 0.002, seconds: seconds, calls: calls, hasSettled: hasSettled)
      #expect(result.cpuPerCallSecond == nil && result.text.contains("cpu          -"))
      #expect(result.json(began: 0).description.contains(#""cpu_ms_per_call_s": null"#))
    }
    var result = try self.result(["--calls", "1"], [self.report(1)])
    result.take(cpu: 0.002, seconds: 2, calls: 1, hasSettled: true)
    #expect(result.cpuPerCallSecond == 1)
  }

  @Test("where no call stood there is no memory of a call")
  func memory() throws {
    var result = try self.result(["--calls", "1"], [self.report(1) { $0.setup = nil }])
    result.residentPerCall = 694
    #expect(!result.text.contains("memory"))
    #expect(result.json(began: 0).description.contains(#""rss_kib_per_call": null, "rss_kib_per_leg": null"#))
  }

  @Test("the summary names the shortcuts, and only those that were taken")
  func shortcuts() throws {
    let plain = try self.result(["--calls", "1"], [self.report(1)])
    #expect(!plain.text.contains("shortcut") && plain.text.contains("decoded 16000 samples"))
    #expect(plain.json(began: 0).description.contains(#""share_encoding": false, "decode": true"#))
    let cheap = try self.result(["--calls", "1", "--share-encoding", "--no-decode"], [self.report(1)])
    #expect(cheap.text.contains("--share-encoding") && cheap.text.contains("--no-decode"))
    #expect(!cheap.text.contains("decoded 16000"))
    #expect(cheap.json(began: 0).description.contains(#""share_encoding": true, "decode": false"#))
  }

  @Test("both legs of a call count where both are here, and figures a leg are per leg")
  func legs() throws {
    var local = try self.result(
      ["--calls", "1"], [self.report(1) { $0.media.lost = 2 }], [self.report(1) { $0.media.lost = 5 }])
    local.cpuPerCallSecond = 1.5
    local.residentPerCall = 200
    let json = local.json(began: 0).description
    #expect(json.contains(#""lost": 7"#) && json.contains(#""decoded_samples": 32000"#))
    #expect(json.contains(#""legs_per_call": 2"#) && json.contains(#""rss_kib_per_leg": 100"#))
    #expect(json.contains(#""cpu_ms_per_call_s": 1.5, "cpu_ms_per_leg_s": 0.75"#))
    #expect(local.text.contains("1.50 ms per call and second, 0.75 per leg"))
    var remote = try self.result(["sip:a@b", "--calls", "1"], [self.report(1)])
    remote.cpuPerCallSecond = 1.5
    #expect(remote.text.contains("1.50 ms per call and second, 1.50 per leg"))
  }

  @Test("without keys the first RTP that was heard takes the place of the first under keys")
  func unencrypted() throws {
    let clear = try self.result(["--calls", "1"], [self.report(1) { $0.secure = nil }])
    #expect(clear.text.contains("INVITE to first RTP heard: p50 7.0 ms"))
    let secured = try self.result(["--calls", "1"], [self.report(1)])
    #expect(secured.text.contains("INVITE to first secured RTP: p50 9.0 ms"))
  }

  @Test("a line of progress says how far the calls are and what they do")
  func progress() {
    var totals = CallTotals()
    (totals.established, totals.lost, totals.dropped) = (40, 3, 1)
    let line = LoadProgress.line(
      seconds: 12.7, begun: 43, asked: 100, totals, failed: 2, packets: 1999.6, delay: 420_000, cpu: 0.314)
    #expect(
      line == "12 s  43 of 100 calls, 40 up, 2 failed  1999 packets/s, lost 3, dropped 1  delay p99 0.4 ms  cpu 31 %")
    let answering = LoadProgress.line(
      seconds: 0, begun: 0, asked: nil, CallTotals(), failed: 0, packets: 0, delay: nil, cpu: 0)
    #expect(answering.hasPrefix("0 s  0 calls, 0 up") && answering.contains("delay p99 - ms"))
  }
}
