import FuzzTargets
import Glibc
import Testing

/// The inputs that the fuzzers were given, and those that once failed: each is read again, soundly.
@Suite struct CorpusTests {
  private static let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Corpus"

  static let targets = FuzzTarget.allCases.filter { $0 != .planted }

  @Test("every committed input of a parser is read without a trap", arguments: targets)
  func isSound(target: FuzzTarget) throws {
    let names = Self.names(in: "\(Self.folder)/\(target.rawValue)")
    #expect(!names.isEmpty, "\(target.rawValue) has no corpus")
    for name in names { target.run(try #require(Self.bytes(of: "\(Self.folder)/\(target.rawValue)/\(name)"))) }
  }

  @Test("no folder of inputs is left that no parser reads")
  func isKnown() {
    let folders = Self.names(in: Self.folder)
    #expect(Set(folders) == Set(Self.targets.map(\.rawValue)))
  }

  @Test("the planted mistake is one: an extension whose last element reaches past the end")
  func isPlanted() async {
    let header: [UInt8] = [0x90, 0] + [UInt8](repeating: 0, count: 10)
    FuzzTarget.planted.run(header + [0xBE, 0xDE, 0, 1, 0x02, 0, 0, 0])
    await #expect(processExitsWith: .failure) {
      let header: [UInt8] = [0x90, 0] + [UInt8](repeating: 0, count: 10)
      FuzzTarget.planted.run(header + [0xBE, 0xDE, 0, 1, 0x0F, 0, 0, 0])
    }
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) {
        unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  private static func bytes(of path: String) -> [UInt8]? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { unsafe fclose(file) }
    return unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { room, count in
      count = unsafe fread(room.baseAddress, 1, room.count, file)
    }
  }
}
