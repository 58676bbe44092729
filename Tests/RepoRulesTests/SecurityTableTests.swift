import Testing

/// Each claim of Docs/security.md names a test, which is there.
@Suite struct SecurityTableTests {
  /// The titles that the last cell of each claim has in quotes.
  static func claims() throws -> [[String]] {
    let text = try #require(Repository.text(of: "Docs/security.md"))
    return text.split(separator: "\n").compactMap { line in
      guard line.hasPrefix("| "), line.hasSuffix("\" |") else { return nil }
      let parts = (line.dropLast(2).split(separator: "|").last ?? "").split(separator: "\"")
      return parts.indices.filter { $0 % 2 == 1 }.map { String(parts[$0]) }
    }
  }

  @Test("every claim's tests are there")
  func exist() throws {
    let claims = try Self.claims()
    #expect(claims.count > 40 && claims.allSatisfy { !$0.isEmpty })
    let tests = Repository.swiftFiles(below: "Tests", "Modules").compactMap(Repository.text(of:))
    for title in claims.joined() { #expect(tests.contains { $0.contains("\"\(title)\"") }, "\(title)") }
  }

  @Test("no claim is without one")
  func complete() throws {
    let text = try #require(Repository.text(of: "Docs/security.md"))
    let rows = text.split(separator: "\n").filter {
      $0.hasPrefix("| ") && !$0.hasPrefix("| he tries") && !$0.hasPrefix("| it tries") && !$0.hasPrefix("| what")
    }
    #expect(try rows.count == Self.claims().count)
  }
}
