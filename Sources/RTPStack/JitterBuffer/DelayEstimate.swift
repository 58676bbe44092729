/// How late packets come, compared with the fastest one of the last seconds; in timestamp units.
struct DelayEstimate: ~Copyable {
  /// The least transit (arrival less media time) of this period and of the one before, so that drift is followed.
  private var recent: Int64 = 0
  private var before: Int64 = 0
  private var periodStart: Int64 = 0
  private let period: Int64

  private let binWidth: Int64
  private var wanted: Int64 = 0
  private var untilEstimate = DelayEstimate.estimateEvery
  private var total = 0
  /// Decaying histogram of relative delays.
  private var bins = InlineArray<64, UInt16>(repeating: 0)

  private static let binCount = 64
  /// Packets between two estimates.
  private static let estimateEvery = 16
  /// Packets after which the past counts half.
  private static let memory = 512
  /// The share of packets that the delay is to hold, in per cent.
  private static let percentile = 98

  /// An estimate for delays up to `longest`, with periods of `period`.
  init(longest: Int64, period: Int64) {
    self.binWidth = max(1, (longest + Int64(Self.binCount) - 2) / Int64(Self.binCount - 1))
    self.period = period
  }

  /// The least transit of the last one to two periods.
  var leastTransit: Int64 { min(self.recent, self.before) }

  /// The delay that would have held all but the slowest two in a hundred; zero until enough packets were heard.
  var wantedDelay: Int64 { self.wanted }

  /// Forgets the path, keeps what is known about its jitter.
  mutating func anchor(transit: Int64, at clock: Int64) {
    (self.recent, self.before, self.periodStart) = (transit, transit, clock)
  }

  /// Forgets everything.
  mutating func reset(transit: Int64, at clock: Int64) {
    self.anchor(transit: transit, at: clock)
    for index in self.bins.indices { self.bins[index] = 0 }
    (self.total, self.wanted, self.untilEstimate) = (0, 0, Self.estimateEvery)
  }

  /// Takes the transit of a packet and returns by how much it was later than the fastest.
  mutating func note(transit: Int64, at clock: Int64) -> Int64 {
    if clock - self.periodStart >= self.period {
      (self.before, self.recent, self.periodStart) = (self.recent, transit, clock)
    } else {
      self.recent = min(self.recent, transit)
    }
    let relative = transit - self.leastTransit
    self.count(relative)
    return relative
  }

  private mutating func count(_ relative: Int64) {
    self.bins[min(Int(relative / self.binWidth), Self.binCount - 1)] += 1
    self.total += 1
    self.untilEstimate -= 1
    guard self.untilEstimate == 0 else { return }
    self.untilEstimate = Self.estimateEvery
    var above = self.total * (100 - Self.percentile) / 100
    var bin = Self.binCount - 1
    while bin > 0, Int(self.bins[bin]) <= above {
      above -= Int(self.bins[bin])
      bin -= 1
    }
    self.wanted = Int64(bin + 1) * self.binWidth
    guard self.total >= Self.memory else { return }
    self.total = 0
    for index in self.bins.indices {
      self.bins[index] /= 2
      self.total += Int(self.bins[index])
    }
  }
}
