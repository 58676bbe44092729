internal import UACore

/// Shows how a load goes while it runs: one line that rewrites itself on a terminal, a line every few seconds elsewhere.
struct LoadProgress {
  let agent: UserAgent
  let watch: CallWatch
  let delays: MediaDelays
  /// How many there will be; nil where they come from others.
  let asked: Int?

  /// Seconds between lines where nobody looks at a terminal.
  static let plainPeriod = 5.0
  /// Each call is asked for its figures once in so many steps of a fifth of a second: asking all at once would delay media.
  private static let parts = 10

  /// Runs until the task is cancelled.
  func run() async {
    let terminal = Terminal()
    var line = StatusLine(terminal: terminal)
    var meter = Meter()
    var (part, nextPlain) = (0, Clock.now + Self.plainPeriod)
    while !Task.isCancelled {
      let totals = await self.agent.callTotals(asking: part, of: Self.parts)
      part = (part + 1) % Self.parts
      try? await Task.sleep(for: .milliseconds(200))
      guard !Task.isCancelled else { break }
      if terminal.isInteractive {
        line.update(await self.text(totals, &meter))
      } else if Clock.now >= nextPlain {
        nextPlain += Self.plainPeriod
        StandardError.write(await self.text(totals, &meter) + "\n")
      }
    }
    line.clear()
  }

  private func text(_ totals: CallTotals, _ meter: inout Meter) async -> String {
    let received = self.delays.receive.counts
    let (begun, failed) = await (self.watch.begun, self.watch.failed)
    let (packets, cpu) = meter.step(packets: received.total)
    return Self.line(
      seconds: meter.elapsed, begun: begun, asked: self.asked, totals, failed: failed, packets: packets,
      delay: received.value(at: 0.99), cpu: cpu)
  }

  /// - Parameters:
  ///   - packets: received in a second.
  ///   - delay: nanoseconds that 99 of a hundred packets waited at most.
  ///   - cpu: processors in use.
  static func line(
    seconds: Double, begun: Int, asked: Int?, _ totals: CallTotals, failed: Int, packets: Double, delay: Int64?,
    cpu: Double
  ) -> String {
    let calls = asked.map { "\(begun) of \($0) calls" } ?? "\(begun) calls"
    return "\(Int(seconds)) s  \(calls), \(totals.established) up, \(failed) failed  \(Int(packets)) packets/s, "
      + "lost \(totals.lost), dropped \(totals.dropped)  delay p99 \(decimal(delay.map { Double($0) / 1e6 })) ms  "
      + "cpu \(Int((cpu * 100).rounded())) %"
  }

  /// What happened since the last look.
  private struct Meter {
    private let began = Clock.now
    private var last = (time: Clock.now, packets: 0, cpu: ProcessUsage.now.cpu)

    var elapsed: Double { Clock.now - self.began }

    mutating func step(packets: Int) -> (packets: Double, cpu: Double) {
      let now = (time: Clock.now, packets: packets, cpu: ProcessUsage.now.cpu)
      defer { self.last = now }
      let seconds = max(now.time - self.last.time, 0.001)
      return (Double(now.packets - self.last.packets) / seconds, (now.cpu - self.last.cpu) / seconds)
    }
  }
}
