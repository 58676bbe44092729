import Glibc

/// The list of cells that is committed beside the tests: one line each, with the packets that each side must hear and
/// the number of assertions. How many came differs from run to run: the run prints it.
enum CellList {
  static let path = #filePath.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/cells.txt"

  static func line(_ cell: Cell, _ outcome: Outcome) -> String {
    "\(cell.name) packets>=\(cell.packets) assertions=\(outcome.assertions)"
  }

  /// The same with the packets that came.
  static func printedLine(_ cell: Cell, _ outcome: Outcome) -> String {
    "\(cell.name) packets=\(outcome.packets) (>=\(cell.packets)) assertions=\(outcome.assertions)"
      + (outcome.failures.isEmpty ? "" : " failures=\(outcome.failures.count)")
  }

  /// The committed lines; none when there is no file.
  static func committed() -> [String] {
    guard let file = unsafe fopen(self.path, "r") else { return [] }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    while true {
      let more = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
        count = unsafe fread(buffer.baseAddress, 1, 65_536, file)
      }
      if more.isEmpty { break }
      bytes += more
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// Whether the run is to write the list anew.
  static var isRegenerating: Bool { unsafe getenv("APUS_WRITE_CELLS") != nil }

  static func write(_ lines: [String]) -> Bool {
    guard let file = unsafe fopen(self.path, "w") else { return false }
    defer { unsafe fclose(file) }
    let text = lines.joined(separator: "\n") + "\n"
    return unsafe fputs(text, file) >= 0
  }
}
