internal import ModuleKit
internal import UACore

/// Figures in the order of their size: the usual percentiles, and how many are how large, in steps of 1, 2 and 5.
struct Histogram {
  /// Upper ends, which belong to their row, and how many are above the last row's; those between others may be empty.
  let rows: [(to: Double, count: Int)]
  let count: Int
  let p50: Double?
  let p99: Double?
  let p999: Double?
  let max: Double?

  init(_ values: [Double]) {
    let sorted = values.sorted()
    func at(_ share: Double) -> Double? {
      sorted.isEmpty ? nil : sorted[Swift.min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
    (self.count, self.max) = (sorted.count, sorted.last)
    (self.p50, self.p99, self.p999) = (at(0.5), at(0.99), at(0.999))
    self.rows = Self.rows(sorted.map { ($0, 1) })
  }

  /// Of delays, in microseconds.
  init(_ counts: DelayCounts) {
    func at(_ share: Double) -> Double? { counts.value(at: share).map { Double($0) / 1000 } }
    self.count = counts.total
    (self.p50, self.p99, self.p999) = (at(0.5), at(0.99), at(0.999))
    self.max = counts.total > 0 ? Double(counts.longest) / 1000 : nil
    self.rows = Self.rows(counts.steps.map { (Double($0.nanoseconds) / 1000, $0.count) })
  }

  /// Nothing at all; 0.001, 0.002, 0.005, 0.01 and so on.
  private static let steps: [Double] = {
    var steps = [0.0]
    for exponent in -3...9 {
      // A decimal's last digit is right where it is divided by a whole number.
      let power = (0..<abs(exponent)).reduce(1.0) { power, _ in power * 10 }
      for digit in [1.0, 2, 5] { steps.append(exponent < 0 ? digit / power : digit * power) }
    }
    return steps
  }()

  private static func rows(_ weighted: [(value: Double, count: Int)]) -> [(to: Double, count: Int)] {
    var counts = [Int](repeating: 0, count: Self.steps.count)
    for (value, count) in weighted {
      counts[Self.steps.firstIndex { value <= $0 } ?? Self.steps.count - 1] += count
    }
    var rows = counts[0] > 0 ? [(to: 0.0, count: counts[0])] : []
    if let first = counts.dropFirst().firstIndex(where: { $0 > 0 }), let last = counts.lastIndex(where: { $0 > 0 }) {
      rows += (first...last).map { (to: Self.steps[$0], count: counts[$0]) }
    }
    return rows
  }

  var json: JSON {
    func value(_ number: Double?) -> JSON { number.map { .number($0) } ?? .null }
    return [
      "p50": value(self.p50), "p99": value(self.p99), "p999": value(self.p999), "max": value(self.max),
      "histogram": .array(self.rows.map { ["to": .number($0.to), "count": .integer($0.count)] }),
    ]
  }

  /// For people: a line of percentiles, and a bar for each row; empty where there is nothing.
  func text(_ title: String, unit: String) -> String {
    guard self.count > 0 else { return "" }
    let suffix = unit.isEmpty ? "" : " \(unit)"
    func shown(_ value: Double?) -> String { decimal(value) + suffix }
    var lines = [
      "\(title): p50 \(shown(self.p50)), p99 \(shown(self.p99)), p99.9 \(shown(self.p999)), max \(shown(self.max))"
    ]
    let most = self.rows.map(\.count).max() ?? 1
    let ends = self.rows.map { "<= \(Self.short($0.to))\(suffix)" }
    let width = ends.map(\.count).max() ?? 0
    for (row, end) in zip(self.rows, ends) {
      let length = (row.count * Self.longestBar + most - 1) / Swift.max(most, 1)
      let bar = String(repeating: "#", count: length) + String(repeating: " ", count: Self.longestBar - length)
      let padding = String(repeating: " ", count: width - end.count)
      lines.append("  \(padding)\(end)  \(bar)  \(row.count)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let longestBar = 40

  /// A step without zeros behind its last digit.
  private static func short(_ step: Double) -> String { "\(JSON.number(step))" }
}
