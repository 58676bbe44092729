internal import ModuleKit
internal import NetBase
internal import Synchronization

/// Records what a stream receives: hands it to the file thread, and never waits.
final class IVFSink: VideoSink {
  private let film: Film

  init(_ file: RecordingFile, _ coding: IVFCoding) throws(ModuleError) {
    let film = Film()
    self.film = film
    guard FileThread.shared.begin(FilmWriter(film, file, coding)) else {
      throw ModuleError(.unavailable, "video_display ivf: the disk is too slow for one more recording")
    }
  }

  /// One that is dropped without a last word completes its file too.
  deinit { self.film.finish() }

  func take(_ frame: RawSpan, _ info: VideoFrameInfo, now: Instant) {
    guard !self.film.isFinished.load(ordering: .relaxed) else { return }
    self.film.lane.put(frame, info, now: now)
  }

  func takeKeyFrameRequest() -> Bool { self.film.lane.takeKeyFrameRequest() }

  func finish() { self.film.finish() }
}
