internal import Handoff
internal import ModuleKit
internal import NetBase

/// The driver behind `Call.audio` and `Call.play`: PCM between a call and the program that made it.
///
/// Both stages belong to one stream each; the program's side is reached by bounded lanes, so a program that is slow
/// loses samples and never delays a packet.
final class ProgramAudio: Sendable {
  /// One call's lanes.
  struct Pipes: Sendable {
    let heard: AsyncStream<[Int16]>
    let toProgram: AsyncStream<[Int16]>.Continuation
    let toPeer: Mailbox<[Int16]>
  }

  private let format: AudioFormat
  private let pipes = Locked<[StreamID: Pipes]>([:])

  init(format: AudioFormat) { self.format = format }

  /// The driver's name in the agent's settings.
  static let name = "program"

  var facets: [Facet] {
    let format = self.format
    return [
      .source(
        .confined { [self] request in
          let lane = self.pipes(of: request.stream).toPeer
          return { ProgramSource(format: format, lane: lane) }
        }),
      .player(
        .confined { [self] request in
          let continuation = self.pipes(of: request.stream).toProgram
          return { ProgramPlayer(format: format, continuation: continuation) }
        }),
    ]
  }

  func pipes(of stream: StreamID) -> Pipes {
    self.pipes.withLock { all in
      if let known = all[stream] { return known }
      // A second of 20 ms frames, the oldest dropped first.
      let (heard, continuation) = AsyncStream.makeStream(of: [Int16].self, bufferingPolicy: .bufferingNewest(50))
      let made = Pipes(heard: heard, toProgram: continuation, toPeer: Mailbox(capacity: 256) {})
      all[stream] = made
      return made
    }
  }

  func forget(_ stream: StreamID) {
    let gone = self.pipes.withLock { $0.removeValue(forKey: stream) }
    gone?.toProgram.finish()
    gone?.toPeer.close()
  }
}

/// What the program plays, in the order in which it was handed over; silence while there is nothing.
private final class ProgramSource: AudioStage {
  let format: AudioFormat
  private let lane: Mailbox<[Int16]>
  private var block: [Int16] = []
  private var used = 0

  init(format: AudioFormat, lane: Mailbox<[Int16]>) {
    self.format = format
    self.lane = lane
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    for index in 0..<frame.samples.count {
      while self.used == self.block.count {
        guard let next = self.lane.take() else {
          for rest in index..<frame.samples.count { frame.samples[rest] = 0 }
          return .forward
        }
        (self.block, self.used) = (next, 0)
      }
      frame.samples[index] = self.block[self.used]
      self.used += 1
    }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}

/// What the peer says, handed to the program a frame at a time.
private final class ProgramPlayer: AudioStage {
  let format: AudioFormat
  private let continuation: AsyncStream<[Int16]>.Continuation

  init(format: AudioFormat, continuation: AsyncStream<[Int16]>.Continuation) {
    self.format = format
    self.continuation = continuation
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    var samples: [Int16] = []
    samples.reserveCapacity(frame.samples.count)
    for index in 0..<frame.samples.count { samples.append(frame.samples[index]) }
    self.continuation.yield(samples)
    return .forward
  }

  func finish(_ stream: StreamID) { self.continuation.finish() }
}
