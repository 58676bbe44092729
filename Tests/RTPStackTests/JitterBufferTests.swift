import NetBase
import RTPStack
import Testing

/// A packet on its way to the receiver.
struct Sent {
  var sequence: Int
  var timestamp: Int
  var arrival: Double
  var marker = false
  var samples = 160
}

/// Plays a stream as a transport does: a queue of samples, filled from the buffer at each tick.
struct Playout: ~Copyable {
  var buffer: JitterBuffer
  var played: [Int] = []
  var pops: [JitterBuffer.Pop] = []
  var results: [JitterBuffer.InsertResult] = []
  var wrongPayloads = 0
  var silentTicks = 0
  /// The delays at each tick, in milliseconds.
  var delays: [Double] = []
  private var queued = 0
  private let tick: Int
  private let rate: Int
  private let samplesOf: [UInt16: Int]

  init(mode: JitterMode, rate: Int = 8000, tick: Int = 160, slots: Int = 50, samplesOf: [UInt16: Int] = [:]) {
    self.buffer = JitterBuffer(
      mode: mode, clockRate: rate, packetSamples: tick, slotCount: slots, start: Instant(nanoseconds: 0))
    (self.tick, self.rate, self.samplesOf) = (tick, rate, samplesOf)
  }

  mutating func insert(_ packet: Sent, now: Double) {
    let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: packet.sequence), count: 20 + packet.sequence % 7)
    let header = header(packet.sequence, timestamp: packet.timestamp, marker: packet.marker)
    let result = payload.withRawSpan { self.buffer.insert(header, payload: $0, now: .milliseconds(now)) }
    self.results.append(result)
  }

  mutating func playTick(now: Double) {
    self.queued -= self.tick
    while self.queued < 0 {
      let pop = self.buffer.pop(now: .milliseconds(now))
      self.pops.append(pop)
      switch pop {
      case .packet(let packet):
        self.played.append(Int(packet.sequenceNumber))
        self.wrongPayloads += Self.wrongBytes(in: self.buffer.payload, of: packet.sequenceNumber)
        let samples = self.samplesOf[packet.sequenceNumber] ?? self.tick
        self.buffer.decoded(samples: samples)
        self.queued += samples
      case .missing(let samples), .conceal(let samples), .silence(let samples): self.queued += samples
      case .buffering, .empty:
        self.silentTicks += 1
        self.queued = 0
      }
    }
    self.delays.append(self.buffer.delay(at: .milliseconds(now)))
  }

  private static func wrongBytes(in payload: RawSpan, of sequence: UInt16) -> Int {
    (0..<payload.byteCount).filter { payload.uint8(at: $0) != UInt8(truncatingIfNeeded: sequence) }.count
  }

  /// Runs packets, sorted by arrival, against ticks that start at `start`, until `end`. `drift` stretches the tick.
  mutating func run(_ packets: [Sent], ticksFrom start: Double = 3, until end: Double, drift: Double = 1) {
    let packets = packets.sorted { $0.arrival < $1.arrival }
    var next = 0
    var now = start
    while now < end {
      while next < packets.count, packets[next].arrival <= now {
        self.insert(packets[next], now: packets[next].arrival)
        next += 1
      }
      self.playTick(now: now)
      now += Double(self.tick) / Double(self.rate) * 1000 * drift
    }
  }
}

func stream(_ count: Int, first: Int = 100, interval: Double = 20, samples: Int = 160, start: Double = 0) -> [Sent] {
  (0..<count).map {
    Sent(sequence: first + $0, timestamp: 5000 + $0 * samples, arrival: start + Double($0) * interval, samples: samples)
  }
}

@Suite struct JitterBufferTests {
  static let modes: [JitterMode] = [.off, .fixed(milliseconds: 100...200), .adaptive(milliseconds: 40...200)]

  @Test("a clean stream is played in order and completely", arguments: modes, [100, 65_500])
  func clean(_ mode: JitterMode, _ first: Int) {
    var playout = Playout(mode: mode)
    playout.run(stream(500, first: first), until: 11_000)
    #expect(playout.played == (0..<500).map { (first + $0) % 65_536 })
    #expect(playout.wrongPayloads == 0)
    #expect(playout.buffer.statistics.accounted == 500 && playout.buffer.held == 0)
    #expect(playout.buffer.statistics.missing == 0 && playout.buffer.statistics.late == 0)
  }

  @Test("packets that come together after a pause, a whole buffer apart, are all accounted for", arguments: modes)
  func wholeBufferApart(_ mode: JitterMode) {
    for pause in stride(from: 20.0, through: 1200, by: 20) {
      var playout = Playout(mode: mode, slots: 8)
      playout.run(stream(20, first: 100), until: 400 + pause)
      // One that may take the place of another: by itself, and with a later one.
      for (sequence, isRecovered) in [(127, false), (128, false), (120, false), (121, true), (129, false), (122, true)]
      {
        let packet = Sent(sequence: sequence, timestamp: sequence * 160, arrival: 400 + pause)
        if isRecovered {
          _ = [UInt8(sequence)].withRawSpan {
            playout.buffer.recover(
              header(129, timestamp: 129 * 160), age: UInt32(129 - sequence) * 160, payloadType: 0, payload: $0,
              now: .milliseconds(400 + pause))
          }
        } else {
          playout.insert(packet, now: 400 + pause)
        }
      }
      for tick in 1...100 { playout.playTick(now: 400 + pause + Double(tick) * 20) }
      let counted = playout.buffer.statistics
      #expect(counted.inserted == counted.accounted + UInt64(playout.buffer.held), "after \(pause) ms")
    }
  }

  @Test("test_jbuf: the fixed delay is the lower bound")
  func fixedDelay() {
    var playout = Playout(mode: .fixed(milliseconds: 100...200))
    playout.run(stream(100), until: 1900)
    #expect(playout.silentTicks == 5)
    #expect(playout.delays.last.map { $0 >= 60 && $0 <= 120 } == true)
  }

  @Test("packets of any duration are played completely by a tick of 20 ms", arguments: [80, 160, 240, 320, 480, 960])
  func durations(_ samples: Int) {
    let packets = stream(200, interval: Double(samples) / 8, samples: samples)
    let lengths = Dictionary(uniqueKeysWithValues: packets.map { (UInt16($0.sequence), samples) })
    var playout = Playout(mode: .fixed(milliseconds: 120...300), samplesOf: lengths)
    playout.run(packets, until: 200 * Double(samples) / 8 + 500)
    #expect(playout.played == Array(100..<300))
    #expect(playout.buffer.statistics.underruns == 1, "the end of the stream")
  }

  @Test("a stream that starts as a burst within the maximum loses nothing")
  func startingBurst() {
    var packets = stream(100)
    for index in 0..<10 { packets[index].arrival = 180 }
    var playout = Playout(mode: .fixed(milliseconds: 100...200))
    playout.run(packets, until: 3000)
    #expect(playout.played == Array(100..<200))
  }

  @Test("packets that come before the first tick wait for it")
  func lateListener() {
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(stream(100), ticksFrom: 150, until: 3000)
    #expect(playout.played == Array(100..<200))
  }

  @Test("reordering within the delay is put right, also at the very start")
  func reordering() {
    var packets = stream(200)
    for index in stride(from: 0, to: 196, by: 4) { packets[index].arrival += 55 }
    var playout = Playout(mode: .fixed(milliseconds: 100...200))
    playout.run(packets, until: 5000)
    #expect(playout.played == Array(100..<300))
  }

  @Test("a lost packet is missing, and the one after it is at hand for error correction")
  func loss() {
    var packets = stream(50)
    packets.remove(at: 20)
    var playout = Playout(mode: .fixed(milliseconds: 100...200))
    let sorted = packets
    var next = 0
    var following: UInt8?
    for tick in 0..<70 {
      let now = Double(tick) * 20 + 3
      while next < sorted.count, sorted[next].arrival <= now {
        playout.insert(sorted[next], now: sorted[next].arrival)
        next += 1
      }
      playout.playTick(now: now)
      if case .missing(let samples) = playout.pops.last {
        #expect(samples == 160)
        if let payload = playout.buffer.followingPayload { following = payload.uint8(at: 0) }
      }
    }
    #expect(following == 121)
    #expect(playout.buffer.statistics.missing == 1)
    #expect(playout.played == Array(100..<120) + Array(121..<150))
  }

  @Test("a pause of the sender is silence, not loss")
  func pause() {
    var packets = stream(100)
    for index in 50..<100 {
      packets[index].timestamp += 160 * 30
      packets[index].arrival += 600
    }
    packets[50].marker = true
    var playout = Playout(mode: .fixed(milliseconds: 100...200))
    playout.run(packets, until: 4000)
    #expect(playout.played == Array(100..<200))
    #expect(playout.buffer.statistics.missing == 0)
    #expect(playout.buffer.statistics.resyncs == 0)
    #expect(playout.pops.contains { if case .silence = $0 { true } else { false } })
  }

  @Test("a telephone event's sequence numbers are not missing audio", arguments: [1, 2, 20])
  func events(_ length: Int) {
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    for index in 0..<100 {
      let now = Double(index) * 20
      if (40..<40 + length).contains(index) {
        playout.buffer.note(header(100 + index, timestamp: 5000 + 40 * 160))
      } else {
        playout.insert(Sent(sequence: 100 + index, timestamp: 5000 + index * 160, arrival: now), now: now)
      }
      playout.playTick(now: now + 3)
    }
    for index in 100..<120 { playout.playTick(now: Double(index) * 20 + 3) }
    #expect(playout.played.count == 100 - length)
    #expect(playout.buffer.statistics.missing == 0)
  }

  @Test("a sender that changes the duration of its packets is followed without a gap")
  func changingDuration() {
    var packets: [Sent] = []
    var lengths: [UInt16: Int] = [:]
    var timestamp = 0
    for index in 0..<300 {
      let samples = [480, 240, 160][index / 25 % 3]
      // A packet leaves once its last sample is recorded.
      packets.append(Sent(sequence: index, timestamp: timestamp, arrival: Double(timestamp + samples) / 8))
      lengths[UInt16(index)] = samples
      timestamp += samples
    }
    var playout = Playout(mode: .fixed(milliseconds: 120...300), samplesOf: lengths)
    playout.run(packets, until: Double(timestamp) / 8 + 500)
    #expect(playout.played == Array(0..<300))
    let gaps = playout.pops.dropLast(30).filter {
      switch $0 {
      case .silence, .missing, .conceal: true
      case .packet, .buffering, .empty: false
      }
    }
    #expect(gaps.isEmpty)
  }

  @Test("what the decoder tells of a packet's duration is believed", arguments: [false, true])
  func decodedDuration(_ told: Bool) {
    var buffer = JitterBuffer(
      mode: .fixed(milliseconds: 0...200), clockRate: 8000, packetSamples: 160, start: .milliseconds(0))
    for index in 0..<2 {
      let now = Instant.milliseconds(Double(index) * 30)
      _ = [UInt8](repeating: 0, count: 9).withRawSpan {
        buffer.insert(header(index, timestamp: index * 240), payload: $0, now: now)
      }
      let pop = buffer.pop(now: now)
      let isPacket = if case .packet = pop { true } else { false }
      #expect(isPacket == (index == 0 || told), "30 ms after a packet taken for 20 ms: 10 ms of silence, unless told")
      if told { buffer.decoded(samples: 240) }
    }
  }

  @Test("a delay that a stall has raised goes back in the sender's next pause")
  func pauseAfterStall() {
    var packets = stream(300)
    for index in 50..<59 { packets[index].arrival = 20 * 59 }
    for index in 150..<300 {
      packets[index].timestamp += 160 * 15
      packets[index].arrival += 300
    }
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(packets, until: 7000)
    #expect(playout.played == Array(100..<400))
    #expect(playout.delays[140] > 130)
    #expect(playout.delays[280] <= 85)
  }

  @Test("quiet samples let the adaptive delay come down at once")
  func quiet() {
    var ticks: [Bool: Int] = [:]
    for quiet in [false, true] {
      var buffer = JitterBuffer(
        mode: .adaptive(milliseconds: 40...300), clockRate: 8000, packetSamples: 160, start: .milliseconds(0))
      let payload = [UInt8](repeating: 0, count: 160)
      // A start with 260 ms in hand, then a steady stream.
      for index in 0..<900 {
        let arrival = index < 14 ? 260 : Double(index) * 20
        if index >= 14 {
          _ = buffer.pop(now: .milliseconds(arrival - 1), quiet: quiet)
          if buffer.delay(at: .milliseconds(arrival - 1)) < 100, ticks[quiet] == nil { ticks[quiet] = index }
        }
        _ = payload.withRawSpan {
          buffer.insert(header(index, timestamp: index * 160), payload: $0, now: .milliseconds(arrival))
        }
      }
    }
    #expect(ticks[true].map { $0 < 30 } == true)
    #expect(ticks[false].map { $0 > 200 } == true)
  }

  @Test("more packets than slots drop the oldest, and without delay a lost packet is missing once")
  func slots() {
    var playout = Playout(mode: .off, slots: 20)
    for packet in stream(50) where packet.sequence != 145 { playout.insert(packet, now: 0) }
    #expect(playout.buffer.statistics.overflow == 30)
    for tick in 0..<30 { playout.playTick(now: Double(tick) * 20) }
    #expect(playout.played == Array(130..<145) + Array(146..<150))
    #expect(playout.buffer.statistics.missing == 1)
  }

  @Test(
    "where the slots hold less than the least delay, they are filled and play begins",
    arguments: [JitterMode.fixed(milliseconds: 100...200), .adaptive(milliseconds: 100...200)], [3.0, 17])
  func fewSlots(_ mode: JitterMode, _ start: Double) {
    var playout = Playout(mode: mode, slots: 4)
    playout.run(stream(500), ticksFrom: start, until: 11_000)
    #expect(playout.played == Array(100..<600))
    let statistics = playout.buffer.statistics
    #expect(statistics.overflow == 0 && statistics.stretched == 0 && statistics.skipped == 0)
  }

  @Test("a peer whose packets are so short that the slots hold less than the least delay is heard")
  func shortPackets() {
    let packets = stream(300, interval: 10, samples: 80)
    let lengths = Dictionary(uniqueKeysWithValues: packets.map { (UInt16($0.sequence), 80) })
    var playout = Playout(mode: .fixed(milliseconds: 500...1000), samplesOf: lengths)
    playout.run(packets, until: 4000)
    #expect(playout.played.count > 290, "\(playout.played.count)")
  }

  @Test("without delay, what a burst leaves waiting does not wait for the rest of the call")
  func burstWithoutDelay() {
    var packets = stream(100)
    for index in 0..<10 { packets[index].arrival = 180 }
    var playout = Playout(mode: .off)
    playout.run(packets, ticksFrom: 183, until: 1180)
    #expect(playout.buffer.held <= 3, "\(playout.buffer.held)")
    #expect(playout.buffer.statistics.overflow == 7)
    #expect(playout.played.count == 50)
  }

  @Test("a stall within the maximum costs no packet; the delay grows instead")
  func stall() {
    var packets = stream(200)
    for index in 50..<58 { packets[index].arrival = 20 * 58 }
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(packets, until: 5000)
    #expect(playout.played == Array(100..<300))
    #expect(playout.buffer.statistics.underruns == 2)
  }

  @Test("a stall beyond the maximum drops what is too late and goes on with no more than the maximum delay")
  func longStall() {
    var packets = stream(300)
    for index in 50..<90 { packets[index].arrival = 20 * 90 }
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(packets, until: 7000)
    let statistics = playout.buffer.statistics
    #expect(playout.played.suffix(200) == Array(200..<400)[...])
    #expect(statistics.late + statistics.overflow > 20)
    #expect(statistics.accounted == 300)
    #expect(playout.delays[200] <= 241)
  }

  @Test("a path that becomes slower for good is followed within half a second")
  func slowerPath() {
    var packets = stream(300)
    for index in 100..<300 { packets[index].arrival += 400 }
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(packets, until: 8000)
    #expect(playout.played.suffix(150) == Array(250..<400)[...])
    #expect(playout.buffer.statistics.late < 30)
  }

  @Test(
    "timestamp jumps without a gap in the sequence lose nothing", arguments: [1_000_000, -1_000_000, 2_000_000_000])
  func timestampJump(_ jump: Int) {
    var packets = stream(200)
    for index in 100..<200 { packets[index].timestamp += jump }
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(packets, until: 5000)
    #expect(playout.played == Array(100..<300))
    #expect(playout.buffer.statistics.resyncs == 1)
  }

  @Test("a new source and a sequence that restarts flush what is held, and play goes on")
  func restarts() {
    var playout = Playout(mode: .fixed(milliseconds: 60...200))
    playout.run(stream(50), until: 950)
    playout.run(stream(50, first: 30_000, start: 1000), ticksFrom: 1003, until: 2500)
    #expect(playout.results.filter { $0 == .reset }.count == 1)
    #expect(playout.played.suffix(50) == Array(30_000..<30_050)[...])
    #expect(playout.buffer.statistics.accounted == playout.buffer.statistics.inserted)
  }

  @Test("larger packets get room, the largest are refused, and the footprint is small")
  func room() {
    var buffer = JitterBuffer(
      mode: .fixed(milliseconds: 0...200), clockRate: 8000, packetSamples: 160, start: .milliseconds(0))
    #expect(buffer.footprint < 3_000)
    for (index, size) in [10, 300, 1500, 2048, 2049].enumerated() {
      let payload = [UInt8](repeating: UInt8(index), count: size)
      let result = payload.withRawSpan {
        buffer.insert(header(index, timestamp: index * 160), payload: $0, now: .milliseconds(0))
      }
      #expect(result == (size > 2048 ? .overflow : .queued))
    }
    for size in [10, 300, 1500, 2048] {
      let pop = buffer.pop(now: .milliseconds(100))
      #expect({ if case .packet = pop { true } else { false } }())
      #expect(buffer.payload.byteCount == size)
      let last = buffer.payload.uint8(at: size - 1)
      #expect(Int(last) == [10, 300, 1500, 2048].firstIndex(of: size))
    }
  }

  @Test("room comes with the packets that wait, in whatever order, and each keeps its payload")
  func places() {
    var playout = Playout(mode: .fixed(milliseconds: 0...2000))
    let before = playout.buffer.footprint
    let order = (0..<45).sorted { ($0 % 7, $0) < ($1 % 7, $1) }
    let packets = order.map { Sent(sequence: 100 + $0, timestamp: $0 * 160, arrival: 0) }
    playout.run(packets, until: 1000)
    #expect(playout.played == Array(100..<145))
    #expect(playout.wrongPayloads == 0)
    #expect(playout.buffer.footprint > before && playout.buffer.footprint < 17_000)
  }

  @Test("nothing is reserved after construction while packets stay within their room")
  func noGrowth() {
    var playout = Playout(mode: .adaptive(milliseconds: 40...200))
    let before = playout.buffer.footprint
    playout.run(stream(2000), until: 41_000)
    #expect(playout.buffer.footprint == before)
  }
}
