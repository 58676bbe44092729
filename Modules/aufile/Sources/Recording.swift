internal import Handoff
internal import ModuleKit
internal import Synchronization

/// What a stream's player and the file thread share of one recording.
final class Recording: Sendable {
  let format: AudioFormat
  let file: RecordingFile
  /// Two seconds: as long may the disk stall.
  let ring: PCMRing
  /// The player will write no more.
  let isFinished = Atomic<Bool>(false)
  private let isTaken = Atomic<Bool>(false)

  /// Creates the file, with a header that makes it a valid and empty one.
  init(path: String, format: AudioFormat, names: Locked<NamesInUse>) throws(ModuleError) {
    self.file = try RecordingFile(
      path: path, names: names, header: WAVHeader(format: format).bytes(dataLength: 0), user: "audio_player aufile")
    self.format = format
    self.ring = PCMRing(capacity: format.sampleCount(milliseconds: 2000))
  }

  /// The right to write; once.
  func take() -> Bool { !self.isTaken.exchange(true, ordering: .acquiringAndReleasing) }
}

/// The first 44 bytes of a recording: 16-bit PCM.
struct WAVHeader {
  static let length = 44
  /// RIFF counts in 32 bits.
  static let largestData = Int(UInt32.max) - 36

  let format: AudioFormat

  func bytes(dataLength: Int) -> [UInt8] {
    var bytes = Array("RIFF".utf8)
    bytes.append(littleEndian32: 36 + dataLength)
    bytes += Array("WAVEfmt ".utf8)
    bytes.append(littleEndian32: 16)
    bytes.append(littleEndian16: 1)
    bytes.append(littleEndian16: self.format.channels)
    bytes.append(littleEndian32: self.format.sampleRate)
    bytes.append(littleEndian32: self.format.sampleRate * self.format.channels * 2)
    bytes.append(littleEndian16: self.format.channels * 2)
    bytes.append(littleEndian16: 16)
    bytes += Array("data".utf8)
    bytes.append(littleEndian32: dataLength)
    return bytes
  }
}
