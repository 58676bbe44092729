/// Keeps a buffer between two clocks at its target, and tells how much faster the device's clock runs than the call's.
///
/// It looks at what is usual in a second, because both sides come in bursts. The correction is the drift that was measured
/// and a share of the deviation. The two are apart: where the buffer is too full or too empty because of an outage, the
/// correction mends that without anyone taking it for a clock.
struct DriftControl {
  /// A quartz is off by 100 parts per million at most, a virtual device by some more.
  static let largestDrift = 1000.0
  /// Not heard.
  static let largestCorrection = 2000.0
  /// Seconds in which a deviation would be gone, were the correction to stay.
  private static let patience = 8.0

  /// Parts per million: how much more the buffer's writer brings than its reader takes, as measured.
  var drift: Double { Self.bounded(self.meter.drift, Self.largestDrift) }
  /// Parts per million by which more has to be taken.
  private(set) var correction = 0.0
  private var meter = DriftMeter()
  private let rate: Double
  /// Microseconds.
  private var target: Double
  /// Frames of 10 ms are the shortest.
  private var levels = Median(capacity: 100)
  private var distances = Median(capacity: 100)
  private var blocks = 0
  /// Microseconds that the correction took away so far.
  private var taken = 0.0

  /// - Parameters:
  ///   - rate: blocks of all channels a second.
  ///   - target: blocks that the buffer should hold, on average.
  init(rate: Int, target: Int) {
    self.rate = Double(rate)
    self.target = Double(target) / Double(rate) * 1_000_000
  }

  /// Another target, in blocks, from now on.
  mutating func aim(at target: Int) { self.target = self.microseconds(target) }

  /// - Parameters:
  ///   - level: blocks that the buffer held.
  ///   - distance: blocks by which the writer was ahead of the reader; as the level, but without its steps.
  ///   - count: blocks that went through.
  mutating func observe(level: Int, distance: Int, for count: Int) {
    self.levels.insert(level)
    self.distances.insert(distance)
    self.blocks += count
    guard Double(self.blocks) >= self.rate else { return }
    let seconds = Double(self.blocks) / self.rate
    let (level, distance) = (self.microseconds(self.levels.take()), self.microseconds(self.distances.take()))
    self.blocks = 0
    // What is usual is so in the middle of the second.
    self.meter.observe(distance + self.taken + self.correction * seconds / 2, after: seconds)
    self.taken += self.correction * seconds
    let deviation = level - self.target
    self.correction = Self.bounded(self.drift + deviation / Self.patience, Self.largestCorrection)
  }

  /// The buffer was filled anew, or emptied: what was seen of it before says nothing; the drift is still true.
  mutating func forget() {
    self.levels.forget()
    self.distances.forget()
    self.blocks = 0
    self.meter.interrupt()
    self.correction = self.drift
  }

  private func microseconds(_ blocks: Int) -> Double { Double(blocks) / self.rate * 1_000_000 }

  private static func bounded(_ value: Double, _ limit: Double) -> Double { max(-limit, min(limit, value)) }
}
