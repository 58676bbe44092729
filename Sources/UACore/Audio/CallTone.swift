internal import Glibc
internal import ModuleKit

/// A sound that is made here about calls: ITU-T E.180's tones, and a bell.
package enum CallTone: String, CaseIterable, Sendable {
  /// Somebody calls.
  case ring
  /// Somebody calls while a call stands.
  case callWaiting = "callwaiting"
  /// It rings where we call.
  case ringback
  case busy
  case notFound = "notfound"
  /// The call can't be made, for any other reason.
  case error
  /// A call is about to be answered, for its caller has asked for that.
  case autoAnswer = "sip_autoanswer"

  /// A part of a tone.
  struct Beat {
    /// Hz; 0 is silence.
    var frequency = 425.0
    let milliseconds: Int
  }

  /// One round of the tone.
  var rhythm: [Beat] {
    func silence(_ milliseconds: Int) -> Beat { Beat(frequency: 0, milliseconds: milliseconds) }
    return switch self {
    case .ring:
      [
        Beat(frequency: 850, milliseconds: 400), silence(200), Beat(frequency: 850, milliseconds: 400), silence(3000),
      ]
    case .callWaiting: [Beat(milliseconds: 200), silence(200), Beat(milliseconds: 200), silence(4400)]
    case .ringback: [Beat(milliseconds: 1000), silence(4000)]
    case .busy: [Beat(milliseconds: 500), silence(500)]
    // The special information tone.
    case .notFound: [950, 1400, 1800].map { Beat(frequency: $0, milliseconds: 330) } + [silence(1000)]
    // Congestion.
    case .error: [Beat(milliseconds: 250), silence(250)]
    case .autoAnswer:
      [Beat(frequency: 1000, milliseconds: 200), silence(100), Beat(frequency: 1000, milliseconds: 200)]
    }
  }

  /// How many rounds there are; nil goes on until the call does.
  var rounds: Int? {
    switch self {
    case .ring, .callWaiting, .ringback: nil
    case .busy: 4
    case .notFound: 2
    case .error: 8
    case .autoAnswer: 1
    }
  }

  /// What is heard after a call of ours was refused.
  init(refusal status: Int?) {
    self =
      switch status {
      case 404, 410, 484, 604: .notFound
      case 486, 600, 603: .busy
      default: .error
      }
  }
}

/// Makes a tone, as an audio source.
final class ToneSource: AudioStage {
  /// Peak of -12 dBFS, as loud as speech.
  private static let amplitude = 8231.0

  let format: AudioFormat
  private let rhythm: [(turn: Double, samples: Int)]
  private var roundsLeft: Int?
  private var beat = 0
  /// Samples of this beat that are made.
  private var position = 0

  init(_ tone: CallTone, format: AudioFormat) {
    self.format = format
    self.rhythm = tone.rhythm.map {
      (2 * .pi * $0.frequency / Double(format.sampleRate), format.sampleRate / 1000 * $0.milliseconds)
    }
    self.roundsLeft = tone.rounds
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let channels = self.format.channels
    for start in stride(from: 0, to: frame.samples.count, by: channels) {
      let sample = self.roundsLeft == 0 ? 0 : self.next()
      for channel in start..<min(start + channels, frame.samples.count) { frame.samples[channel] = sample }
    }
    return self.roundsLeft == 0 ? .end : .forward
  }

  private func next() -> Int16 {
    let (turn, samples) = self.rhythm[self.beat]
    let sample = Int16((sin(turn * Double(self.position)) * Self.amplitude).rounded())
    self.position += 1
    guard self.position == samples else { return sample }
    (self.position, self.beat) = (0, self.beat + 1)
    guard self.beat == self.rhythm.count else { return sample }
    self.beat = 0
    if let left = self.roundsLeft { self.roundsLeft = left - 1 }
    return sample
  }

  func finish(_ stream: StreamID) {}
}
