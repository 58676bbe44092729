internal import CAllocations
internal import ModuleKit
internal import Synchronization

/// The ends of a leg: a source that copies a tone, and a sink that looks at every sample; what the C program has too.
final class BenchAudio: Sendable {
  static let driver = "bench"

  /// Samples that finished legs played and that were not silence.
  private let heardSamples = Atomic<Int>(0)
  private let sum = Atomic<Int>(0)
  private let isPlanted = Atomic<Bool>(false)

  var heard: Int { self.heardSamples.load(ordering: .relaxed) }

  /// From now on each frame allocates: what the check must find.
  func plantAllocations() { self.isPlanted.store(true, ordering: .relaxed) }

  var facets: [(module: String, facet: Facet)] {
    [
      (
        Self.driver,
        .source(.confined { request in { [self] in BenchSource(format: request.format, audio: self) } })
      ),
      (
        Self.driver,
        .player(.confined { request in { [self] in BenchSink(format: request.format, audio: self) } })
      ),
    ]
  }

  /// What every source sends, each time from its beginning; one for all, as the C program has it.
  static let tone = (0..<960).map { Int16(($0 * 397) % 16000 - 8000) }

  fileprivate func note(heard: Int, sum: Int) {
    self.heardSamples.add(heard, ordering: .relaxed)
    self.sum.add(sum, ordering: .relaxed)
  }

  fileprivate func allocateIfPlanted() {
    if self.isPlanted.load(ordering: .relaxed) { _ = callocations_plant() }
  }
}

private final class BenchSource: AudioStage {
  let format: AudioFormat
  private let audio: BenchAudio
  private let tone: [Int16]

  init(format: AudioFormat, audio: BenchAudio) {
    self.format = format
    self.audio = audio
    self.tone = BenchAudio.tone
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    self.audio.allocateIfPlanted()
    let count = min(self.tone.count, frame.samples.count)
    for index in 0..<count { frame.samples[index] = self.tone[index] }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}

private final class BenchSink: AudioStage {
  let format: AudioFormat
  private let audio: BenchAudio
  private var heard = 0
  private var sum = 0

  init(format: AudioFormat, audio: BenchAudio) {
    self.format = format
    self.audio = audio
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    self.audio.allocateIfPlanted()
    // As the C program's compiler makes it, without a test of each index: this is no part of what is measured.
    let (heard, sum) = unsafe frame.samples.span.withUnsafeBufferPointer { samples in
      unsafe samples.reduce(into: (0, 0)) { total, sample in
        total.0 &+= sample == 0 ? 0 : 1
        total.1 &+= Int(sample)
      }
    }
    self.heard += heard
    self.sum &+= sum
    return .forward
  }

  func finish(_ stream: StreamID) { self.audio.note(heard: self.heard, sum: self.sum) }
}
