internal import Glibc
package import Handoff
internal import NetBase
internal import Synchronization

/// A file that a stream is recorded in, under a name that no other recording has at the time.
package final class RecordingFile: Sendable {
  private let descriptor: Int32
  private let path: String
  private let names: Locked<NamesInUse>
  private let isClosed = Atomic<Bool>(false)

  /// Creates the file, with a header that makes it a valid and empty one.
  ///
  /// - Parameter user: who asks, for the error: `audio_player aufile`.
  package init(
    path: String, names: Locked<NamesInUse>, header: [UInt8], user: String
  ) throws(ModuleError) {
    self.path = names.withLock { $0.claim(path) }
    self.names = names
    // Without O_NONBLOCK, opening a named pipe would wait for its reader.
    self.descriptor = unsafe open(self.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0o644)
    let isWritten = self.descriptor >= 0 && header.withRawSpan { self.write($0, at: 0) }
    guard isWritten else {
      let code = errno
      throw ModuleError(.cannotCreate, "\(user): \(self.path): \(reason(code))")
    }
  }

  deinit { self.close() }

  /// Writes all of `bytes` at `offset`; false when the file takes no more, or is given back.
  package func write(_ bytes: RawSpan, at offset: Int) -> Bool {
    guard !self.isClosed.load(ordering: .acquiring) else { return false }
    return unsafe bytes.withUnsafeBytes { bytes in
      var done = 0
      while let base = bytes.baseAddress, done < bytes.count {
        let count = unsafe pwrite(self.descriptor, base + done, bytes.count - done, offset + done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        done += count
      }
      return true
    }
  }

  /// Gives back the file and its name.
  package func close() {
    guard !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
    if self.descriptor >= 0 { Glibc.close(self.descriptor) }
    self.names.withLock { $0.release(self.path) }
  }
}
