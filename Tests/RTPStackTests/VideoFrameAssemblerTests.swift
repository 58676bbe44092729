import NetBase
import RTPStack
import Testing

@Suite("Frame assembler") struct VideoFrameAssemblerTests {
  /// What an assembler is fed with, in milliseconds.
  private final class Feed {
    private(set) var assembler: FrameAssembler
    var frames: [AssembledFrame] = []

    init(capacity: Int = 64, asksForLost: Bool = false) {
      self.assembler = FrameAssembler(capacity: capacity)
      self.assembler.asksForLost = asksForLost
    }

    /// A packet: `k` of a key frame, `b` begins its frame, `m` with the marker, `p` padding.
    func put(_ payload: [UInt8], _ header: RTPHeader) {
      payload.withRawSpan {
        self.assembler.insert(header, payload: $0, beginsFrame: true, isOfKeyFrame: true, now: .milliseconds(0))
      }
    }

    func put(_ sequence: Int, _ timestamp: Int, _ marks: String = "", at time: Double = 0) {
      let payload: [UInt8] = marks.contains("p") ? [] : [UInt8(truncatingIfNeeded: sequence), 1, 2]
      payload.withRawSpan { span in
        self.assembler.insert(
          header(sequence, timestamp: timestamp, marker: marks.contains("m")), payload: span,
          beginsFrame: marks.contains("b"), isOfKeyFrame: marks.contains("k"), now: .milliseconds(time))
      }
    }

    func pass(to time: Double) { self.timeout(now: .milliseconds(time)) }
    func timeout(now: Instant) { self.assembler.timeout(now: now) }

    /// Timestamps of the frames that are there now.
    func take(releasing: Bool = true) -> [UInt32] {
      var timestamps: [UInt32] = []
      while let frame = self.assembler.nextFrame() {
        timestamps.append(frame.timestamp)
        self.frames.append(frame)
        if releasing { self.assembler.release(frame) }
      }
      return timestamps
    }

    func missing(at time: Double, roundTrip: Duration? = .milliseconds(30)) -> [UInt16] {
      var numbers: [UInt16] = []
      self.assembler.takeMissing(now: .milliseconds(time), roundTrip: roundTrip) { numbers.append($0) }
      return numbers
    }

    var statistics: FrameAssemblerStatistics { self.assembler.statistics }
    var nextDeadline: Instant? { self.assembler.nextDeadline }
    func payload(of sequence: Int64) -> [UInt8] { self.assembler.bytes(of: sequence) }
    func nextFrame() -> AssembledFrame? { self.assembler.nextFrame() }
    func release(_ frame: AssembledFrame) { self.assembler.release(frame) }
    func reject(_ frame: AssembledFrame) { self.assembler.reject(frame) }
    func reset() { self.assembler.reset() }

    func wantsKeyFrame(at time: Double) -> Bool { self.assembler.takeKeyFrameRequest(now: .milliseconds(time)) }
  }

  @Test("test_jbuf_video: a buffer for video reorders, and a frame comes when it is complete")
  func video() {
    let feed = Feed()
    feed.put(100, 1, "kb")
    feed.put(102, 1, "km")
    #expect(feed.take() == [])
    feed.put(103, 2, "bm")
    #expect(feed.take() == [])
    feed.put(101, 1, "k")
    #expect(feed.take(releasing: false) == [1, 2])
    #expect(feed.frames[0].isKeyFrame && !feed.frames[1].isKeyFrame)
    #expect(feed.frames[0].sequences.count == 3 && feed.frames[1].sequences.count == 1)
    for (index, sequence) in feed.frames[0].sequences.enumerated() {
      #expect(feed.payload(of: sequence).first == UInt8(100 + index))
    }
    // Nothing of a frame is left when it is released; the one after it is.
    feed.release(feed.frames[0])
    #expect(feed.frames[0].sequences.allSatisfy { feed.payload(of: $0).isEmpty })
    #expect(feed.payload(of: feed.frames[1].sequences.lowerBound).count == 3)
    // Duplicates and packets of a frame that was delivered are counted, and nothing else.
    feed.put(104, 3, "b")
    feed.put(104, 3, "b")
    feed.put(101, 1, "k")
    #expect(feed.statistics.duplicates == 1 && feed.statistics.latePackets == 1)
    feed.put(105, 3, "m")
    #expect(feed.take() == [3])
    #expect(feed.statistics.frames == 3 && feed.statistics.keyFrames == 1)
  }

  @Test("test_jbuf_gnack: the lost packets are asked for, exactly these, again after a round trip, ten times")
  func gnack() {
    let feed = Feed(asksForLost: true)
    feed.put(65_534, 1, "kbm")
    #expect(feed.take() == [1])
    feed.put(1, 2, "", at: 100)
    feed.put(4, 2, "m", at: 101)
    // For mere reordering.
    #expect(feed.nextDeadline == .milliseconds(105) && feed.missing(at: 104) == [])
    feed.put(3, 2, "", at: 104)
    #expect(feed.missing(at: 105) == [65_535, 0])
    #expect(feed.nextDeadline == .milliseconds(106) && feed.missing(at: 106) == [2])
    feed.put(0, 2, "b", at: 130)
    #expect(feed.missing(at: 134) == [] && feed.statistics.recovered == 1)
    #expect(feed.missing(at: 135) == [65_535] && feed.missing(at: 136) == [2])
    // Not more often than every 20 ms, however short the round trip.
    #expect(feed.missing(at: 166, roundTrip: .milliseconds(1)) == [65_535, 2])
    #expect(feed.missing(at: 185.9, roundTrip: .milliseconds(1)) == [])
    var times = 0
    for time in 186...480 where !feed.missing(at: Double(time), roundTrip: .milliseconds(1)).isEmpty { times += 1 }
    #expect(times == 7)
    #expect(feed.nextDeadline == .milliseconds(600))
  }

  @Test("one request lists no more than a packet holds, the oldest first")
  func manyMissing() {
    let feed = Feed(capacity: 512, asksForLost: true)
    feed.put(0, 1, "kbm")
    feed.put(200, 2, "m")
    #expect(feed.missing(at: 5) == Array(1...64))
    #expect(feed.missing(at: 10) == Array(65...128))
    #expect(feed.missing(at: 15) == Array(129...192))
    #expect(feed.missing(at: 20) == Array(193...199))
    #expect(feed.missing(at: 25) == [] && feed.missing(at: 35) == Array(1...64))
  }

  @Test("without requests a gap is given up after the time for reordering, and only a key frame goes on")
  func givenUp() {
    let feed = Feed()
    feed.put(10, 1, "kbm", at: 0)
    feed.put(12, 2, "m", at: 10)
    feed.put(13, 3, "bm", at: 20)
    #expect(feed.take() == [1] && feed.missing(at: 30) == [] && !feed.wantsKeyFrame(at: 30))
    #expect(feed.nextDeadline == .milliseconds(70))
    feed.pass(to: 69)
    #expect(feed.take() == [] && feed.statistics.lostPackets == 0)
    feed.pass(to: 70)
    // It is asked for before the frames behind the gap were looked at, too.
    #expect(feed.wantsKeyFrame(at: 70) && feed.take() == [])
    #expect(feed.statistics.lostPackets == 1 && feed.statistics.discardedFrames == 2)
    feed.put(11, 2, "b", at: 71)
    #expect(feed.statistics.latePackets == 1)
    #expect(feed.nextDeadline == .milliseconds(370) && !feed.wantsKeyFrame(at: 369))
    #expect(feed.wantsKeyFrame(at: 370) && !feed.wantsKeyFrame(at: 371))
    feed.put(14, 4, "kb", at: 372)
    feed.put(15, 4, "km", at: 373)
    #expect(feed.take() == [4] && !feed.wantsKeyFrame(at: 2000) && feed.nextDeadline == nil)
    // And then the next loss asks at once.
    feed.put(17, 5, "bm", at: 380)
    feed.pass(to: 440)
    #expect(feed.wantsKeyFrame(at: 440))
  }

  @Test("a gap that was asked for is given up when patience runs out")
  func patience() {
    let feed = Feed(asksForLost: true)
    feed.put(10, 1, "kbm", at: 0)
    feed.put(12, 2, "m", at: 10)
    _ = feed.missing(at: 15)
    feed.pass(to: 509)
    #expect(feed.statistics.lostPackets == 0)
    feed.put(11, 2, "b", at: 509)
    #expect(feed.take() == [1, 2])
    feed.put(14, 3, "m", at: 600)
    _ = feed.missing(at: 605)
    feed.pass(to: 1100)
    #expect(feed.statistics.lostPackets == 1 && feed.wantsKeyFrame(at: 1100))
  }

  @Test("a key frame that is on its way is not asked for, unless it stays away or a packet of it is given up")
  func underWay() {
    let feed = Feed()
    feed.put(10, 1, "kb", at: 0)
    #expect(!feed.wantsKeyFrame(at: 0) && feed.nextDeadline == .milliseconds(300))
    feed.put(11, 1, "k", at: 100)
    #expect(!feed.wantsKeyFrame(at: 399) && feed.nextDeadline == .milliseconds(400))
    feed.put(13, 1, "k", at: 399)
    feed.pass(to: 459)
    // What is behind the gap may be another one.
    #expect(feed.statistics.lostPackets == 1 && !feed.wantsKeyFrame(at: 459))
    feed.put(14, 1, "km", at: 460)
    // The two ends of one frame count once.
    #expect(feed.take() == [] && feed.statistics.discardedFrames == 1)
    #expect(feed.wantsKeyFrame(at: 460))

    let other = Feed()
    other.put(10, 1, "kb", at: 0)
    other.put(12, 1, "m", at: 1)
    other.pass(to: 60)
    #expect(!other.wantsKeyFrame(at: 60))
    other.pass(to: 61)
    #expect(other.wantsKeyFrame(at: 61))
  }

  @Test("what a deadline is for is told once, so a caller that does not ask has no deadline in the past")
  func toldOnce() {
    let feed = Feed(asksForLost: true)
    feed.put(10, 1, "kb", at: 0)
    feed.put(12, 1, "m", at: 1)
    var deadlines = 0
    while let deadline = feed.nextDeadline, deadlines < 10 {
      feed.timeout(now: deadline)
      _ = feed.take()
      deadlines += 1
    }
    #expect(deadlines == 3)
  }

  @Test("a frame's beginning is known by what stands before it, or by what the codec says")
  func beginnings() {
    // The first packet of all may be in the middle of its frame.
    let feed = Feed()
    feed.put(10, 1, "km")
    feed.put(11, 2, "k")
    feed.put(12, 2, "km")
    #expect(feed.take() == [] && feed.statistics.discardedFrames == 0)
    #expect(!feed.wantsKeyFrame(at: 59) && feed.nextDeadline == .milliseconds(60))
    feed.pass(to: 60)
    #expect(feed.take() == [2] && feed.statistics.discardedFrames == 1)
    // Behind a gap, the packet before is not known.
    feed.put(14, 4, "km", at: 60)
    feed.put(15, 5, "km", at: 60)
    feed.pass(to: 120)
    #expect(feed.take() == [5])
    // A frame without a marker ends before another timestamp; padding is of no frame and hides no beginning.
    feed.put(16, 6)
    feed.put(17, 6, "p")
    feed.put(18, 6)
    feed.put(19, 99, "p")
    #expect(feed.take() == [])
    feed.put(20, 7, "m")
    #expect(feed.take() == [6, 7])
    #expect(feed.frames[2].sequences.count == 3)
    // The codec's word comes before what stands before.
    feed.put(22, 8, "", at: 130)
    feed.put(23, 8, "kbm", at: 130)
    feed.pass(to: 190)
    #expect(feed.take() == [8])
    #expect(feed.frames.last?.sequences.count == 1)
  }

  @Test("the first packets may be reordered, until a frame is known to begin")
  func reorderedStart() {
    let feed = Feed()
    // The last of the frame comes first.
    feed.put(12, 1, "km")
    #expect(feed.take() == [])
    feed.put(10, 1, "kb")
    #expect(feed.take() == [])
    feed.put(11, 1, "k")
    #expect(feed.take() == [1] && feed.statistics.discardedFrames == 0)
    feed.put(9, 0, "m")
    #expect(feed.statistics.latePackets == 1)

    let other = Feed()
    other.put(10, 1, "kb")
    other.put(9, 0, "m")
    other.put(11, 1, "km")
    #expect(other.take() == [1] && other.statistics.latePackets == 1)
  }

  @Test("a frame that is rejected is followed by nothing but a key frame")
  func rejected() throws {
    let feed = Feed()
    feed.put(10, 1, "kbm")
    feed.put(11, 2, "bm")
    let frame = try #require(feed.nextFrame())
    #expect(!feed.wantsKeyFrame(at: 1))
    feed.reject(frame)
    #expect(feed.wantsKeyFrame(at: 1) && feed.take() == [])
    #expect(feed.statistics.discardedFrames == 2)
    feed.put(12, 3, "kbm")
    #expect(feed.take() == [3])
  }

  @Test("a jump further than the capacity begins anew; less is a gap, for which there must be room")
  func jumps() {
    let feed = Feed(capacity: 16)
    feed.put(10, 1, "kbm")
    #expect(feed.take(releasing: false) == [1])
    // The frame that is not released keeps its place.
    feed.put(26, 2, "bm", at: 1)
    #expect(feed.statistics.refused == 1 && feed.statistics.restarts == 0)
    feed.release(feed.frames[0])
    feed.put(26, 2, "bm", at: 2)
    #expect(feed.statistics.refused == 1)
    feed.put(43, 3, "kbm", at: 3)
    #expect(feed.statistics.restarts == 1 && feed.statistics.lostPackets == 15)
    #expect(feed.take() == [3])
    // Back by more is old, not new.
    feed.put(43 - 200, 4, "kbm", at: 3)
    #expect(feed.take() == [] && feed.statistics.latePackets == 1)
    feed.put(43 + 17, 5, "bm", at: 4)
    #expect(feed.take() == [] && feed.wantsKeyFrame(at: 4))
  }

  @Test("a frame without room is refused packet by packet, and the stream goes on behind it")
  func tooLong() {
    let feed = Feed(capacity: 8)
    feed.put(0, 1, "kb")
    for sequence in 1..<22 { feed.put(sequence, 1, "k") }
    feed.put(22, 2, "kbm")
    #expect(feed.take() == [2])
    #expect(feed.statistics.refused > 0 && feed.statistics.restarts > 0)
    let payload = [UInt8](repeating: 0, count: FrameAssembler.longestPayload + 1)
    let refused = feed.statistics.refused
    feed.put(payload, header(25, timestamp: 3))
    #expect(feed.statistics.refused == refused + 1)
  }

  @Test("padding takes no room for longer than its turn")
  func padding() {
    let feed = Feed(capacity: 8)
    for sequence in 0..<100 {
      feed.put(sequence, 1, "p")
      #expect(feed.take() == [])
    }
    feed.put(100, 2, "kbm")
    #expect(feed.take() == [2] && feed.statistics.refused == 0 && feed.statistics.discardedFrames == 0)
  }

  @Test("after a reset another source begins, whatever its numbers are, and a frame from before gives nothing back")
  func reset() {
    let feed = Feed()
    feed.put(60_000, 1, "kbm")
    #expect(feed.take(releasing: false) == [1])
    feed.reset()
    #expect(!feed.wantsKeyFrame(at: 1) && feed.nextDeadline == nil)
    #expect(feed.payload(of: feed.frames[0].sequences.lowerBound).isEmpty)
    feed.put(5, 7, "kbm")
    #expect(feed.take(releasing: false) == [7])
    feed.release(feed.frames[0])
    #expect(feed.payload(of: feed.frames[1].sequences.lowerBound).count == 3)
    #expect(feed.statistics.keyFrames == 2)
  }

  #if DEBUG
    private static let count = 4000
  #else
    private static let count = 20_000
  #endif

  @Test("packets of any numbers and times never trap, and no frame is out of order", arguments: Array(UInt64(1)...6))
  func anything(seed: UInt64) {
    var random = SeededRandom(seed)
    let feed = Feed(capacity: 32, asksForLost: seed % 2 == 0)
    var (sequence, time) = (0, 0.0)
    for _ in 0..<Self.count {
      switch Int.random(in: 0..<100, using: &random) {
      case 0: sequence = .random(in: 0...65_535, using: &random)
      case 1..<20: sequence += .random(in: -40...40, using: &random)
      default: sequence += 1
      }
      time += .random(in: 0...10, using: &random)
      let marks = ["", "m", "b", "k", "kb", "kbm", "p", "bm"].randomElement(using: &random)
      feed.put(sequence, sequence / 3, marks ?? "", at: time)
      if let deadline = feed.nextDeadline, deadline <= .milliseconds(time) { feed.pass(to: time) }
      _ = feed.take(releasing: Bool.random(using: &random))
      if let last = feed.frames.last, Int.random(in: 0..<10, using: &random) == 0 { feed.release(last) }
      _ = feed.missing(at: time)
      _ = feed.wantsKeyFrame(at: time)
      if Int.random(in: 0..<500, using: &random) == 0 { feed.reset() }
    }
    #expect(zip(feed.frames, feed.frames.dropFirst()).allSatisfy { $0.sequences.upperBound < $1.sequences.lowerBound })
    #expect(feed.frames.allSatisfy { $0.sequences.count <= 32 } && feed.frames.count > 100)
  }
}
