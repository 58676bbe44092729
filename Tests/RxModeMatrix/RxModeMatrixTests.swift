import ModuleKit
import Testing

/// Receive mode × media encryption × rtcp-mux × what happens, and admission where a claim makes it matter: whole calls
/// between threads, over the kernel's loopback.
///
/// A cell asserts success, with a least number of packets, or asserts the refusal; none is left out. The cells all run
/// once, many at a time, whichever test asks first.
@Suite(.timeLimit(.minutes(20))) struct RxModeMatrixTests {
  @Test("holds", arguments: Cell.all)
  func cell(_ cell: Cell) async throws {
    let outcome = try #require(await Matrix.outcomes()[cell], "the cell did not run")
    for failure in outcome.failures { Issue.record("\(cell.name): \(failure)") }
    #expect(outcome.assertions > 0, "the cell asserts nothing")
    #expect(outcome.packets >= cell.packets, "\(outcome.packets) packets came")
  }

  @Test("the cells that ran are the cells that are committed")
  func list() async {
    let outcomes = await Matrix.outcomes()
    let ran = Cell.all.compactMap { cell in outcomes[cell].map { CellList.line(cell, $0) } }
    // At once, so that nothing else that the process prints comes between the lines.
    let lines = Cell.all.compactMap { cell in outcomes[cell].map { CellList.printedLine(cell, $0) } }
    print((["cells of the matrix:"] + lines).joined(separator: "\n"))
    if CellList.isRegenerating {
      let isWritten = CellList.write(ran)
      #expect(isWritten, "\(CellList.path) can't be written")
      return
    }
    let committed = CellList.committed()
    let help = "where the change is meant: APUS_WRITE_CELLS=1 Scripts/test --filter RxModeMatrix --no-interop"
    for line in committed where !ran.contains(line) { Issue.record("did not run as committed: \(line); \(help)") }
    for line in ran where !committed.contains(line) { Issue.record("ran, and is not committed: \(line); \(help)") }
    #expect(committed.count == ran.count && Set(ran).count == Cell.all.count)
  }

  @Test("the cells span every mode, policy, claim and media encryption")
  func spans() {
    #expect(Registry.encryptions.count >= 5, "\(Registry.encryptions)")
    #expect(Registry.claims.map(\.safety).contains(.lockable) && Registry.claims.map(\.safety).contains(.mainOnly))
    let scenarios = RxMode.allCases.count * Registry.encryptions.count * 2 * Scenario.allCases.count
    let admissions =
      RxMode.allCases.count * Registry.encryptions.count * Registry.claims.count * AdmissionPolicy.allCases.count
    #expect(Cell.all.count == scenarios + admissions)
  }
}
