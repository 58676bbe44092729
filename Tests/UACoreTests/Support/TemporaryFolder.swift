internal import Glibc
internal import Testing

/// A folder that is removed with its owner.
struct TemporaryFolder: ~Copyable {
  let path: String

  init() throws {
    var template = Array(("/tmp/apus-config-" + String(repeating: "X", count: 6)).utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer { buffer -> String? in
      guard let start = buffer.baseAddress, unsafe mkdtemp(start) != nil else { return nil }
      return unsafe String(cString: start)
    }
    self.path = try #require(made)
  }

  deinit { unsafe system("rm -rf '\(self.path)'") }

  func write(_ text: String, to name: String) throws {
    let bytes = Array(text.utf8)
    let file = unsafe open("\(self.path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
    close(file)
    try #require(count == bytes.count)
  }
}
