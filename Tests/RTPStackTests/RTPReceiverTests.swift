import NetBase
import RTPStack
import Testing

@Suite struct RTPReceiverTests {
  private func feed(_ receiver: inout RTPReceiver, _ sequences: [Int], ssrc: UInt32 = 1) -> [RTPReceiver.Verdict] {
    sequences.map { receiver.receive(header($0, timestamp: $0 * 160, ssrc: ssrc), now: .milliseconds(Double($0) * 20)) }
  }

  @Test("loss, duplicates and reordering are counted (A.1, A.3)")
  func counting() {
    var receiver = RTPReceiver(clockRate: 8000)
    let verdicts = self.feed(&receiver, [10, 11, 13, 12, 13, 12, 16, 17])
    #expect(verdicts == [.accepted, .accepted, .accepted, .accepted, .duplicate, .duplicate, .accepted, .accepted])
    #expect(receiver.expected == 8)
    #expect(receiver.lost == 2)
    #expect(receiver.duplicates == 2)
    #expect(receiver.reordered == 1)
    #expect(receiver.packets == 6)
    let report = receiver.takeReport()
    #expect(report?.fractionLost == 64)
    #expect(report?.cumulativeLost == 2)
    _ = self.feed(&receiver, [18, 19])
    #expect(receiver.takeReport()?.fractionLost == 0)
  }

  @Test("the extended sequence number counts rollovers, and a packet from before the wrap is reordered")
  func wrap() {
    var receiver = RTPReceiver(clockRate: 8000)
    _ = self.feed(&receiver, [65534, 65535, 65537, 65536])
    #expect(receiver.extendedHighest == 65537)
    #expect(receiver.lost == 0)
    #expect(receiver.reordered == 1)
  }

  @Test("packets from before the first are expected after all, so loss is never negative")
  func reorderedStart() {
    var receiver = RTPReceiver(clockRate: 8000)
    _ = self.feed(&receiver, [101, 100, 102, 100])
    #expect(receiver.expected == 3 && receiver.lost == 0 && receiver.duplicates == 1)
  }

  @Test("one packet far away is suspect; two in sequence restart the source")
  func restart() {
    var receiver = RTPReceiver(clockRate: 8000)
    #expect(self.feed(&receiver, [100, 101, 40_000, 102]) == [.accepted, .accepted, .suspect, .accepted])
    #expect(self.feed(&receiver, [40_001]) == [.suspect])
    #expect(self.feed(&receiver, [40_002, 40_003]) == [.restarted, .accepted])
    #expect(receiver.packets == 5)
    #expect(receiver.lost == 0)
  }

  @Test("a new source takes over after two packets in sequence, and not between packets of the old one")
  func newSource() {
    var receiver = RTPReceiver(clockRate: 8000)
    _ = self.feed(&receiver, [1, 2])
    for sequence in 0..<20 {
      #expect(self.feed(&receiver, [500 + sequence], ssrc: 2) == [.suspect])
      #expect(self.feed(&receiver, [3 + sequence]) == [.accepted])
    }
    #expect(self.feed(&receiver, [600, 601, 602], ssrc: 3) == [.suspect, .changedSource, .accepted])
    #expect(receiver.ssrc == 3)
  }

  @Test("probation accepts only after packets in sequence (A.1)")
  func probation() {
    var receiver = RTPReceiver(clockRate: 8000, probation: 1)
    #expect(self.feed(&receiver, [5, 9, 10, 11]) == [.suspect, .suspect, .accepted, .accepted])
  }

  @Test("a packet whose payload nobody understands is not lost, begins no source, and counts as nothing else")
  func passing() {
    var receiver = RTPReceiver(clockRate: 8000)
    #expect(receiver.pass(header(1, timestamp: 0, ssrc: 1)) == nil && receiver.ssrc == nil)
    _ = self.feed(&receiver, [1, 2])
    #expect(
      [3, 5, 4, 5].map { receiver.pass(header($0, timestamp: 7, ssrc: 1)) } == [
        .accepted, .accepted, .accepted, .duplicate,
      ])
    #expect((6...8).map { receiver.pass(header($0, timestamp: 7, ssrc: 2)) } == [nil, nil, nil])
    _ = self.feed(&receiver, [6])
    #expect(receiver.lost == 0 && receiver.expected == 6 && receiver.packets == 3)
    #expect(receiver.duplicates == 0 && receiver.suspects == 0 && receiver.ssrc == 1)
    #expect(receiver.takeReport()?.fractionLost == 0)
  }

  @Test("jitter follows A.8: a constant difference of 16 units converges to it; a steady stream has none")
  func jitter() {
    var steady = RTPReceiver(clockRate: 8000)
    _ = self.feed(&steady, Array(0..<100))
    #expect(steady.jitter == 0)
    var receiver = RTPReceiver(clockRate: 8000)
    for index in 0..<1000 {
      let late = index % 2 == 0 ? 0.0 : 10.0
      _ = receiver.receive(header(index, timestamp: index * 160), now: .milliseconds(Double(index) * 20 + late))
    }
    #expect((78...81).contains(receiver.jitter))
    #expect((9.7...10.1).contains(receiver.jitterInMilliseconds))
    // A jump of the timestamp is not jitter.
    _ = receiver.receive(header(1000, timestamp: 1_000_000_000), now: .milliseconds(20_000))
    #expect((70...81).contains(receiver.jitter))
  }

  @Test("100,000 packets with random numbers cost bounded time")
  func hostile() {
    var random = SeededRandom(4)
    var receiver = RTPReceiver(clockRate: 8000)
    let clock = ContinuousClock()
    let elapsed = clock.measure {
      for index in 0..<100_000 {
        let header = RTPHeader(
          marker: false, payloadType: 0, sequenceNumber: .random(in: 0 ... .max, using: &random),
          timestamp: random.next(),
          ssrc: .random(in: 0..<3, using: &random))
        _ = receiver.receive(header, now: .milliseconds(Double(index)))
      }
    }
    #expect(elapsed < .seconds(5))
    #expect(receiver.packets + receiver.duplicates + receiver.suspects == 100_000)
  }
}
