internal import Dispatch
internal import Glibc
internal import Handoff
internal import ModuleKit
internal import Synchronization

/// What recordings lost.
package struct RecordingLosses: Hashable, Sendable {
  /// Samples that found the ring full because the disk stalled, or came after a failed write.
  package let samples: Int
  /// Recordings that ended early because their disk was full or broken.
  package let files: Int
}

/// The one thread of the process that writes recordings: only it waits for disks.
///
/// It looks at all rings ten times a second while something is recorded, and sleeps otherwise.
final class FileThread: Sendable {
  static let shared = FileThread()

  private enum Message: ~Copyable, Sendable {
    case record(Recording, PCMReader)
    case flush(DispatchSemaphore)
  }

  private let bell = DispatchSemaphore(value: 0)
  private let mailbox: Mailbox<Message>
  private let lostSamples = Atomic<Int>(0)
  private let failedFiles = Atomic<Int>(0)

  private init() {
    let bell = self.bell
    self.mailbox = Mailbox(capacity: 1024) { bell.signal() }
    var handle = pthread_t()
    let status = unsafe pthread_create(
      &handle, nil,
      { _ in
        FileThread.shared.run()
        return nil
      }, nil)
    precondition(status == 0, "no more threads")
    pthread_detach(handle)
    atexit { AudioFile.flush(timeout: 2) }
  }

  var losses: RecordingLosses {
    RecordingLosses(
      samples: self.lostSamples.load(ordering: .relaxed), files: self.failedFiles.load(ordering: .relaxed))
  }

  /// Takes a recording on; false when too many wait already.
  func start(_ recording: Recording, _ reader: consuming PCMReader) -> Bool {
    self.mailbox.post(.record(recording, reader))
  }

  func countLost(_ samples: Int) { self.lostSamples.add(samples, ordering: .relaxed) }

  func countFailed() { self.failedFiles.add(1, ordering: .relaxed) }

  func wake() { self.bell.signal() }

  func flush(timeout: Int) -> Bool {
    let isDone = DispatchSemaphore(value: 0)
    return self.mailbox.post(.flush(isDone)) && isDone.wait(timeout: .now() + .seconds(timeout)) == .success
  }

  private func run() {
    var recordings: [OpenRecording] = []
    var waiters: [DispatchSemaphore] = []
    while true {
      if recordings.isEmpty {
        self.bell.wait()
      } else {
        _ = self.bell.wait(timeout: .now() + .milliseconds(100))
      }
      while let message = self.mailbox.take() {
        switch consume message {
        case .record(let recording, let reader): recordings.append(OpenRecording(recording, reader))
        case .flush(let waiter): waiters.append(waiter)
        }
      }
      for recording in recordings { recording.advance(isFlush: !waiters.isEmpty) }
      recordings.removeAll { $0.isComplete }
      for waiter in waiters { waiter.signal() }
      waiters.removeAll()
    }
  }
}

/// A recording as its writer knows it; lives on the file thread.
private final class OpenRecording {
  private(set) var isComplete = false
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
  func advance(isFlush: Bool) {
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
    guard isLast else { return }
    self.recording.close()
    self.isComplete = true
  }

  private func write(_ count: Int) {
    let length = count * 2
    guard !self.hasFailed, self.dataLength + length <= WAVHeader.largestData else {
      FileThread.shared.countLost(count)
      return
    }
    for index in 0..<count { self.chunk[index] = self.chunk[index].littleEndian }
    let isWritten = unsafe self.chunk.withUnsafeBytes { bytes in
      unsafe aufile.write(
        UnsafeRawBufferPointer(rebasing: bytes[..<length]), self.recording.descriptor,
        at: WAVHeader.length + self.dataLength)
    }
    guard isWritten else {
      self.hasFailed = true
      FileThread.shared.countFailed()
      FileThread.shared.countLost(count)
      return
    }
    self.dataLength += length
  }

  private func writeHeader() {
    guard self.headerLength != self.dataLength else { return }
    let bytes = WAVHeader(format: self.recording.format).bytes(dataLength: self.dataLength)
    // A failure shows with the next samples; until then the file is valid as far as its header goes.
    if aufile.write(bytes, self.recording.descriptor, at: 0) { self.headerLength = self.dataLength }
  }
}
