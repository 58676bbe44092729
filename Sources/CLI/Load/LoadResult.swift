internal import ModuleKit
internal import UACore

/// What a run of `apus load` measured.
struct LoadResult {
  let reports: [CallReport]
  /// Of the other agent, where both are in this process.
  let peerReports: [CallReport]
  /// Calls that there should have been.
  let asked: Int
  private let options: LoadCommand
  /// Milliseconds of this process's CPU for each call and second, while all were up.
  var cpuPerCallSecond: Double?
  /// Whether a signal ended it early.
  var wasInterrupted = false
  /// KiB of resident memory more than before the calls, for each call: what the first call brings for good is in it.
  var residentPerCall: Int?
  /// Seconds that placing the calls took, to the last one's answer; nil where others placed them.
  var placingTime: Double?
  /// Microseconds from the kernel's receive to the packet, decrypted, in the jitter buffer, while all calls were up.
  var receiveDelays = Histogram([])
  /// Microseconds by which frames were played and sent late.
  var tickDelays = Histogram([])

  init(_ options: LoadCommand, reports: [CallReport], peerReports: [CallReport]) {
    (self.options, self.reports, self.peerReports) = (options, reports, peerReports)
    self.asked = options.answer == nil ? options.callCount : reports.count
  }

  var established: Int { self.reports.count { $0.setup != nil } }
  var failed: Int { self.asked - self.reports.count { $0.isGood } }
  var isGood: Bool { self.failed == 0 }

  /// Of each call, in this process.
  private var legsOfCall: Int { self.options.target == nil && self.options.answer == nil ? 2 : 1 }
  private var all: [CallReport] { self.reports + self.peerReports }
  private var lost: Int { self.all.reduce(0) { $0 + $1.media.lost } }
  private var dropped: Int { self.all.reduce(0) { $0 + $1.dropped } }
  private var late: Int { self.all.reduce(0) { $0 + $1.media.late } }
  private var decoded: Int { self.all.reduce(0) { $0 + $1.media.decodedSamples } }
  private var rekeys: Int { self.all.reduce(0) { $0 + $1.media.rekeys } }

  /// Why calls failed, and how many for each reason, the most frequent first.
  var failures: [(reason: String, count: Int)] {
    var counts: [String: Int] = [:]
    for report in self.reports where !report.isGood { counts[self.reason(of: report), default: 0] += 1 }
    let unplaced = self.asked - self.reports.count
    if unplaced > 0 { counts[self.wasInterrupted ? "interrupted before the call" : "not placed"] = unplaced }
    return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
  }

  private func reason(of report: CallReport) -> String {
    if let status = report.status { return "status \(status)" }
    if report.failure != nil { return report.reason }
    if self.wasInterrupted, report.setup == nil { return "interrupted before the answer" }
    if self.wasInterrupted, report.wasTooShortForMedia { return "interrupted before media" }
    return report.setup == nil ? report.reason : "no media both ways"
  }

  /// Takes what was measured while `calls` were up; less than a second of them says nothing.
  mutating func take(cpu: Double, seconds: Double, calls: Int, hasSettled: Bool) {
    guard calls > 0, hasSettled, seconds >= 1 else { return }
    self.cpuPerCallSecond = cpu * 1000 / (Double(calls) * seconds)
  }

  /// Where no call stood it says nothing of calls.
  private var memoryPerCall: Int? { self.established > 0 ? self.residentPerCall : nil }

  /// The error that ends a run in which calls failed; where none was answered, with what the first one met.
  var verdict: Failure {
    if self.established == 0, let failure = self.reports.lazy.compactMap(\.failure).first { return Failure(failure) }
    let reasons = self.failures.map { "\($0.count) × \($0.reason)" }.joined(separator: ", ")
    return Failure(.callFailed, "\(self.failed) of \(self.asked) calls failed: \(reasons)")
  }

  /// The options that make a run cheaper than real calls are.
  var shortcuts: [String] {
    (self.options.shareEncoding ? ["encoding shared (--share-encoding)"] : [])
      + (self.options.skipsDecoding ? ["nothing decoded or played (--no-decode)"] : [])
  }

  private var setups: Histogram { Histogram(self.reports.compactMap(\.setup)) }
  private var secures: Histogram { Histogram(self.reports.compactMap(\.secure)) }
  private var firstMedia: Histogram { Histogram(self.reports.compactMap(\.firstMedia)) }
  private var jitters: Histogram { Histogram(self.answered.map(\.media.jitter)) }
  private var losses: Histogram { Histogram(self.answered.map { Double($0.media.lost) }) }
  private var answered: [CallReport] { self.all.filter { $0.setup != nil } }

  func show(began: Double) {
    if self.options.media.json {
      StandardOutput.print(self.json(began: began))
    } else {
      StandardOutput.write(self.text)
    }
  }

  /// For people.
  var text: String {
    var lines = ["calls        \(self.asked) asked, \(self.established) established, \(self.failed) failed"]
    for failure in self.failures { lines.append("failed       \(failure.count): \(failure.reason)") }
    let decoded = self.options.skipsDecoding ? "" : ", decoded \(self.decoded) samples"
    lines.append("media        lost \(self.lost), late \(self.late), dropped \(self.dropped)\(decoded)")
    if self.rekeys > 0 { lines.append("re-keyed     \(self.rekeys) times, all legs together") }
    if let cpu = self.cpuPerCallSecond {
      lines.append(
        "cpu          \(hundredths(cpu)) ms per call and second, \(hundredths(cpu / Double(self.legsOfCall))) per leg")
    } else if self.options.answer == nil, self.established > 0 {
      lines.append("cpu          -: too little was measured")
    }
    if let resident = self.memoryPerCall {
      lines.append("memory       \(resident) KiB per call, \(resident / self.legsOfCall) per leg")
    }
    for shortcut in self.shortcuts { lines.append("shortcut     \(shortcut)") }
    if self.options.singlePort { lines.append("ports        one for each thread and agent (--single-port)") }
    return lines.joined(separator: "\n") + "\n"
      + self.setups.text("INVITE to answer", unit: "ms")
      + (self.secures.count > 0
        ? self.secures.text("INVITE to first secured RTP", unit: "ms")
        : self.firstMedia.text("INVITE to first RTP heard", unit: "ms"))
      + self.receiveDelays.text("kernel's receive to packet handed on", unit: "µs")
      + self.tickDelays.text("frame due to frame begun", unit: "µs")
      + self.jitters.text("jitter of a leg", unit: "ms")
      + self.losses.text("packets lost by a leg", unit: "")
  }

  func json(began: Double) -> JSON {
    let usage = ProcessUsage.now
    let cpu = self.cpuPerCallSecond
    let handshakes = self.reports.count { $0.dtlsVersion != nil }
    return [
      "ok": .bool(self.isGood), "wall_s": .number(Clock.now - began), "cpu_s": .number(usage.cpu),
      "max_rss_kib": .integer(usage.maximumResident),
      "summary": [
        "calls": .integer(self.asked), "established": .integer(self.established), "failed": .integer(self.failed),
        "failures": .array(self.failures.map { ["reason": .string($0.reason), "count": .integer($0.count)] }),
        "share_encoding": .bool(self.options.shareEncoding), "decode": .bool(!self.options.skipsDecoding),
        "single_port": .bool(self.options.singlePort),
        "legs_per_call": .integer(self.legsOfCall),
        "cpu_ms_per_call_s": cpu.map { .number($0) } ?? .null,
        "cpu_ms_per_leg_s": cpu.map { .number($0 / Double(self.legsOfCall)) } ?? .null,
        "rss_kib_per_call": self.memoryPerCall.map { .integer($0) } ?? .null,
        "rss_kib_per_leg": self.memoryPerCall.map { .integer($0 / self.legsOfCall) } ?? .null,
        "lost": .integer(self.lost), "late": .integer(self.late), "dropped": .integer(self.dropped),
        "decoded_samples": .integer(self.decoded), "rekeys": .integer(self.rekeys),
        "setup_ms": self.setups.json, "secure_ms": self.secures.json, "media_ms": self.firstMedia.json,
        "rx_delay_us": self.receiveDelays.json, "tick_delay_us": self.tickDelays.json,
        "jitter_ms": self.jitters.json, "lost_per_leg": self.losses.json,
        "handshakes_per_s": self.placingTime.map { .number(Double(handshakes) / max($0, 0.001)) } ?? .null,
      ],
      "calls": .array(self.all.count <= 100 ? self.all.map(\.json) : []),
    ]
  }
}

/// Two decimals.
private func hundredths(_ value: Double) -> String {
  let digits = "\(Int((value * 100).rounded()) % 100)"
  return "\(Int((value * 100).rounded()) / 100).\(digits.count < 2 ? "0" : "")\(digits)"
}
