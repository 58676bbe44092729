internal import Glibc

/// What tells a file, and its contents, from others.
struct FileState: Hashable {
  let device: UInt64
  let inode: UInt64
  let size: Int
  let seconds: Int
  let nanoseconds: Int
}

/// A file that is open for reading.
struct InputFile: ~Copyable {
  /// 256 MiB: 46 minutes of stereo at 48 kHz, or of video at 780 kbit/s.
  static let largest = 256 << 20

  private let path: String
  private let user: String
  private let descriptor: Int32

  /// - Parameter user: who asks, for the error: `audio_source aufile`.
  init(path: String, user: String) throws(ModuleError) {
    (self.path, self.user) = (path, user)
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    self.descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if self.descriptor < 0 { throw self.trouble(reason(errno)) }
  }

  deinit { if self.descriptor >= 0 { close(self.descriptor) } }

  func state() throws(ModuleError) -> FileState {
    var status = stat()
    guard unsafe fstat(self.descriptor, &status) == 0 else { throw self.trouble(reason(errno)) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw self.trouble("not a regular file") }
    guard status.st_size <= Self.largest else {
      throw self.trouble("\(status.st_size >> 20) MiB; \(Self.largest >> 20) MiB are possible")
    }
    return FileState(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int(status.st_size),
      seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }

  func contents(_ state: FileState) throws(ModuleError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: state.size)
    var filled = 0
    while filled < bytes.count {
      let count = unsafe bytes.withUnsafeMutableBytes { room in
        unsafe read(self.descriptor, room.baseAddress.map { unsafe $0 + filled }, room.count - filled)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw self.trouble(reason(errno)) }
      guard count > 0 else { break }
      filled += count
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  private func trouble(_ reason: String) -> ModuleError {
    ModuleError(.noInput, "\(self.user): \(self.path): \(reason)")
  }
}

/// The system's words for an error, in lower case.
func reason(_ code: Int32) -> String {
  guard let text = unsafe strerror(code) else { return "error \(code)" }
  return unsafe String(cString: text).lowercased()
}
