internal import ModuleKit
internal import NetBase
internal import Synchronization

/// What a stream's display and the file thread share of one recording.
final class Film: Sendable {
  /// Two seconds: as long may the disk stall.
  let lane = VideoLane(capacity: 64, limit: 1 << 20) {}
  /// The display will put no more.
  let isFinished = Atomic<Bool>(false)

  func finish() {
    guard !self.isFinished.exchange(true, ordering: .acquiringAndReleasing) else { return }
    FileThread.shared.wake()
  }
}

/// A recording as its writer knows it; lives on the file thread.
final class FilmWriter: FileWork {
  private let film: Film
  private let file: RecordingFile
  private var header: IVFHeader
  /// Bytes in the file, and frames of which its header knows.
  private var length = IVFHeader.length
  private var headerCount = 0
  private var clock = FilmClock()
  private var hasFailed = false
  private var lost = 0

  init(_ film: Film, _ file: RecordingFile, _ coding: IVFCoding) {
    (self.film, self.file, self.header) = (film, file, IVFHeader(coding: coding))
  }

  /// Writes what is there; the header follows after thirty frames, at the end, and on a flush.
  func advance(isFlush: Bool) -> Bool {
    // Asked before the lane is emptied: what was put before the flag is then in the lane.
    let isLast = self.film.isFinished.load(ordering: .acquiring)
    while self.film.lane.take({ bytes, info, _ in self.write(bytes, info) }) {}
    if isLast || isFlush || self.header.frameCount - self.headerCount >= 30 { self.writeHeader() }
    let lost = self.film.lane.dropCount
    IVF.tally.countLost(lost - self.lost)
    self.lost = lost
    if isLast { self.file.close() }
    return isLast
  }

  private func write(_ frame: RawSpan, _ info: VideoFrameInfo) {
    guard !self.hasFailed else { return IVF.tally.countLost(1) }
    if self.header.frameCount == 0, self.header.coding == .vp8, let key = VP8KeyFrame(frame) {
      (self.header.width, self.header.height) = (key.width, key.height)
    }
    let time = self.clock.time(of: info.timestamp)
    let isWritten =
      IVFHeader.frame(length: frame.byteCount, timestamp: time).withRawSpan { self.file.write($0, at: self.length) }
      && self.file.write(frame, at: self.length + IVFHeader.frameLength)
    guard isWritten else {
      self.hasFailed = true
      IVF.tally.countFailed()
      IVF.tally.countLost(1)
      return
    }
    self.length += IVFHeader.frameLength + frame.byteCount
    self.header.frameCount += 1
  }

  private func writeHeader() {
    guard self.headerCount != self.header.frameCount else { return }
    // A failure shows with the next frame; until then the file is valid as far as its header goes.
    if self.header.bytes.withRawSpan({ self.file.write($0, at: 0) }) { self.headerCount = self.header.frameCount }
  }
}

/// Time stamps of the RTP clock, from 0 and without an end.
private struct FilmClock {
  private var last: UInt32?
  private var position: Int64 = 0

  /// What comes before the first frame, as one that is shown before it may, counts as with it.
  mutating func time(of timestamp: UInt32) -> Int64 {
    if let last { self.position += Int64(Int32(bitPattern: timestamp &- last)) }
    self.last = timestamp
    return max(self.position, 0)
  }
}
