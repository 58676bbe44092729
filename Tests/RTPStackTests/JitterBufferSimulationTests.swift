import NetBase
import RTPStack
import Testing

@Suite struct JitterBufferSimulationTests {
  private func disturbed(
    _ count: Int, seed: UInt64, loss: Double, jitter: Double, duplicates: Double
  ) -> (packets: [Sent], lost: Int) {
    var random = SeededRandom(seed)
    var packets: [Sent] = []
    var lost = 0
    for packet in stream(count, first: 65_000) {
      if Double.random(in: 0..<1, using: &random) < loss {
        lost += 1
        continue
      }
      var copy = packet
      copy.arrival += Double.random(in: 0...jitter, using: &random)
      packets.append(copy)
      if Double.random(in: 0..<1, using: &random) < duplicates {
        copy.arrival += Double.random(in: 0...jitter, using: &random)
        packets.append(copy)
      }
    }
    return (packets, lost)
  }

  @Test(
    "every packet handed in is played or counted, in order, each once",
    arguments: JitterBufferTests.modes, Array(UInt64(1)...12))
  func conservation(_ mode: JitterMode, _ seed: UInt64) {
    let (packets, _) = self.disturbed(
      1500, seed: seed, loss: Double(seed % 4) * 0.05, jitter: Double(seed) * 30, duplicates: 0.05)
    var playout = Playout(mode: mode)
    playout.run(packets, until: 1500 * 20 + 2000)
    let statistics = playout.buffer.statistics
    #expect(statistics.inserted == UInt64(packets.count))
    #expect(playout.buffer.held == 0)
    #expect(statistics.accounted == statistics.inserted)
    #expect(statistics.played == UInt64(playout.played.count))
    #expect(playout.wrongPayloads == 0)
    let unwrapped = playout.played.map { $0 < 30_000 ? $0 + 65_536 : $0 }
    #expect(zip(unwrapped, unwrapped.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test("jitter within the fixed delay costs nothing", arguments: Array(UInt64(1)...8))
  func withinDelay(_ seed: UInt64) {
    let (packets, lost) = self.disturbed(1500, seed: seed, loss: 0.03, jitter: 70, duplicates: 0.02)
    var playout = Playout(mode: .fixed(milliseconds: 100...200))
    playout.run(packets, until: 1500 * 20 + 2000)
    #expect(playout.played.count == 1500 - lost)
    #expect(playout.buffer.statistics.late == 0)
  }

  @Test("test_jbuf_adaptive: the adaptive delay follows the jitter up and down")
  func adaptive() {
    var random = SeededRandom(9)
    var packets = stream(6000)
    for index in packets.indices {
      let jitter = (1500..<3000).contains(index) ? 120.0 : 5
      packets[index].arrival += Double.random(in: 0...jitter, using: &random)
    }
    var playout = Playout(mode: .adaptive(milliseconds: 20...300))
    playout.run(packets, until: 6000 * 20)
    let calm = playout.delays[1000..<1400].reduce(0, +) / 400
    let rough = playout.delays[2500..<2900].reduce(0, +) / 400
    let after = playout.delays[5500..<5900].reduce(0, +) / 400
    #expect(calm < 50, "calm \(calm)")
    #expect(rough > 90 && rough < 200, "rough \(rough)")
    #expect(after < 60, "after \(after)")
    #expect(playout.buffer.statistics.skipped > 0)
    let statistics = playout.buffer.statistics
    #expect(statistics.late < 80, "late \(statistics.late)")
    #expect(statistics.accounted + UInt64(playout.buffer.held) == statistics.inserted)
  }

  @Test("clocks that drift apart cost a packet now and then, never a run of them", arguments: [0.999, 1.001])
  func drift(_ drift: Double) {
    for mode in [JitterMode.fixed(milliseconds: 60...120), .adaptive(milliseconds: 40...120)] {
      var playout = Playout(mode: mode)
      playout.run(stream(9000), until: 9000 * 20, drift: drift)
      let statistics = playout.buffer.statistics
      // A tenth of a per cent of 180 s is 180 ms: nine packets.
      #expect(statistics.overflow + statistics.skipped + statistics.late <= 12, "\(mode) \(statistics)")
      #expect(statistics.underruns + statistics.stretched <= 14, "\(mode) \(statistics)")
      #expect(playout.delays.max() ?? 0 < 170, "\(mode)")
    }
  }

  @Test(
    "100,000 packets with random sequence numbers and timestamps cost bounded time", arguments: JitterBufferTests.modes)
  func hostile(_ mode: JitterMode) {
    var random = SeededRandom(10)
    var buffer = JitterBuffer(mode: mode, clockRate: 8000, packetSamples: 160, start: .milliseconds(0))
    let payload = [UInt8](repeating: 1, count: 100)
    let elapsed = ContinuousClock().measure {
      for index in 0..<100_000 {
        let near = index % 3 == 0
        let header = header(
          near ? index : Int.random(in: 0..<65_536, using: &random),
          timestamp: near ? index * 160 : Int.random(in: 0..<4_294_967_296, using: &random),
          ssrc: index % 1000 == 0 ? 2 : 1)
        let now = Instant.milliseconds(Double(index) * 0.7)
        _ = payload.withRawSpan { buffer.insert(header, payload: $0, now: now) }
        if index % 4 == 0 { _ = buffer.pop(now: now) }
      }
    }
    #expect(elapsed < .seconds(10))
    #expect(buffer.statistics.accounted + UInt64(buffer.held) == 100_000)
  }
}
