internal import NetBase

/// Fills the gaps that lost packets leave: the last pitch period goes on, then fades.
///
/// After G.711 Appendix I, without its 3.75 ms of delay: the waveform is looked for in the last 48 ms, repeated, turned
/// down from 10 ms on, silent after 60 ms, and blended into the first packet that is there again.
struct Concealment {
  /// 5 to 15 ms: 66 to 200 Hz, and the multiples of higher voices.
  private static let pitches = 40...120
  private static let windowCount = 160
  private static let historyCount = 400
  /// Samples of full volume, and those until silence.
  private static let steady = 80
  private static let faded = 480
  private static let blendCount = 40

  /// What each byte decodes to.
  private let table: [Int16]
  /// What came, as it came, in a circle: the oldest byte is at `oldest`.
  private var history: [UInt8]
  private var oldest = 0
  private var cycle = [Int16](repeating: 0, count: Self.pitches.upperBound)
  private var pitch = Self.pitches.upperBound
  /// Samples made up since the last packet; nil while packets come.
  private var concealed: Int?

  init(law: CompandingLaw) {
    self.table = law.table
    self.history = Array(repeating: law.silence, count: Self.historyCount)
  }

  /// Learns from a payload that was received; after a gap the start of its `samples` is blended.
  mutating func heard(_ payload: RawSpan, _ samples: inout MutableSpan<Int16>) {
    let count = payload.byteCount
    if let start = self.concealed {
      let length = min(Self.blendCount, count)
      for index in 0..<length {
        let made = Int(self.sample(at: start + index))
        samples[index] = Int16((made * (length - index) + Int(samples[index]) * index) / length)
      }
      self.concealed = nil
    }
    let kept = min(count, Self.historyCount)
    let (start, oldest) = (count - kept, self.oldest)
    let beforeEnd = min(kept, Self.historyCount - oldest)
    var room = self.history.mutableSpan
    var history = unsafe room.mutableBytes
    history.copy(payload.extracting(start..<start + beforeEnd), at: oldest)
    history.copy(payload.extracting(start + beforeEnd..<count), at: 0)
    self.oldest = (oldest + kept) % Self.historyCount
  }

  /// Makes up all of `samples`.
  mutating func fill(_ samples: inout MutableSpan<Int16>) {
    if self.concealed == nil { self.findCycle() }
    let start = self.concealed ?? 0
    for index in 0..<samples.count { samples[index] = self.sample(at: start + index) }
    // What follows is silence: no need to count for ever.
    self.concealed = min(start + samples.count, Self.faded)
  }

  private func sample(at position: Int) -> Int16 {
    guard position < Self.faded else { return 0 }
    let sample = Int(self.cycle[position % self.pitch])
    guard position > Self.steady else { return Int16(sample) }
    return Int16(sample * (Self.faded - position) / (Self.faded - Self.steady))
  }

  /// Takes the last pitch period and makes its end lead to its start.
  private mutating func findCycle() {
    var heard = InlineArray<400, Int16>(repeating: 0)
    for index in 0..<Self.historyCount {
      heard[index] = self.table[Int(self.history[(self.oldest + index) % Self.historyCount])]
    }
    let end = Self.historyCount
    self.pitch = Self.bestPitch(heard.span)
    let blend = self.pitch / 4
    for index in 0..<self.pitch {
      let sample = Int(heard[end - self.pitch + index])
      let before = Int(heard[end - 2 * self.pitch + index])
      let weight = max(index - (self.pitch - blend), 0)
      self.cycle[index] = Int16((sample * (blend - weight) + before * weight) / blend)
    }
  }

  /// The lag at which the last 20 ms are most like what came before them.
  private static func bestPitch(_ heard: Span<Int16>) -> Int {
    let start = self.historyCount - self.windowCount
    var best = (pitch: self.pitches.upperBound, score: -Float.infinity)
    for pitch in self.pitches {
      var product: Float = 0
      var energy: Float = 1
      for index in start..<self.historyCount {
        let earlier = Float(heard[index - pitch])
        product += Float(heard[index]) * earlier
        energy += earlier * earlier
      }
      let score = product * product.magnitude / energy
      if score > best.score { best = (pitch, score) }
    }
    return best.pitch
  }
}
