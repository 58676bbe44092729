internal import Glibc
internal import Handoff
internal import ModuleKit
internal import Synchronization

/// What a stream's player and the file thread share of one recording.
final class Recording: Sendable {
  let format: AudioFormat
  let descriptor: Int32
  /// Two seconds: as long may the disk stall.
  let ring: PCMRing
  /// The player will write no more.
  let isFinished = Atomic<Bool>(false)
  private let path: String
  private let names: Locked<NamesInUse>
  private let isTaken = Atomic<Bool>(false)
  private let isClosed = Atomic<Bool>(false)

  /// Creates the file, with a header that makes it a valid and empty one.
  init(path: String, format: AudioFormat, names: Locked<NamesInUse>) throws(ModuleError) {
    self.path = names.withLock { $0.claim(path) }
    self.names = names
    self.format = format
    self.ring = PCMRing(capacity: format.sampleCount(milliseconds: 2000))
    // Without O_NONBLOCK, opening a named pipe would wait for its reader.
    self.descriptor = unsafe open(self.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0o644)
    let isWritten =
      self.descriptor >= 0 && write(WAVHeader(format: format).bytes(dataLength: 0), self.descriptor, at: 0)
    guard isWritten else {
      let code = errno
      throw ModuleError(.cannotCreate, "audio_player aufile: \(self.path): \(reason(code))")
    }
  }

  deinit { self.close() }

  /// The right to write; once.
  func take() -> Bool { !self.isTaken.exchange(true, ordering: .acquiringAndReleasing) }

  /// Gives back the file and its name.
  func close() {
    guard !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    if self.descriptor >= 0 { Glibc.close(self.descriptor) }
    self.names.withLock { $0.release(self.path) }
  }
}

/// The files being written, so that two calls at the same time don't write into one.
struct NamesInUse {
  private var names: Set<String> = []

  /// The path, or with `-2`, `-3` … before its extension while it is in use.
  mutating func claim(_ path: String) -> String {
    var candidate = path
    var number = 2
    while !self.names.insert(candidate).inserted {
      candidate = numbered(path, number)
      number += 1
    }
    return candidate
  }

  mutating func release(_ path: String) { self.names.remove(path) }
}

private func numbered(_ path: String, _ number: Int) -> String {
  let nameStart = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  guard let dot = path[nameStart...].lastIndex(of: "."), dot > nameStart else { return "\(path)-\(number)" }
  return "\(path[..<dot])-\(number)\(path[dot...])"
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

/// Writes all of `bytes` at `offset`; false, with `errno`, when the file takes no more.
func write(_ bytes: [UInt8], _ descriptor: Int32, at offset: Int) -> Bool {
  unsafe bytes.withUnsafeBytes { unsafe write($0, descriptor, at: offset) }
}

func write(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32, at offset: Int) -> Bool {
  var done = 0
  while let base = bytes.baseAddress, done < bytes.count {
    let count = unsafe pwrite(descriptor, base + done, bytes.count - done, offset + done)
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    done += count
  }
  return true
}
