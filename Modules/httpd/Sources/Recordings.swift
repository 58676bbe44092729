internal import Foundation
package import ModuleKit

/// What visitors of the page have recorded: a few files in a folder, the newest first.
package final class Recordings {
  private let folder: URL
  private let isTemporary: Bool
  private var made: [String] = []

  /// Files that are kept; the oldest goes when there are more.
  static let most = 20

  /// - Parameter folder: empty for a new one, which `remove` removes.
  package init(folder: String) throws(ModuleError) {
    self.isTemporary = folder.isEmpty
    let name = "apus-recordings-\(UUID().uuidString)"
    self.folder =
      folder.isEmpty ? FileManager.default.temporaryDirectory.appending(path: name) : URL(filePath: folder)
    do {
      try FileManager.default.createDirectory(
        at: self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw ModuleError(.cannotCreate, "module httpd: http_recordings \(self.folder.path) can't be created")
    }
  }

  deinit { self.remove() }

  /// The path of a new file. Nothing goes for it until `removeOldest`; `drop` takes it back.
  func make() -> String {
    let name = "\(UUID().uuidString).wav"
    self.made.insert(name, at: 0)
    return self.url(name).path
  }

  /// A new one is recorded: the oldest goes where there are too many.
  func removeOldest() {
    while self.made.count > Self.most { try? FileManager.default.removeItem(at: self.url(self.made.removeLast())) }
  }

  /// Nothing is recorded there after all.
  func drop(_ path: String) {
    self.made.removeAll { self.url($0).path == path }
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Those that have something to hear.
  var names: [String] { self.made.filter { FileManager.default.fileExists(atPath: self.url($0).path) } }

  /// Where a recording is; nil where there is none of that name. The file is not looked at.
  func path(of name: String) -> String? { self.made.contains(name) ? self.url(name).path : nil }

  func remove() { if self.isTemporary { try? FileManager.default.removeItem(at: self.folder) } }

  private func url(_ name: String) -> URL { self.folder.appending(path: name) }
}
