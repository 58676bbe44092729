internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Synchronization

/// The driver behind `Call.video` and `Call.send`: encoded frames between a call and the program that made it.
///
/// The program's side is reached by bounded lanes, so a program that is slow loses frames and never delays a packet.
final class ProgramVideo: Sendable {
  /// One call's lanes.
  final class Pipes: Sendable {
    let seen: AsyncStream<EncodedVideoFrame>
    let toProgram: AsyncStream<EncodedVideoFrame>.Continuation
    /// Frames that were dropped, for the program had not read those before them, or reads no more.
    let unread = Atomic<Int>(0)
    /// One element for each key frame that the peer asks for.
    let wishes: AsyncStream<Void>
    let wish: AsyncStream<Void>.Continuation
    let toPeer: Mailbox<EncodedVideoFrame>
    /// The codec that was agreed on last, as in `a=rtpmap`.
    let encodingName = Locked<String?>(nil)
    /// What the transport is woken by, once there is one.
    let wake: Locked<@Sendable () -> Void>
    /// Whether a key frame of the peer's is wanted; the transport asks after each frame, so there is no lock.
    let wantsKeyFrame = Atomic<Bool>(false)

    init() {
      // Two seconds, the oldest dropped first.
      (self.seen, self.toProgram) = AsyncStream.makeStream(
        of: EncodedVideoFrame.self, bufferingPolicy: .bufferingNewest(60))
      (self.wishes, self.wish) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
      let wake = Locked<@Sendable () -> Void>({})
      self.toPeer = Mailbox(capacity: 64) { wake.withLock { $0 }() }
      self.wake = wake
    }

    func close() {
      self.toProgram.finish()
      self.wish.finish()
      self.toPeer.close()
    }

    /// Takes what the core says when a call has agreed on video.
    func prepare(_ request: VideoRequest) {
      self.wake.withLock { $0 = request.wake }
      self.encodingName.withLock { $0 = request.encodingName }
    }
  }

  private struct Known {
    weak var pipes: Pipes?
  }

  /// The planned stages and the `Call` keep them: of a call that came to nothing, nothing stays.
  private let known = Locked<[StreamID: Known]>([:])

  /// The driver's name in the agent's settings.
  static let name = "program_video"

  var facets: [Facet] {
    [
      .videoSource { [self] request in
        let pipes = self.pipes(of: request.stream)
        pipes.prepare(request)
        return { ProgramVideoSource(pipes) }
      },
      .videoSink { [self] request in
        let pipes = self.pipes(of: request.stream)
        pipes.prepare(request)
        return { ProgramVideoSink(pipes) }
      },
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

/// What the program sends, in the order in which it was handed over.
private final class ProgramVideoSource: VideoSource {
  private let pipes: ProgramVideo.Pipes

  init(_ pipes: ProgramVideo.Pipes) { self.pipes = pipes }

  let nextDeadline: Instant? = nil

  func next(now: Instant, _ send: (RawSpan, VideoFrameInfo) -> Void) -> Bool {
    guard let frame = self.pipes.toPeer.take() else { return false }
    let info = VideoFrameInfo(timestamp: frame.timestamp, isKeyFrame: frame.isKeyFrame)
    frame.bytes.withRawSpan { send($0, info) }
    return true
  }

  func requestKeyFrame() { self.pipes.wish.yield() }

  // The pipes last as long as the call; its video may come and go.
  func finish() {}
}

/// What the peer shows, handed to the program a frame at a time.
private final class ProgramVideoSink: VideoSink {
  private let pipes: ProgramVideo.Pipes

  init(_ pipes: ProgramVideo.Pipes) { self.pipes = pipes }

  func take(_ frame: RawSpan, _ info: VideoFrameInfo, now: Instant) {
    let copy = EncodedVideoFrame(
      bytes: frame.copied(), timestamp: info.timestamp, isKeyFrame: info.isKeyFrame)
    let result = self.pipes.toProgram.yield(copy)
    if case .enqueued = result { return }
    self.pipes.unread.add(1, ordering: .relaxed)
    // Whoever lost a frame can't decode what follows; one whose reader was cancelled wants nothing.
    if case .dropped = result { self.pipes.wantsKeyFrame.store(true, ordering: .relaxed) }
  }

  func takeKeyFrameRequest() -> Bool { self.pipes.wantsKeyFrame.exchange(false, ordering: .relaxed) }

  func finish() {}
}
