internal import Glibc

/// A recording read back, to say what was heard.
struct HeardAudio {
  let path: String
  let seconds: Double
  /// Of the loudest second, dBFS.
  let level: Double
  /// The strongest of the frequencies that were asked for, with its share of the power, 0 to 1.
  let tone: (frequency: Double, share: Double)

  /// Reads a 16-bit PCM file; nil when there is none.
  init?(path: String, tones: [Double] = [440]) {
    guard let bytes = Self.read(path), bytes.count > 44 else { return nil }
    func little(_ offset: Int, _ count: Int) -> Int {
      (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    let (channels, rate) = (max(1, little(22, 2)), max(1, little(24, 4)))
    let samples = stride(from: 44, to: bytes.count - 1, by: 2 * channels).map { offset in
      Double(Int16(truncatingIfNeeded: little(offset, 2))) / 32_768
    }
    self.path = path
    self.seconds = Double(samples.count) / Double(rate)
    let powers = stride(from: 0, to: samples.count, by: rate).map { start in
      let part = samples[start..<min(start + rate, samples.count)]
      return part.reduce(0) { $0 + $1 * $1 } / Double(rate)
    }
    self.level = 10 * log10(max(powers.max() ?? 0, 1e-10))
    let middle = samples[(samples.count / 4)..<(samples.count * 3 / 4)]
    let power = middle.reduce(0) { $0 + $1 * $1 } / Double(max(1, middle.count))
    let shares = tones.map { ($0, Self.power(of: $0, in: middle, rate: Double(rate)) / max(power, 1e-12)) }
    self.tone = shares.max { $0.1 < $1.1 } ?? (0, 0)
  }

  /// The power of one frequency (Goertzel's algorithm).
  private static func power(of frequency: Double, in samples: ArraySlice<Double>, rate: Double) -> Double {
    let coefficient = 2 * cos(2 * Double.pi * frequency / rate)
    var (last, beforeLast) = (0.0, 0.0)
    for sample in samples { (last, beforeLast) = (sample + coefficient * last - beforeLast, last) }
    let energy = last * last + beforeLast * beforeLast - coefficient * last * beforeLast
    let count = Double(max(1, samples.count))
    return 2 * energy / (count * count)
  }

  private static func read(_ path: String) -> [UInt8]? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var all: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe block.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
      guard count > 0 else { return all }
      all += block[..<count]
    }
  }
}
