internal import Testing

/// A module is a folder, a line in Package.swift and a line in AllModules; here is who forgot which.
@Suite struct ModuleFolderTests {
  @Test("a module has a README, sources, tests, and its two lines", arguments: LayerTests.modules)
  func isComplete(_ module: String) throws {
    let folder = "Modules/\(module)"
    let readme = try #require(Repository.text(of: "\(folder)/README.md"), "\(folder) has no README.md")
    #expect(readme.hasPrefix("# \(module)\n"), "\(folder)/README.md starts with its name")
    #expect(
      readme.contains("hread"), "\(folder)/README.md says what the module claims about threads, and why it is true")
    #expect(!Repository.swiftFiles(below: "\(folder)/Sources").isEmpty)
    let tests = Repository.swiftFiles(below: "\(folder)/Tests").compactMap { Repository.text(of: $0) }
    #expect(tests.contains { $0.contains("@Test") }, "\(folder)/Tests has no test")

    let package = try #require(Repository.text(of: "Package.swift"))
    #expect(package.contains("  module(\"\(module)\""), "Package.swift lacks the line module(\"\(module)\")")
    #expect(package.contains("  moduleTests(\"\(module)\""), "Package.swift lacks the line moduleTests(\"\(module)\")")

    let list = Repository.swiftFiles(below: "Sources/AllModules").compactMap { Repository.text(of: $0) }.joined()
    #expect(LayerTests.imports(of: list).contains(module), "Sources/AllModules does not import \(module)")
  }

  @Test("a module's name is its folder's", arguments: LayerTests.modules)
  func isNamedAsItsFolder(_ module: String) {
    let sources = Repository.swiftFiles(below: "Modules/\(module)/Sources").compactMap { Repository.text(of: $0) }
    #expect(sources.contains { $0.contains("static let name = \"\(module)\"") }, "no `static let name = \"\(module)\"`")
  }
}
