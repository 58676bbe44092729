internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Synchronization

/// A recording as its writer knows it; lives on the file thread.
final class OpenRecording: FileWork {
  private let recording: Recording
  private var reader: PCMReader
  private var chunk = [Int16](repeating: 0, count: 16_384)
  /// Bytes of samples in the file, and those that its header knows of.
  private var dataLength = 0
  private var headerLength = 0
  private var hasFailed = false

  init(_ recording: Recording, _ reader: consuming PCMReader) {
    self.recording = recording
    self.reader = reader
  }

  /// Writes what is there; the header follows once a second, at the end, and on a flush.
  func advance(isFlush: Bool) -> Bool {
    // Asked before the ring is emptied: what was written before the flag is then in the ring.
    let isLast = self.recording.isFinished.load(ordering: .acquiring)
    while true {
      var span = self.chunk.mutableSpan
      let count = self.reader.read(into: &span)
      guard count > 0 else { break }
      self.write(count)
    }
    let format = self.recording.format
    if isLast || isFlush || self.dataLength - self.headerLength >= format.sampleCount(milliseconds: 1000) * 2 {
      self.writeHeader()
    }
    if isLast { self.recording.file.close() }
    return isLast
  }

  private func write(_ count: Int) {
    let length = count * 2
    guard !self.hasFailed, self.dataLength + length <= WAVHeader.largestData else {
      AudioFile.tally.countLost(count)
      return
    }
    for index in 0..<count { self.chunk[index] = self.chunk[index].littleEndian }
    let start = WAVHeader.length + self.dataLength
    let isWritten = unsafe self.recording.file.write(self.chunk.span.extracting(..<count).bytes, at: start)
    guard isWritten else {
      self.hasFailed = true
      AudioFile.tally.countFailed()
      AudioFile.tally.countLost(count)
      return
    }
    self.dataLength += length
  }

  private func writeHeader() {
    guard self.headerLength != self.dataLength else { return }
    let bytes = WAVHeader(format: self.recording.format).bytes(dataLength: self.dataLength)
    // A failure shows with the next samples; until then the file is valid as far as its header goes.
    if bytes.withRawSpan({ self.recording.file.write($0, at: 0) }) { self.headerLength = self.dataLength }
  }
}
