internal import ModuleKit
internal import UACore

/// What a run of `apus load` measured.
struct LoadResult {
  let reports: [CallReport]
  let peerReports: [CallReport]
  let asked: Int
  /// Milliseconds of this process's CPU for each call and second, while all were up.
  let cpuPerCallSecond: Double?
  /// KiB of resident memory more than before the calls, for each call: what the first call brings for good is in it.
  let residentPerCall: Int
  /// Of each call, in this process.
  let legs: Int
  /// Seconds that placing the calls took.
  let placingTime: Double

  var established: Int { self.reports.count { $0.setup != nil } }
  var failed: Int { self.asked - self.reports.count { $0.isGood } }
  var isGood: Bool { self.failed == 0 }

  private var lost: Int { (self.reports + self.peerReports).reduce(0) { $0 + $1.media.lost } }
  private var drops: Int { (self.reports + self.peerReports).reduce(0) { $0 + $1.media.drops.total } }

  func show(json: Bool, began: Double) {
    let setups = Percentiles(self.reports.compactMap(\.setup))
    guard json else {
      print("calls        \(self.asked) asked, \(self.established) established, \(self.failed) failed")
      print("media        lost \(self.lost), dropped \(self.drops)")
      let (p50, p99, max) = (decimal(setups.p50), decimal(setups.p99), decimal(setups.max))
      print("set-up       p50 \(p50) ms, p99 \(p99) ms, max \(max) ms")
      if let cpu = self.cpuPerCallSecond { print("cpu          \(decimal(cpu)) ms per call and second") }
      print("memory       \(self.residentPerCall) KiB per call, \(self.residentPerCall / self.legs) per leg")
      return
    }
    let usage = ProcessUsage.now
    let all = self.reports + self.peerReports
    let object: JSON = [
      "ok": .bool(self.isGood), "wall_s": .number(Clock.now - began), "cpu_s": .number(usage.cpu),
      "max_rss_kib": .integer(usage.maximumResident),
      "summary": [
        "calls": .integer(self.asked), "established": .integer(self.established), "failed": .integer(self.failed),
        "cpu_ms_per_call_s": self.cpuPerCallSecond.map { .number($0) } ?? .null,
        "rss_kib_per_call": .integer(self.residentPerCall),
        "rss_kib_per_leg": .integer(self.residentPerCall / self.legs),
        "lost": .integer(self.lost), "dropped": .integer(self.drops),
        "setup_ms": setups.json, "rx_delay_us": .null,
        "handshakes_per_s": .number(
          Double(self.reports.count { $0.dtlsVersion != nil }) / max(self.placingTime, 0.001)),
      ],
      "calls": .array(all.count <= 100 ? all.map(\.json) : []),
    ]
    print(object)
  }
}

/// Order statistics of some figures.
struct Percentiles {
  private let sorted: [Double]

  init(_ values: [Double]) { self.sorted = values.sorted() }

  var p50: Double? { self.at(0.5) }
  var p99: Double? { self.at(0.99) }
  var p999: Double? { self.at(0.999) }
  var max: Double? { self.sorted.last }

  private func at(_ share: Double) -> Double? {
    guard !self.sorted.isEmpty else { return nil }
    return self.sorted[min(self.sorted.count - 1, Int(Double(self.sorted.count) * share))]
  }

  var json: JSON {
    func value(_ number: Double?) -> JSON { number.map { .number($0) } ?? .null }
    return ["p50": value(self.p50), "p99": value(self.p99), "p999": value(self.p999), "max": value(self.max)]
  }
}
