internal import Glibc

/// A file on its way to a peer, as long as it was when it was opened. Belongs to the connection's thread.
final class ServedFile {
  /// Bytes that were not read yet.
  private(set) var rest: Int
  private let descriptor: CInt

  /// Bytes of a piece: what a connection holds of the file at one time.
  static let pieceLength = 65_536

  /// Nil where there is no such file, or it can't be read.
  init?(_ path: String) {
    self.descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    self.rest = 0
    guard self.descriptor >= 0 else { return nil }
    var status = stat()
    guard unsafe fstat(self.descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    self.rest = Int(status.st_size)
  }

  deinit { if self.descriptor >= 0 { close(self.descriptor) } }

  /// The next piece; nil where the file has become shorter, or can't be read any more.
  func next() -> [UInt8]? {
    let wanted = min(self.rest, Self.pieceLength)
    let piece = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
      count = unsafe max(0, Glibc.read(self.descriptor, buffer.baseAddress, wanted))
    }
    guard !piece.isEmpty else { return nil }
    self.rest -= piece.count
    return piece
  }
}
