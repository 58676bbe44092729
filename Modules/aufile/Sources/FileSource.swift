internal import ModuleKit
internal import NetBase

/// Plays a file that is in memory already, from its start, once.
final class FileSource: AudioStage {
  private let file: WAVFile
  private var position = 0
  private var hasEnded = false

  init(file: WAVFile) { self.file = file }

  var format: AudioFormat { self.file.format }

  /// The frame with the file's last sample is the last; silence follows.
  func process(_ frame: inout AudioFrame) -> Verdict {
    let count = min(frame.samples.count, self.file.samples.count - self.position)
    for index in 0..<count { frame.samples[index] = self.file.samples[self.position + index] }
    for index in count..<frame.samples.count { frame.samples[index] = 0 }
    self.position += count
    guard !self.hasEnded, self.position == self.file.samples.count else { return .forward }
    self.hasEnded = true
    return .end
  }

  func finish(_ stream: StreamID) {}
}
