internal import Glibc

/// Samples at a rate that differs by some parts per million: a windowed sinc over the eight samples around each moment.
///
/// At equal rates samples pass unchanged, four samples late. Moments are counted in 2^-32 of a sample, so that both ends
/// of a conversion agree on how many samples it takes.
struct RateConverter {
  static let one: UInt64 = 1 << 32

  let channels: Int
  /// Blocks of all channels that were put in twice, and left out, so far.
  private(set) var inserted = 0
  private(set) var dropped = 0
  /// How much each of the eight samples weighs, for so many moments between two samples.
  private static let taps = 8
  private static let moments = 256
  private static let weights: [Float] = (0...moments).flatMap { moment in
    (0..<taps).map { tap in
      let distance = Double(tap) - Double(taps / 2 - 1) - Double(moment) / Double(moments)
      let window = cos(Double.pi * distance / Double(taps + 1))
      let angle = Double.pi * distance
      return Float(angle == 0 ? 1 : sin(angle) / angle * window * window)
    }
  }

  /// Where the next sample lies between the middle ones of the eight; past one, the next input is due first.
  private var phase = Self.one
  /// From one output to the next.
  private var step = Self.one
  /// The last eight blocks, the oldest first.
  private var history: [Int16]

  init(channels: Int) {
    self.channels = channels
    self.history = [Int16](repeating: 0, count: Self.taps * channels)
  }

  /// - Parameter partsPerMillion: how much faster input is used up than output is made; negative for slower.
  mutating func setCorrection(_ partsPerMillion: Double) {
    self.step = Self.one &+ UInt64(bitPattern: Int64(partsPerMillion * Double(Self.one) / 1_000_000))
  }

  /// Blocks of input that the next `outputs` blocks use up.
  func needed(for outputs: Int) -> Int {
    outputs == 0 ? 0 : Int((self.phase + UInt64(outputs - 1) * self.step) >> 32)
  }

  /// Fills `output`; `input` has what `needed` said.
  mutating func fill(_ output: inout MutableSpan<Int16>, from input: Span<Int16>) {
    var taken = 0
    for block in 0..<(output.count / self.channels) {
      var count = 0
      while self.phase >= Self.one {
        self.push(input, taken)
        taken += 1
        count += 1
        self.phase -= Self.one
      }
      self.count(count)
      self.emit(&output, block)
    }
  }

  /// Uses all of `input` up; gives the samples written to `output`, which has room for a tenth more than the input.
  mutating func convert(_ input: Span<Int16>, into output: inout MutableSpan<Int16>) -> Int {
    var made = 0
    for block in 0..<(input.count / self.channels) {
      self.push(input, block)
      self.phase -= Self.one
      var count = 0
      while self.phase < Self.one, made < output.count / self.channels {
        self.emit(&output, made)
        made += 1
        count += 1
      }
      if count == 0 { self.dropped += 1 } else { self.inserted += count - 1 }
    }
    return made * self.channels
  }

  private mutating func count(_ taken: Int) {
    if taken == 0 { self.inserted += 1 } else { self.dropped += taken - 1 }
  }

  private mutating func push(_ input: Span<Int16>, _ block: Int) {
    let last = (Self.taps - 1) * self.channels
    for index in 0..<last { self.history[index] = self.history[index + self.channels] }
    for channel in 0..<self.channels { self.history[last + channel] = input[block * self.channels + channel] }
  }

  private mutating func emit(_ output: inout MutableSpan<Int16>, _ block: Int) {
    let moment = Int((self.phase * UInt64(Self.moments) + Self.one / 2) >> 32)
    let first = moment * Self.taps
    for channel in 0..<self.channels {
      var sum: Float = 0
      for tap in 0..<Self.taps {
        sum += Self.weights[first + tap] * Float(self.history[tap * self.channels + channel])
      }
      output[block * self.channels + channel] = Int16(max(-32_768, min(32_767, sum.rounded())))
    }
    self.phase += self.step
  }
}
