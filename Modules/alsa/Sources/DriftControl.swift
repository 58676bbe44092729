/// Tells from how full a buffer is how much faster the device's clock runs than the call's, and what brings the buffer
/// back to its target.
///
/// It looks at the mean over a second, because both sides come in bursts. The correction is a share of the deviation, and
/// the sum of all deviations: this sum ends where the clocks differ by exactly as much, so it is the measurement.
struct DriftControl {
  /// A quartz is off by 100 parts per million at most, a virtual device by some more.
  static let largestDrift = 1000.0
  /// Not heard.
  static let largestCorrection = 2000.0
  /// Seconds in which a deviation would be gone without the sum.
  private static let patience = 8.0

  /// Parts per million: how much more the buffer's writer brings than its reader takes, as measured.
  private(set) var drift = 0.0
  /// Parts per million by which more has to be taken.
  private(set) var correction = 0.0
  private let rate: Double
  private let target: Double
  private var sum = 0.0
  private var blocks = 0

  /// - Parameters:
  ///   - rate: blocks of all channels a second.
  ///   - target: blocks that the buffer should hold, on average.
  init(rate: Int, target: Int) {
    self.rate = Double(rate)
    self.target = Double(target)
  }

  /// The buffer held `level` blocks when `count` blocks went through.
  mutating func observe(level: Int, for count: Int) {
    self.sum += Double(level) * Double(count)
    self.blocks += count
    guard Double(self.blocks) >= self.rate else { return }
    let seconds = Double(self.blocks) / self.rate
    let deviation = (self.sum / Double(self.blocks) - self.target) / self.rate * 1_000_000
    self.forget()
    let share = deviation * seconds / (4 * Self.patience * Self.patience)
    self.drift = Self.bounded(self.drift + share, Self.largestDrift)
    self.correction = Self.bounded(self.drift + deviation / Self.patience, Self.largestCorrection)
  }

  /// The buffer was filled anew: what was seen of it before says nothing; the drift is still true.
  mutating func forget() {
    self.sum = 0
    self.blocks = 0
    self.correction = self.drift
  }

  private static func bounded(_ value: Double, _ limit: Double) -> Double { max(-limit, min(limit, value)) }
}
