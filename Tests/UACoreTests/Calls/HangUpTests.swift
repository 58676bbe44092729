import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Hanging up, from either side, wherever the call is.
@Suite struct HangUpTests {
  enum Moment: String, CaseIterable, Sendable {
    case dialled
    case ringing
    /// SIP stands, and DTLS or the first packets are on their way.
    case handshake
    case talking
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let moment: Moment
    let callerHangsUp: Bool
    let cell: Cell
    var testDescription: String {
      "\(self.callerHangsUp ? "caller" : "callee") while \(self.moment.rawValue), \(self.cell.testDescription)"
    }

    static let all = Cell.all.flatMap { cell in
      Moment.allCases.flatMap { moment in
        // Before the INVITE arrives only the caller has a call.
        (moment == .dialled ? [true] : [true, false]).map { Case(moment: moment, callerHangsUp: $0, cell: cell) }
      }
    }
  }

  @Test("test_call_answer_hangup_a: either side may hang up at any moment, and nothing is left", arguments: Case.all)
  func atAnyMoment(one: Case) throws {
    let agents = try SimulatedAgents(mode: one.cell.mode, encryption: one.cell.encryption, seed: 11)
    agents.simulation.network.setMedia(LinkConditions(delay: 20_000...20_000))
    agents.bobSettings.answersAtOnce = one.moment != .ringing
    let call = try agents.call()
    switch one.moment {
    case .dialled: break
    case .ringing: agents.simulation.run(milliseconds: 500) { agents.alice.report?.state == .ringing }
    case .handshake:
      agents.simulation.run(milliseconds: 500) { agents.alice.isEstablished && agents.bob.isEstablished }
      agents.run(milliseconds: 30)
      #expect(agents.alice.report?.firstMedia == nil || one.cell.encryption != "dtls_srtp")
    case .talking:
      agents.simulation.run(milliseconds: 2000) { agents.alice.report?.firstMedia != nil }
      agents.run(milliseconds: 500)
    }
    if one.callerHangsUp {
      agents.alice.act { $0.hangUp(call) }
    } else {
      agents.bob.act { $0.hangUp(agents.bobCall) }
    }
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    let (alice, bob) = (try #require(agents.alice.ended.first), try #require(agents.bob.ended.first))
    #expect(agents.alice.ended.count == 1 && agents.bob.ended.count == 1)
    switch (one.moment, one.callerHangsUp) {
    case (.dialled, _), (.ringing, true):
      #expect(alice.reason == "hangup" && ["cancelled", "hangup"].contains(bob.reason))
    case (.ringing, false): #expect(alice.reason == "rejected" && alice.status == 486 && bob.reason == "hangup")
    case (.handshake, _), (.talking, _): #expect(alice.reason == "hangup" && bob.reason == "hangup")
    }
    for report in [alice, bob] { #expect(report.media.drops.auth == 0 && report.media.drops.plaintext == 0) }
    #expect(agents.simulation.network.mediaSocketCount == 0)
    #expect(agents.alice.warnings.isEmpty && agents.bob.warnings.isEmpty)
  }

  @Test("test_call_answer_hangup_b: both sides hang up at the same moment", arguments: Cell.all)
  func crossing(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 12)
    let call = try agents.establishedCall()
    agents.alice.act { $0.hangUp(call) }
    agents.bob.act { $0.hangUp(agents.bobCall) }
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    #expect(agents.alice.ended.count == 1 && agents.bob.ended.count == 1)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("an agent that closes ends all its calls, takes no new one and makes none")
  func closing() throws {
    let agents = try SimulatedAgents()
    try agents.establishedCall()
    try agents.call()
    agents.run(milliseconds: 100)
    agents.bob.act { $0.hangUpAll() }
    #expect(agents.runUntilIdle())
    #expect(agents.bob.ended.count == 2 && agents.alice.ended.count == 2)
    try agents.call()
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.last?.status == 503)
    #expect(agents.bob.ended.count == 2)
    #expect(throws: ModuleError.self) { try agents.callBack() }
    #expect(agents.runUntilIdle() && agents.alice.ended.count == 3)
  }
}
