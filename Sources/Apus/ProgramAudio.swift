internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Synchronization

/// The driver behind `Call.audio` and `Call.play`: PCM between a call and the program that made it.
///
/// Both stages belong to one stream each; the program's side is reached by bounded lanes, so a program that is slow
/// loses samples and never delays a packet.
final class ProgramAudio: Sendable {
  /// One call's lanes.
  final class Pipes: Sendable {
    let heard: AsyncStream<[Int16]>
    let toProgram: AsyncStream<[Int16]>.Continuation
    /// Frames that were dropped, for the program had not read those before them, or reads no more.
    let unread = Atomic<Int>(0)
    let toPeer: Mailbox<Block>
    /// How often the program has stopped what it plays, for the source, which takes no lock for it.
    fileprivate let stops = Atomic<Int>(0)
    /// The same for whoever plays: a block of after a stop is not among those that the stop drops.
    private let playing = Locked(0)

    init() {
      // A second of 20 ms frames, the oldest dropped first.
      (self.heard, self.toProgram) = AsyncStream.makeStream(of: [Int16].self, bufferingPolicy: .bufferingNewest(50))
      self.toPeer = Mailbox(capacity: 256) {}
    }

    /// False where there is no room, or the call is over.
    func play(_ samples: [Int16]) -> Bool {
      self.playing.withLock { stops in self.toPeer.post(Block(samples: samples, stops: stops)) }
    }

    /// The count comes first: a block that its source has taken by then is known to be an old one.
    func stopPlaying() {
      self.playing.withLock { stops in
        stops += 1
        self.stops.store(stops, ordering: .releasing)
        while self.toPeer.take() != nil {}
      }
    }

    func close() {
      self.toProgram.finish()
      self.toPeer.close()
    }
  }

  /// What `Call.play` was given.
  struct Block: Sendable {
    var samples: [Int16] = []
    /// How often the program had stopped before.
    var stops = 0
  }

  private let format: AudioFormat

  private struct Known {
    weak var pipes: Pipes?
  }

  /// The planned stages and the `Call` keep them: of a call that came to nothing, nothing stays.
  private let known = Locked<[StreamID: Known]>([:])

  init(format: AudioFormat) { self.format = format }

  /// The driver's name in the agent's settings.
  static let name = "program"

  var facets: [Facet] {
    let format = self.format
    return [
      .source(
        .confined { [self] request in
          let pipes = self.pipes(of: request.stream)
          return { ProgramSource(format: format, pipes: pipes) }
        }),
      .player(
        .confined { [self] request in
          let pipes = self.pipes(of: request.stream)
          return { ProgramPlayer(format: format, pipes: pipes) }
        }),
    ]
  }

  func pipes(of stream: StreamID) -> Pipes {
    self.known.withLock { all in
      if let pipes = all[stream]?.pipes { return pipes }
      all = all.filter { $0.value.pipes != nil }
      let made = Pipes()
      all[stream] = Known(pipes: made)
      return made
    }
  }

  func forget(_ stream: StreamID) { self.known.withLock { $0.removeValue(forKey: stream)?.pipes }?.close() }
}

/// What the program plays, in the order in which it was handed over; silence while there is nothing.
private final class ProgramSource: AudioStage {
  let format: AudioFormat
  private let pipes: ProgramAudio.Pipes
  private var block = ProgramAudio.Block()
  private var used = 0

  init(format: AudioFormat, pipes: ProgramAudio.Pipes) {
    (self.format, self.pipes) = (format, pipes)
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let stops = self.pipes.stops.load(ordering: .acquiring)
    if self.block.stops < stops { self.used = self.block.samples.count }
    for index in 0..<frame.samples.count {
      while self.used == self.block.samples.count {
        guard let next = self.pipes.toPeer.take() else {
          for rest in index..<frame.samples.count { frame.samples[rest] = 0 }
          return .forward
        }
        (self.block, self.used) = (next, next.stops < stops ? next.samples.count : 0)
      }
      frame.samples[index] = self.block.samples[self.used]
      self.used += 1
    }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}

/// What the peer says, handed to the program a frame at a time.
private final class ProgramPlayer: AudioStage {
  let format: AudioFormat
  private let pipes: ProgramAudio.Pipes

  init(format: AudioFormat, pipes: ProgramAudio.Pipes) {
    (self.format, self.pipes) = (format, pipes)
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    var samples: [Int16] = []
    samples.reserveCapacity(frame.samples.count)
    for index in 0..<frame.samples.count { samples.append(frame.samples[index]) }
    if case .enqueued = self.pipes.toProgram.yield(samples) { return .forward }
    self.pipes.unread.add(1, ordering: .relaxed)
    return .forward
  }

  func finish(_ stream: StreamID) { self.pipes.toProgram.finish() }
}
