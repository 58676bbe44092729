import NetBase
import RTPStack
import Testing

@Suite struct TelephoneEventTests {
  private typealias Output = TelephoneEventSender.Output

  /// Sends `keys` and returns what each tick gave.
  private func send(_ keys: String, milliseconds: Int = 100, ticks: Int = 400) -> [Output?] {
    var sender = TelephoneEventSender(clockRate: 8000)
    for key in keys {
      let event = TelephoneEvent(digit: key)
      #expect(event.map { sender.enqueue($0, milliseconds: milliseconds) } == true)
    }
    return (0..<ticks).map { sender.tick(timestamp: UInt32(1000 + $0 * 160), samples: 160) }
  }

  /// What is heard of packets that come in this order; they were sent in that of their ticks.
  private func hear(_ outputs: [(Int, Output)]) -> [TelephoneEventReceiver.Report] {
    var receiver = TelephoneEventReceiver(clockRate: 8000)
    var reports: [TelephoneEventReceiver.Report] = []
    var newest = 0
    for (tick, output) in outputs {
      let isReordered = tick < newest
      newest = max(newest, tick)
      let now = Instant.milliseconds(Double(tick) * 20)
      receiver.timeout(now: now)
      while let report = receiver.poll() { reports.append(report) }
      let payload = [UInt8].written(4) { room in
        output.payload.write(into: &room, at: 0)
        return 4
      }
      unsafe receiver.receive(payload.span.bytes, timestamp: output.timestamp, isReordered: isReordered, now: now)
      while let report = receiver.poll() { reports.append(report) }
    }
    receiver.timeout(now: .milliseconds(1e9))
    while let report = receiver.poll() { reports.append(report) }
    return reports
  }

  @Test("keys and codes are those of RFC 4733 §3.2")
  func codes() {
    for (code, key) in "0123456789*#ABCD!".enumerated() {
      #expect(TelephoneEvent(digit: key) == TelephoneEvent(code: UInt8(code)))
      #expect(TelephoneEvent(code: UInt8(code)).digit == key)
    }
    #expect(TelephoneEvent(digit: "d")?.code == 15)
    #expect(TelephoneEvent(digit: "x") == nil && TelephoneEvent(digit: "٣") == nil)
    #expect(TelephoneEvent(code: 99).digit == nil)
  }

  @Test("an event grows each tick, keeps its timestamp, marks its first packet, ends three times (§2.5.1)")
  func shape() {
    let sent = self.send("5", ticks: 20).compactMap { $0 }
    #expect(sent.map(\.payload.duration) == [160, 320, 480, 640, 800, 800, 800])
    #expect(sent.map(\.payload.isEnd) == [false, false, false, false, true, true, true])
    #expect(sent.map(\.marker) == [true] + Array(repeating: false, count: 6))
    #expect(sent.allSatisfy { $0.timestamp == 1000 && $0.payload.volume == 10 && $0.payload.event.code == 5 })
  }

  @Test("at another clock rate, what is sent and what waits goes on for as long as it would have")
  func clockChange() {
    var sender = TelephoneEventSender(clockRate: 8000)
    for key in "56" { #expect(TelephoneEvent(digit: key).map { sender.enqueue($0) } == true) }
    var sent = (0..<2).map { sender.tick(timestamp: UInt32(1000 + $0 * 160), samples: 160) }
    sender.change(clockRate: 48_000)
    sent += (0..<17).map { sender.tick(timestamp: UInt32(1320 + $0 * 960), samples: 960) }
    let (first, second) = (sent.prefix(7).compactMap { $0 }, sent.dropFirst(7).compactMap { $0 })
    #expect(first.map(\.payload.duration) == [160, 320, 2880, 3840, 4800, 4800, 4800])
    #expect(first.map(\.payload.isEnd) == [false, false, false, false, true, true, true])
    #expect(first.allSatisfy { $0.timestamp == 1000 && $0.payload.event.code == 5 })
    #expect(second.map(\.payload.duration) == [960, 1920, 2880, 3840, 4800, 4800, 4800])
    #expect(second.allSatisfy { $0.payload.event.code == 6 })
  }

  @Test("an event that is interrupted is over, before its end and at it; what waits comes after a gap")
  func interruption() {
    for ticks in [2, 6] {
      var sender = TelephoneEventSender(clockRate: 8000)
      for key in "56" { #expect(TelephoneEvent(digit: key).map { sender.enqueue($0) } == true) }
      for tick in 0..<ticks { #expect(sender.tick(timestamp: UInt32(1000 + tick * 160), samples: 160) != nil) }
      sender.interrupt()
      sender.interrupt()
      #expect(!sender.isSending && !sender.isIdle)
      let rest = (0..<20).compactMap { sender.tick(timestamp: UInt32(90_000 + $0 * 160), samples: 160) }
      #expect(rest.first?.marker == true && rest.allSatisfy { $0.payload.event.code == 6 && $0.timestamp >= 90_000 })
      #expect(rest.count { $0.payload.isEnd } == 3)
    }
  }

  @Test("the payload's bytes are those of §2.3")
  func wire() {
    let payload = TelephoneEventPayload(event: TelephoneEvent(code: 11), isEnd: true, volume: 10, duration: 0x0320)
    let wire = [UInt8].written(4) { room in
      payload.write(into: &room, at: 0)
      return 4
    }
    #expect(wire == bytes("0B8A0320"))
    #expect(wire.withRawSpan { TelephoneEventPayload($0) } == payload)
    #expect(bytes("0B8A03").withRawSpan { TelephoneEventPayload($0) } == nil)
  }

  @Test("events come one after the other, with a gap of audio between them")
  func gaps() {
    let ticks = self.send("12", ticks: 30)
    let starts = ticks.indices.filter { ticks[$0]?.marker == true }
    #expect(starts.count == 2)
    #expect(ticks[7..<9].allSatisfy { $0 == nil })
    #expect(self.hear(ticks.enumerated().compactMap { tick, output in output.map { (tick, $0) } }).count == 4)
  }

  @Test("a short event lasts the minimum, a pressed one until its release, and the queue is bounded")
  func durations() {
    #expect(self.send("1", milliseconds: 0, ticks: 20).compactMap { $0?.payload.duration }.max() == 480)
    var sender = TelephoneEventSender(clockRate: 8000)
    let pressed = sender.press(TelephoneEvent(code: 1))
    #expect(pressed)
    for tick in 0..<50 { #expect(sender.tick(timestamp: UInt32(tick * 160), samples: 160)?.payload.isEnd == false) }
    sender.release()
    #expect(sender.tick(timestamp: 0, samples: 160)?.payload.isEnd == true)
    #expect(sender.isSending && !sender.isIdle)
    for _ in 0..<TelephoneEventSender.queueLimit {
      let accepted = sender.enqueue(TelephoneEvent(code: 2))
      #expect(accepted)
    }
    let refused = sender.enqueue(TelephoneEvent(code: 2))
    #expect(!refused)
  }

  @Test("each event is reported once, whatever is lost, repeated or reordered", arguments: Array(UInt64(0)..<40))
  func losses(_ seed: UInt64) {
    var random = SeededRandom(seed)
    let keys = "0123456789*#ABCD"
    var outputs: [(Int, Output)] = []
    for (tick, output) in self.send(keys).enumerated() {
      guard let output else { continue }
      if Double.random(in: 0..<1, using: &random) < 0.2 { continue }
      outputs.append((tick, output))
      if Double.random(in: 0..<1, using: &random) < 0.2 { outputs.append((tick, output)) }
      if outputs.count > 1, Double.random(in: 0..<1, using: &random) < 0.1 {
        outputs.swapAt(outputs.count - 1, outputs.count - 2)
      }
    }
    let reports = self.hear(outputs)
    var expected: [String] = []
    for key in keys { expected += ["+\(key)", "-\(key)"] }
    let heard = reports.map { report in
      switch report {
      case .started(let event): "+\(event.digit ?? "?")"
      case .ended(let event, _): "-\(event.digit ?? "?")"
      }
    }
    #expect(heard == expected)
  }

  @Test("one end packet alone reports start and end with the duration")
  func onlyEnd() {
    let end = self.send("7", ticks: 20).compactMap { $0 }.suffix(1)
    let event = TelephoneEvent(code: 7)
    #expect(self.hear(end.map { (0, $0) }) == [.started(event), .ended(event, milliseconds: 100)])
  }

  @Test("timestamps that begin anew within one source begin an event; only what is reordered is of an earlier one")
  func earlierTimestamp() {
    var receiver = TelephoneEventReceiver(clockRate: 8000)
    func hear(_ timestamp: UInt32, code: UInt8, isReordered: Bool) -> [TelephoneEventReceiver.Report] {
      [code, 0x8A, 3, 0x20].withRawSpan {
        receiver.receive($0, timestamp: timestamp, isReordered: isReordered, now: .milliseconds(0))
      }
      var reports: [TelephoneEventReceiver.Report] = []
      while let report = receiver.poll() { reports.append(report) }
      return reports
    }
    #expect(hear(80_000, code: 5, isReordered: false).count == 2)
    #expect(hear(70_000, code: 4, isReordered: true).isEmpty, "the end of the event before, late")
    #expect(hear(1_000, code: 6, isReordered: false).first == .started(TelephoneEvent(code: 6)))
  }

  @Test("without any end packet, the event ends by time, and the next event ends it too")
  func noEnd() {
    let one = self.send("1", ticks: 20).compactMap { $0 }.prefix(3)
    let event = TelephoneEvent(code: 1)
    #expect(self.hear(one.map { (0, $0) }) == [.started(event), .ended(event, milliseconds: 60)])
    let two = self.send("12", ticks: 30).compactMap { $0 }
    let reports = self.hear(([two[0], two[1]] + two.suffix(2)).map { (0, $0) })
    let next = TelephoneEvent(code: 2)
    #expect(
      reports == [
        .started(event), .ended(event, milliseconds: 40), .started(next), .ended(next, milliseconds: 100),
      ])
  }

  @Test("an event longer than its field goes on in segments and is one event (§2.5.1.3)")
  func segments() {
    let sent = self.send("9", milliseconds: 20_000, ticks: 1100).enumerated().compactMap { tick, output in
      output.map { (tick, $0) }
    }
    let timestamps: [UInt32] = Set(sent.map(\.1.timestamp)).sorted()
    #expect(timestamps == [1000, 66_535, 132_070])
    #expect(sent.filter(\.1.marker).count == 1)
    #expect(sent.filter(\.1.payload.isEnd).count == 3)
    let event = TelephoneEvent(code: 9)
    #expect(self.hear(sent) == [.started(event), .ended(event, milliseconds: 20_000)])
  }
}

@Suite struct MOSEstimateTests {
  @Test(
    "a clean call is good, and loss and delay cost what G.107 says",
    arguments: [
      (0.0, 0.0, 4.40...4.42), (0, 20, 4.38...4.41), (5, 20, 3.90...3.91), (20, 20, 2.60...2.61), (0, 400, 3.0...3.6),
      (100, 0, 1.0...1.2), (-5, -5, 4.40...4.42), (.nan, 0, 1.0...1.2),
    ])
  func scores(_ loss: Double, _ delay: Double, _ range: ClosedRange<Double>) {
    let estimate = MOSEstimate(codec: .g711, lossPercentage: loss, oneWayDelay: delay)
    #expect(range.contains(estimate.score), "\(estimate)")
  }

  @Test("the score never rises with loss or delay, and stays between 1.0 and 4.5")
  func monotonic() {
    for codec in [MOSEstimate.Codec.g711, .opus] {
      for delay in stride(from: 0.0, through: 1000, by: 50) {
        let scores = stride(from: 0.0, through: 100, by: 2).map {
          MOSEstimate(codec: codec, lossPercentage: $0, oneWayDelay: delay).score
        }
        #expect(zip(scores, scores.dropFirst()).allSatisfy { $0 >= $1 - 1e-9 })
        #expect(scores.allSatisfy { (1.0...4.5).contains($0) })
      }
    }
  }
}
