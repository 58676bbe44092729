import Foundation

/// What came of a cell.
struct Outcome: Sendable {
  /// RTP packets that came: the least that any call of ours had when it was over.
  let packets: Int
  let assertions: Int
  let failures: [String]
}

/// All cells, run once for all tests that look at them.
enum Matrix {
  /// Cells that run at the same time, for their threads mostly wait. `APUS_CELLS_AT_ONCE` has fewer where these stand in line.
  private static let width = ProcessInfo.processInfo.environment["APUS_CELLS_AT_ONCE"].flatMap { Int($0) } ?? 16

  private static let run = Task { await Self.runAll() }

  static func outcomes() async -> [Cell: Outcome] { await self.run.value }

  private static func runAll() async -> [Cell: Outcome] {
    await withTaskGroup(of: (Cell, Outcome).self) { group in
      var outcomes: [Cell: Outcome] = [:]
      var waiting = Self.inMixedOrder(Cell.all)[...]
      for cell in waiting.prefix(self.width) { group.addTask { (cell, await Self.run(cell)) } }
      waiting = waiting.dropFirst(self.width)
      while let (cell, outcome) = await group.next() {
        outcomes[cell] = outcome
        if let next = waiting.popFirst() { group.addTask { (next, await Self.run(next)) } }
      }
      return outcomes
    }
  }

  /// Neighbours in the list are alike; what runs together should not be.
  private static func inMixedOrder(_ cells: [Cell]) -> [Cell] {
    let stride = 37
    return (0..<stride).flatMap { start in
      Swift.stride(from: start, to: cells.count, by: stride).map { cells[$0] }
    }
  }

  private static func run(_ cell: Cell) async -> Outcome {
    var checks = Checks()
    do {
      switch cell.subject {
      case .scenario(let scenario): try await self.run(scenario, cell, &checks)
      case .admission(let claim, let policy): try await Admissions.run(claim, policy, cell, &checks)
      }
    } catch { checks.fail(error) }
    return Outcome(packets: checks.packets ?? 0, assertions: checks.count, failures: checks.failures)
  }

  private static func run(_ scenario: Scenario, _ cell: Cell, _ checks: inout Checks) async throws {
    switch scenario {
    case .call, .holdAndResume, .callerHangsUp, .calleeHangsUp, .hangUpDuringHandshake, .digits, .twoCalls,
      .video:
      try await PlainCalls.run(scenario, cell, &checks)
    case .peerVanishes, .sourceChange, .payloadTypeChange, .earlyMedia:
      try await ScriptedCalls.run(scenario, cell, &checks)
    }
  }
}
