internal import Handoff
internal import ModuleKit
internal import Synchronization

/// Records what a stream plays: hands it to the file thread, and never waits.
final class FilePlayer: AudioStage {
  let format: AudioFormat
  private let recording: Recording
  private var writer: PCMWriter?

  init(recording: Recording) throws(ModuleError) {
    precondition(recording.take(), "a recording has one player")
    self.recording = recording
    self.format = recording.format
    var ends = recording.ring.ends()
    self.writer = ends.writer.take()
    guard let reader = ends.reader.take(), FileThread.shared.begin(OpenRecording(recording, reader)) else {
      throw ModuleError(.unavailable, "audio_player aufile: the disk is too slow for one more recording")
    }
  }

  /// A player that is dropped without a last word completes its file too.
  deinit { self.complete() }

  func process(_ frame: inout AudioFrame) -> Verdict {
    let written = self.writer?.write(frame.samples.span) ?? 0
    if written < frame.samples.count { AudioFile.tally.countLost(frame.samples.count - written) }
    return .drop
  }

  func finish(_ stream: StreamID) { self.complete() }

  private func complete() {
    guard self.writer.take() != nil else { return }
    self.recording.isFinished.store(true, ordering: .releasing)
    FileThread.shared.wake()
  }
}
