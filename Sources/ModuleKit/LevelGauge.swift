internal import Glibc

/// How loud some audio was, relative to full scale; silence is -96 dB, less than one step of 16 bits.
package struct Level: Hashable, Sendable {
  /// dB; a full-scale square wave is 0, a full-scale sine -3.
  package let rms: Double
  /// dB of the largest sample.
  package let peak: Double

  package init(rms: Double, peak: Double) {
    self.rms = rms
    self.peak = peak
  }
}

/// Collects samples until a period is full.
package struct LevelGauge {
  /// dB of a frame without any sound.
  package static let silence = -96.0

  private var count = 0
  private var energy: UInt64 = 0
  private var peak: UInt16 = 0

  package init() {}

  /// Returns the level of everything since the last one, once `period` samples are there.
  package mutating func add(_ samples: Span<Int16>, period: Int) -> Level? {
    for index in 0..<samples.count {
      let magnitude = samples[index].magnitude
      self.energy &+= UInt64(magnitude) * UInt64(magnitude)
      self.peak = max(self.peak, magnitude)
    }
    self.count += samples.count
    guard self.count > 0, self.count >= period else { return nil }
    let power = Double(self.energy) / Double(self.count) / (32_768 * 32_768)
    let top = Double(self.peak) / 32_768
    self = LevelGauge()
    return Level(rms: decibels(power: power), peak: decibels(power: top * top))
  }
}

private func decibels(power: Double) -> Double {
  power > 0 ? max(10 * log10(power), LevelGauge.silence) : LevelGauge.silence
}
