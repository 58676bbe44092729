import Testing

/// The table of baresip's self-test names is true: each has a test of ours, which is there and bears its name, or a
/// reason.
@Suite struct BaresipTableTests {
  struct Row {
    let name: String
    let place: String
    let function: String
  }

  static func rows() throws -> [Row] {
    let text = try #require(Repository.text(of: "Docs/baresip-tests.md"))
    return text.split(separator: "\n").compactMap { line in
      guard line.hasPrefix("| `test_") else { return nil }
      let cells = line.split(separator: "|").map { cell in
        let text = cell.filter { $0 != "`" }.drop { $0 == " " }
        return String(text.reversed().drop { $0 == " " }.reversed())
      }
      return Row(name: cells[0], place: cells[1], function: cells.count > 2 ? cells[2] : "")
    }
  }

  /// The attribute above a test function, and its file.
  static func test(_ row: Row) throws -> (attribute: String, text: String) {
    let text = try #require(Repository.text(of: row.place), "\(row.name): there is no \(row.place)")
    let place = try #require(text.firstRange(of: "func \(row.function)("), "\(row.place) has no \(row.function)")
    let above = text[..<place.lowerBound]
    let start = try #require(above.ranges(of: "@Test").last, "\(row.place): \(row.function) is no test")
    return (String(above[start.lowerBound...]), text)
  }

  @Test("every name of baresip's self-test is in the table, once")
  func complete() throws {
    let names = try Self.rows().map(\.name)
    #expect(Set(names).count == names.count && names.count == 67)
  }

  @Test("every test that the table names is there and bears the name, or the reason why there is none")
  func exist() throws {
    for row in try Self.rows() {
      if row.place.hasPrefix("none: ") {
        #expect(row.function.isEmpty && row.place.count > 15, "\(row.name)")
      } else {
        let title = try Self.test(row).attribute
        #expect(title.contains("\(row.name):") || title.contains("\(row.name),"), "\(row.place): \(row.function)")
      }
    }
  }

  @Test("what runs an agent runs in every receive mode")
  func everyMode() throws {
    // The SIP machine alone, or the transport is what is tested.
    let signalling: Set = ["test_call_cancel", "test_call_deny_udp", "test_call_sni", "test_call_cert_select"]
    let agents = [
      "test_call_", "test_contact", "test_cparam_call", "test_message", "test_peerconn", "test_play", "test_ua",
    ]
    let rows = try Self.rows().filter { row in agents.contains { row.name.hasPrefix($0) } }
    #expect(rows.count == 51)
    for row in rows where !row.place.hasPrefix("none: ") {
      let attribute = try Self.test(row).attribute
      let modes = ["RxMode.allCases", "ReceiveMode.allCases", "Cell.all", "Case.all"]
      let hasModes = modes.contains { attribute.contains($0) }
      #expect(hasModes || signalling.contains(row.name), "\(row.name): \(row.place) \(row.function)")
    }
  }
}
