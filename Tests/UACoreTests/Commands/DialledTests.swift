import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Which call a command means, and what becomes of those that wait for another one.
@Suite struct DialledTests {
  @discardableResult
  private func run(_ line: String, _ agent: SimulatedAgent) throws -> String { try CallControlTests.run(line, agent) }

  private func current(_ agent: SimulatedAgent) -> CallID? { agent.act { $0.control.currentCall } }

  private func isOnHold(_ agent: SimulatedAgent) -> Bool? { agent.act { $0.sortedCalls.first?.media?.isOnHold } }

  @Test("the call that is made, or begins to stand, is the current one; one that rings meanwhile is not")
  func current() throws {
    let agents = try CallControlTests.agents()
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try self.run("a", agents.bob)
    agents.run(milliseconds: 500)
    let first = try #require(agents.bob.act { $0.sortedCalls.first?.id })
    // Bob talks; another call rings.
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(agents.bob.act { $0.calls.count } == 2 && self.current(agents.bob) == first)
    let made = try #require(agents.alice.act { $0.sortedCalls.last?.id })
    #expect(self.current(agents.alice) == made, "the one that was dialled last")
    try self.run("a", agents.bob)
    agents.run(milliseconds: 500)
    #expect(self.current(agents.bob) != first)
    // A third rings when the second ends.
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try self.run("b", agents.bob)
    agents.run(milliseconds: 500)
    #expect(agents.bob.act { $0.calls.count } == 2 && self.current(agents.bob) == first)
    // A fourth is answered by itself.
    agents.bob.act { $0.control.choose(call: first) }
    agents.bobSettings.answersAtOnce = true
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    #expect(self.current(agents.bob) == agents.bob.act { $0.sortedCalls.last?.id })
  }

  @Test(
    "who was put on hold for a call that comes to nothing goes on",
    arguments: ["/dial sip:nobody@10.0.0.9", "/dial sip:bob@nowhere.invalid"])
  func failedDial(line: String) throws {
    let agents = try CallControlTests.agents(isAsked: false) { $0.callHoldOtherCalls = true }
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1_000)
    #expect(self.isOnHold(agents.alice) == false)
    _ = agents.alice.act { $0.execute(line: line) }
    agents.run(milliseconds: 60_000)
    #expect(agents.alice.act { $0.calls.count } == 1 && self.isOnHold(agents.alice) == false)
    #expect(agents.alice.isEstablished)
  }

  @Test(
    "a peer that refuses to call somebody else is heard again, unless another call stands by then",
    arguments: [false, true])
  func failedTransfer(isBusy: Bool) throws {
    let agents = try CallControlTests.agents(isAsked: false)
    agents.bobSettings.acceptsTransfer = false
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1_000)
    try self.run("/transfer sip:carol@10.0.0.9", agents.alice)
    #expect(self.isOnHold(agents.alice) == true)
    if isBusy {
      // The re-INVITE and the REFER are still under way.
      try self.run("d sip:bob@10.0.0.2", agents.alice)
      agents.alice.act { core in core.sortedCalls.last.map { core.establish($0) } }
    }
    agents.run(milliseconds: 5_000)
    #expect(agents.alice.isEstablished && self.isOnHold(agents.alice) == isBusy)
  }

  @Test("who waits for an attended transfer goes on when the other one hangs up, or was never reached")
  func failedConsultation() throws {
    let agents = try CallControlTests.agents(isAsked: false)
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1_000)
    let first = try #require(self.current(agents.alice))
    try self.run("/atransferstart sip:nobody@10.0.0.9", agents.alice)
    #expect(self.current(agents.alice) != first && self.isOnHold(agents.alice) == true)
    agents.run(milliseconds: 60_000)
    #expect(self.current(agents.alice) == first && self.isOnHold(agents.alice) == false)
  }

  private func redialling() throws -> SimulatedAgents {
    let agents = try CallControlTests.agents {
      $0.redialAttempts = nil
      $0.redialDelay = 3
    }
    agents.aliceSettings.answersAtOnce = false
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    try self.run("/dnd on", agents.bob)
    try self.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 2_000)
    #expect(agents.alice.ended.count == 1)
    return agents
  }

  @Test("/hangup without a call ends the redialling")
  func cancelled() throws {
    let agents = try self.redialling()
    try self.run("b", agents.alice)
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.ended.count == 1)
  }

  @Test(
    "who talks calls nobody again; a call that comes to nothing meanwhile changes nothing", arguments: [true, false])
  func meanwhile(isAnswered: Bool) throws {
    let agents = try self.redialling()
    try self.run("d sip:alice@10.0.0.1", agents.bob)
    agents.run(milliseconds: 300)
    try self.run(isAnswered ? "a" : "b", agents.alice)
    agents.run(milliseconds: 20_000)
    let tries = agents.alice.ended.count { $0.isOutgoing }
    #expect(isAnswered ? tries == 1 : tries > 3, "\(tries)")
  }

  @Test("a number is no beginning of a name")
  func numbers() {
    let contacts = ["\"1122 Warehouse\" <sip:wh@pbx.example>", "\"Ann\" <sip:ann@pbx.example>"]
    var book = ContactBook([])
    for line in contacts { _ = try? book.add(line: line) }
    #expect(book.find(name: "112") == nil)
    #expect(book.find(name: "An")?.address.user == "ann" && book.find(name: "1122 warehouse")?.address.user == "wh")
  }
}
