internal import ModuleKit
internal import Testing
internal import UACore

@testable internal import CLI

@Suite("histogram")
struct HistogramTests {
  @Test("each figure is in the row whose end is the next of 1, 2, 5")
  func rows() {
    let histogram = Histogram([0.4, 1, 1.1, 2, 2.1, 4.9, 5, 30])
    #expect(histogram.rows.map(\.to) == [0.5, 1, 2, 5, 10, 20, 50])
    #expect(histogram.rows.map(\.count) == [1, 1, 2, 3, 0, 0, 1])
    #expect(histogram.count == 8 && histogram.max == 30)
  }

  @Test("nothing at all has a row of its own, before the smallest that occurs")
  func zeros() {
    let histogram = Histogram([0, 0, 0, 3])
    #expect(histogram.rows.map(\.to) == [0, 5])
    #expect(histogram.rows.map(\.count) == [3, 1])
  }

  @Test("without figures there are no percentiles, no rows, no text")
  func empty() {
    let histogram = Histogram([])
    #expect(
      histogram.json.description == #"{"p50": null, "p99": null, "p999": null, "max": null, "histogram": []}"#)
    #expect(histogram.text("title", unit: "ms") == "")
  }

  @Test("percentiles are figures that occurred")
  func percentiles() {
    let histogram = Histogram((1...1000).map { Double($0) })
    #expect(histogram.p50 == 501 && histogram.p99 == 991 && histogram.p999 == 1000)
  }

  @Test("people see a bar for each row, the longest one for the most")
  func text() {
    let text = Histogram([1, 1, 1, 1, 4]).text("delay", unit: "ms")
    let lines = text.split(separator: "\n").map(String.init)
    #expect(lines[0] == "delay: p50 1.0 ms, p99 4.0 ms, p99.9 4.0 ms, max 4.0 ms")
    #expect(lines[1] == "  <= 1 ms  \(String(repeating: "#", count: 40))  4")
    #expect(lines[2] == "  <= 2 ms  \(String(repeating: " ", count: 40))  0")
    #expect(lines[3] == "  <= 5 ms  \(String(repeating: "#", count: 10))\(String(repeating: " ", count: 30))  1")
    #expect(lines.count == 4)
  }

  @Test("a tally's delays are shown in microseconds")
  func delays() throws {
    let tally = DelayTally(stripes: 2)
    for index in 0..<100 { tally.stripe(index).count(index == 0 ? 3_000_000 : 40_000) }
    let histogram = Histogram(tally.counts)
    #expect(histogram.count == 100 && histogram.max == 3000)
    #expect(histogram.rows.first?.to == 50 && histogram.rows.first?.count == 99)
    #expect(histogram.rows.last?.to == 5000 && histogram.rows.last?.count == 1)
    let middle = try #require(histogram.p50)
    #expect(40...44 ~= middle)
  }
}
