internal import ModuleKit
internal import NetBase

/// Sends a file that is in memory already, at its own pace, over and over.
///
/// A key frame can't be made: who asks for one gets the file's next, at once.
final class IVFSource: VideoSource {
  private let file: IVFFile
  private var index = 0
  private var start: Instant?
  /// When the file's first frame is due, in this round.
  private var round = Instant(nanoseconds: 0)

  init(_ file: IVFFile) { self.file = file }

  /// At once, before the first frame.
  var nextDeadline: Instant? { self.round.advanced(byNanoseconds: self.file.frames[self.index].time) }

  func next(now: Instant, _ send: (RawSpan, VideoFrameInfo) -> Void) -> Bool {
    let frame = self.file.frames[self.index]
    if self.start == nil { (self.start, self.round) = (now, now) }
    var due = self.round.advanced(byNanoseconds: frame.time)
    let late = now.nanoseconds(since: due)
    guard late >= 0 else { return false }
    // Who was kept from sending for a second goes on from here, without a burst.
    if late > 1_000_000_000 { (self.round, due) = (self.round.advanced(byNanoseconds: late), now) }
    let elapsed = due.nanoseconds(since: self.start ?? now)
    self.file.bytes.withRawSpan { bytes in
      send(
        bytes.extracting(frame.range),
        VideoFrameInfo(timestamp: UInt32(truncatingIfNeeded: elapsed / 100 * 9 / 1000), isKeyFrame: frame.isKeyFrame))
    }
    self.index += 1
    if self.index == self.file.frames.count {
      self.index = 0
      self.round = self.round.advanced(byNanoseconds: self.file.period)
    }
    return true
  }

  func requestKeyFrame() {
    let frame = self.file.frames[self.index]
    guard !frame.isKeyFrame else { return }
    // The first frame of a file is one.
    self.index = self.file.frames[self.index...].firstIndex { $0.isKeyFrame } ?? 0
    self.round = self.round.advanced(byNanoseconds: frame.time - self.file.frames[self.index].time)
  }

  func finish() {}
}
