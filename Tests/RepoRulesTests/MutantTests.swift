internal import Testing

/// The patches that bring known bugs back must not rot between two runs of `Scripts/test --mutants`.
@Suite struct MutantTests {
  /// The bug classes; Tests/Mutants/README.md says what is missing in them.
  static let classes = Set(1...21)

  static let patches = Repository.lines("cd \(Repository.root) && ls Tests/Mutants/*.patch")
  /// The bugs that the random call flows must find.
  static let flowPatches = Repository.lines("cd \(Repository.root) && ls Tests/Mutants/Flows/*.patch")
  /// The bugs that whole calls must find.
  static let callPatches = Repository.lines("cd \(Repository.root) && ls Tests/Mutants/Calls/*.patch")

  /// What every test file below Tests and Modules holds.
  private static let tests = Repository.swiftFiles(below: "Tests", "Modules/*/Tests")
    .compactMap { Repository.text(of: $0) }.joined(separator: "\n")

  /// The lines before the diff, by what they begin with.
  private static func header(of patch: String) throws -> [String: String] {
    var header: [String: String] = [:]
    for line in try #require(Repository.text(of: patch)).split(separator: "\n").prefix(while: { !$0.hasPrefix("---") })
    {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      header[String(parts[0])] = String(parts[1].drop { $0 == " " })
    }
    return header
  }

  @Test("every bug class that applies has a mutant, and the table of classes names it")
  func classesAreCovered() throws {
    let covered = Set(try Self.patches.compactMap { Int(try Self.header(of: $0)["Class"] ?? "") })
    #expect(covered == Self.classes, "\(covered.symmetricDifference(Self.classes).sorted())")
    let table = try #require(Repository.text(of: "Tests/Mutants/README.md"))
    for number in Self.classes { #expect(table.contains("\n| \(number) | "), "class \(number) is not in the table") }
  }

  @Test("twenty bugs at least are planted for the random call flows, and one of each class")
  func flowsAreCovered() throws {
    #expect(Self.flowPatches.count >= 20)
    let readme = try #require(Repository.text(of: "Tests/Mutants/README.md"))
    for patch in Self.flowPatches {
      let header = try Self.header(of: patch)
      #expect(
        header["Filter"] == "SIPStackTests.RandomFlowTests/flows" && Int(header["Seeds"] ?? "") != nil, "\(patch)")
      let area = try #require(header["Class"])
      #expect(readme.contains("\n| \(area) | "), "\(patch): the class \(area) is not in the table")
    }
  }

  @Test("a mutant still applies, and what it must fail is there", arguments: patches + flowPatches + callPatches)
  func applies(_ patch: String) throws {
    let header = try Self.header(of: patch)
    #expect(header["Mutant"] != nil && Int(header["Limit"] ?? "") != nil)
    #expect(["debug", "thread", "address"].contains(header["Build"]))
    let name = try #require(patch.split(separator: "/").last)
    if Self.patches.contains(patch) {
      let number = try #require(header["Class"].flatMap { Int($0) })
      #expect(name.hasPrefix(number < 10 ? "0\(number)-" : "\(number)-"))
    }
    // Target.Suite/test, or Target.Suite.
    let path = try #require(header["Filter"]).split(separator: ".", maxSplits: 1)
    let parts = try #require(path.count == 2 ? path[1].split(separator: "/") : nil)
    #expect(Self.tests.contains("struct \(parts[0]) "), "there is no suite \(parts[0])")
    if parts.count > 1 { #expect(Self.tests.contains("func \(parts[1])("), "there is no test \(parts[1])") }
    // Without a repository, git takes the folder as it is.
    let answer = Repository.output(
      of: "cd \(Repository.root) && GIT_DIR=/nowhere git apply --check \(patch) 2>&1 && echo applies")
    #expect(answer == "applies\n", "make it anew, as Tests/Mutants/README.md says: \(answer)")
  }

  @Test("the report of the last whole run has killed every mutant", arguments: patches + flowPatches)
  func isKilled(_ patch: String) throws {
    let name = try #require(patch.split(separator: "/").last?.dropLast(".patch".count))
    let file = Self.patches.contains(patch) ? "mutants" : "flow-mutants"
    let report = try #require(Repository.text(of: "Docs/reports/\(file).md"))
    let row = report.split(separator: "\n").first { $0.contains("| \(name) |") }
    #expect(row?.contains("| killed") == true, "\(name) is not in \(file).md: run Scripts/mutants")
  }
}
