import Testing

/// Each claim of Docs/security.md names a test, which is there.
@Suite struct SecurityTableTests {
  static func titles() throws -> [String] {
    let text = try #require(Repository.text(of: "Docs/security.md"))
    return text.split(separator: "\n").compactMap { line in
      guard line.hasPrefix("| "), line.hasSuffix("\" |") else { return nil }
      return line.dropLast(3).split(separator: "\"").last.map(String.init)
    }
  }

  @Test("every claim's test is there")
  func exist() throws {
    let titles = try Self.titles()
    #expect(titles.count > 40)
    let tests = Repository.swiftFiles(below: "Tests", "Modules").compactMap(Repository.text(of:))
    for title in titles { #expect(tests.contains { $0.contains("\"\(title)\"") }, "\(title)") }
  }

  @Test("no claim is without one")
  func complete() throws {
    let text = try #require(Repository.text(of: "Docs/security.md"))
    let rows = text.split(separator: "\n").filter {
      $0.hasPrefix("| ") && !$0.hasPrefix("| he tries") && !$0.hasPrefix("| it tries") && !$0.hasPrefix("| what")
    }
    #expect(try rows.count == Self.titles().count)
  }
}
