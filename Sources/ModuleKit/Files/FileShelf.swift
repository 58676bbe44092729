/// The file that was read last, so that a hundred calls with the same one share one copy.
package struct FileShelf<Content> {
  private var last: (state: FileState, content: Content)?

  package init() {}

  /// Reads the whole file, because a transport must not wait for a disk.
  ///
  /// - Parameters:
  ///   - user: who asks, for the error: `audio_source aufile`.
  ///   - read: makes sense of the file's bytes.
  package mutating func content(
    at path: String, user: String, read: ([UInt8]) throws -> Content
  ) throws(ModuleError) -> Content {
    let input = try InputFile(path: path, user: user)
    let state = try input.state()
    if let last, last.state == state { return last.content }
    let bytes = try input.contents(state)
    let content: Content
    do { content = try read(bytes) } catch { throw ModuleError(.noInput, "\(user): \(path): \(error)") }
    self.last = (state, content)
    return content
  }
}
