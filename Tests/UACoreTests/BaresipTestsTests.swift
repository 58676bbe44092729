import Testing

@testable import UACore

/// The table of baresip's self-test names is true.
@Suite struct BaresipTestsTests {
  static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

  struct Row {
    let name: String
    let place: String
    let function: String
  }

  static func rows() throws -> [Row] {
    let text = try ConfigFolder.readText("\(root)/Docs/baresip-tests.md")
    return text.split(separator: "\n").compactMap { line in
      guard line.hasPrefix("| `test_") else { return nil }
      let cells = line.split(separator: "|").map { $0.filter { $0 != "`" } }
      func trimmed(_ text: String) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      }
      return Row(name: trimmed(cells[0]), place: trimmed(cells[1]), function: cells.count > 2 ? trimmed(cells[2]) : "")
    }
  }

  @Test("every name of baresip's self-test is in the table, once")
  func complete() throws {
    let names = try Self.rows().map(\.name)
    #expect(Set(names).count == names.count && names.count == 67)
  }

  @Test("every test that the table names is there, or the reason why there is none")
  func exist() throws {
    for row in try Self.rows() {
      if row.place.hasPrefix("none: ") {
        #expect(row.function.isEmpty && row.place.count > 15, "\(row.name)")
        continue
      }
      let text = try ConfigFolder.readText("\(Self.root)/\(row.place)")
      #expect(text.contains("func \(row.function)("), "\(row.name): \(row.place) has no \(row.function)")
    }
  }
}
