internal import Glibc

/// The repository as files, read with the C library: Foundation's `Process` leaks under LeakSanitizer.
enum Repository {
  /// The folder that holds Package.swift.
  static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

  /// Swift files below the folders, as paths from the root, sorted.
  static func swiftFiles(below folders: String...) -> [String] {
    lines("cd \(root) && find \(folders.joined(separator: " ")) -name '*.swift' -not -path '*/.build*' | sort")
  }

  /// The file's text; nil when there is none.
  static func text(of path: String) -> String? {
    guard let file = unsafe fopen("\(root)/\(path)", "r") else { return nil }
    defer { unsafe fclose(file) }
    return unsafe read(file)
  }

  /// What a shell command prints, by line.
  static func lines(_ command: String) -> [String] {
    output(of: command).split(separator: "\n").map(String.init)
  }

  /// What a shell command prints.
  static func output(of command: String) -> String {
    guard let pipe = unsafe popen(command, "r") else { return "" }
    defer { unsafe pclose(pipe) }
    return unsafe read(pipe)
  }

  private static func read(_ file: UnsafeMutablePointer<FILE>) -> String {
    var bytes: [UInt8] = []
    let chunk = 65536
    while true {
      let more = unsafe [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
        count = unsafe fread(buffer.baseAddress, 1, chunk, file)
      }
      bytes += more
      if more.count < chunk { return String(decoding: bytes, as: UTF8.self) }
    }
  }
}
