internal import Glibc
internal import Testing

/// Each file in `Tests/CompileFail` must be refused, with the error that its first line names; the ones that say
/// `// accepted` must not be, which shows that the others are refused for their own fault.
///
/// `-emit-sil`, because `-typecheck` stops before ownership and region isolation are checked.
@Suite struct CompileFailTests {
  static let files = Repository.swiftFiles(below: "Tests/CompileFail")

  @Test("there are such files")
  func filesExist() { #expect(Self.files.count >= 5) }

  @Test("is refused, with the error that its first line names", arguments: files)
  func isRefused(_ file: String) throws {
    let text = try #require(Repository.text(of: file))
    let first = try #require(text.split(separator: "\n").first)
    let output = Repository.output(of: Self.compile("\(Repository.root)/\(file)"))
    if first == "// accepted" {
      #expect(output.isEmpty, "\(output)")
      return
    }
    let prefix = "// error: "
    #expect(first.hasPrefix(prefix), "\(file) must start with '\(prefix)' and a part of the error")
    let wanted = first.dropFirst(prefix.count)
    let errors = Set(output.split(separator: "\n").filter { $0.contains(" error: ") && $0.contains(".swift:") })
    #expect(errors.contains { $0.contains(wanted) }, "\(output)")
    #expect(errors.count == 1, "one fault for each file: \(output)")
  }

  /// The command that compiles the file against the modules that this test was built with.
  ///
  /// SwiftPM names a package after its folder, so the name behind `package` access comes from its build plan.
  static func compile(_ file: String) -> String {
    let build = Repository.output(of: "dirname $(readlink /proc/\(getpid())/exe)").dropLast()
    let plan = "\(build)/../../$(basename \(build)).yaml"
    let package = Repository.output(
      of: "sed -nE 's/.*\"-module-name\",\"NetBase\".*\"-package-name\",\"([^\"]*)\".*/\\1/p' \(plan) | head -1")
    let maps = Repository.lines(
      "ls \(Repository.root)/Sources/CLibs/*/module.modulemap \(build)/*.build/module.modulemap"
    ).map { " -Xcc -fmodule-map-file=\($0)" }.joined()
    return "swiftc -emit-sil -o /dev/null -swift-version 6 -package-name \(package.dropLast()) -strict-memory-safety"
      + " -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility"
      + " -enable-upcoming-feature InternalImportsByDefault -enable-experimental-feature Lifetimes"
      + " -I \(build)/Modules\(maps) \(file) 2>&1"
  }
}
