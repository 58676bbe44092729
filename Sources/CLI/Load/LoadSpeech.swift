internal import AllModules
internal import Handoff
internal import ModuleKit
internal import UACore

/// The speech that the legs of `apus load` send: each begins at a place of its own and goes round.
///
/// It is converted once to each format that a leg wants, as a telephone's microphone gives what its codec takes; encoding is
/// each leg's own.
final class LoadSpeech: Sendable {
  /// The source's name, for `CallSettings.source`.
  static let driver = "load"

  private let original: [Int16]
  private let format: AudioFormat
  private let converted = Locked<[AudioFormat: [Int16]]>([:])

  init(_ samples: [Int16], format: AudioFormat) { (self.original, self.format) = (samples, format) }

  /// - Parameter path: a WAV file.
  convenience init(path: String) throws {
    guard let type = compiledModules.first(where: { $0.name == "aufile" }) else {
      throw Failure(.configuration, "this apus has no module aufile")
    }
    let module = try type.init(settings: ModuleSettings(keys: type.configKeys))
    var samples: [Int16] = []
    var format = AudioFormat(sampleRate: 8000, channels: 1)
    for facet in module.facets {
      guard case .source(.confined(let prepare)) = facet.body else { continue }
      let stream = StreamID(number: 0)
      let stage = try prepare(AudioRequest(device: path, format: format, stream: stream, direction: .transmit))()
      format = stage.format
      samples = Self.all(of: stage, stream)
    }
    self.init(samples, format: format)
  }

  private static func all(of stage: any AudioStage, _ stream: StreamID) -> [Int16] {
    var all: [Int16] = []
    var room = [Int16](repeating: 0, count: stage.format.sampleCount(milliseconds: 20))
    var isLast = false
    while !isLast {
      var frame = AudioFrame(samples: room.mutableSpan, direction: .transmit, stream: stream)
      if case .end = stage.process(&frame) { isLast = true }
      all += room
    }
    return all
  }

  /// All of it in another format.
  func samples(in format: AudioFormat) throws(ModuleError) -> [Int16] {
    let original = self.original
    if format == self.format { return original }
    return try self.converted.withLock { converted throws(ModuleError) in
      if let known = converted[format] { return known }
      let resampler = try Resampler(from: self.format, to: format)
      let frames = original.count / self.format.channels
      var made = [Int16](repeating: 0, count: frames * format.sampleRate / self.format.sampleRate * format.channels)
      var room = made.mutableSpan
      _ = resampler.process(original.span, into: &room)
      converted[format] = made
      return made
    }
  }

  /// The source, for `AgentSettings.programFacets`.
  ///
  /// - Parameter side: which agent of the process; the legs of two begin at different places.
  func facet(side: Int) -> (module: String, facet: Facet) {
    let offer = StageOffer.confined { [self] request throws(ModuleError) in
      let samples = try self.samples(in: request.format)
      let start = Self.start(of: Int(request.stream.number) * 2 + side, in: samples.count / request.format.channels)
      return { () throws(ModuleError) in
        RoundSource(samples, format: request.format, start: start * request.format.channels)
      }
    }
    return (Self.driver, .source(offer))
  }

  /// Where the `index`th one begins, in a round of `count`: steps of the golden ratio keep them apart, however many there are.
  static func start(of index: Int, in count: Int) -> Int {
    Int((Double(index) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1) * Double(count))
  }
}

/// Plays samples round and round.
final class RoundSource: AudioStage {
  let format: AudioFormat
  private let samples: [Int16]
  private var position: Int

  /// - Parameter start: the index of the first sample.
  init(_ samples: [Int16], format: AudioFormat, start: Int) {
    (self.samples, self.format, self.position) = (samples, format, start)
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let samples = self.samples
    guard !samples.isEmpty else { return .drop }
    var filled = 0
    while filled < frame.samples.count {
      let count = min(frame.samples.count - filled, samples.count - self.position)
      frame.samples.copy(samples.span.extracting(self.position..<self.position + count), at: filled)
      filled += count
      self.position = (self.position + count) % samples.count
    }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}
