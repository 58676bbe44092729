/// Tells how much faster one clock runs than another from the distance between them, seen about once a second: the slope
/// of the last minute.
///
/// What moves the distance at once is no clock: a gap, an outage, a buffer that someone made longer. Such a second is taken
/// out, and what was seen before it still counts.
struct DriftMeter {
  /// Observations that count.
  private static let most = 64
  /// Microseconds in a second; more than a clock and the noise of looking at it do.
  private static let step = 3000.0
  /// Square seconds: of a slope over ten observations a third is believed, over thirty nearly all. A sound server's clock
  /// is even over minutes only: it moves by milliseconds when another program joins.
  private static let doubt = 150.0

  /// Parts per million.
  private(set) var drift = 0.0
  /// Microseconds, without the steps; the oldest is at `count` once there are enough.
  private var distances = [Double](repeating: 0, count: most)
  private var count = 0
  private var newest = 0.0
  private var last: Double?

  /// - Parameters:
  ///   - distance: microseconds by which the one clock is ahead, from anywhere.
  ///   - seconds: since the observation before.
  mutating func observe(_ distance: Double, after seconds: Double) {
    guard let last = self.last else {
      self.last = distance
      if self.count == 0 { self.count = 1 }
      return
    }
    let change = (distance - last) / seconds
    // Only the next second is wholly after the step.
    guard abs(change - self.drift) < Self.step else { return self.interrupt() }
    self.last = distance
    self.newest += change
    self.distances[self.count % Self.most] = self.newest
    self.count += 1
    self.drift = self.slope
  }

  /// The distance is seen from elsewhere from now on.
  mutating func interrupt() { self.last = nil }

  private var slope: Double {
    let used = min(self.count, Self.most)
    let middle = Double(used - 1) / 2
    var (product, square) = (0.0, 0.0)
    for index in 0..<used {
      let time = Double(index) - middle
      product += time * self.distances[(self.count - used + index) % Self.most]
      square += time * time
    }
    return product / (square + Self.doubt)
  }
}
