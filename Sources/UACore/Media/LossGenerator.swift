/// Drops some of what is sent, before the socket, so that loss can be tried out (`--loss`).
struct LossGenerator {
  private let threshold: UInt64
  private var state: UInt64

  init(percent: Double, seed: UInt64) {
    self.threshold = UInt64(min(max(percent, 0), 100) / 100 * Double(UInt32.max))
    self.state = seed | 1
  }

  mutating func drops() -> Bool {
    guard self.threshold > 0 else { return false }
    self.state = self.state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return self.state >> 32 < self.threshold
  }
}
