import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// What an application may ask of its agent.
@Suite struct ApplicationHostTests {
  @Test(
    "an offer that a module brings makes a call with ICE and DTLS-SRTP, up to call_max_calls, which the module ends",
    arguments: RxMode.allCases)
  func offer(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode) { $0.callMaxCalls = 1 }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    var settings = agents.aliceSettings
    (settings.mediaEncryption, settings.mediaNAT) = ("dtls_srtp", "ice")
    let (page, offer) = try agents.alice.act { core in
      let id = try core.connect("a page", settings: settings)
      return (id, try core.makeOffer(id))
    }
    #expect(throws: ModuleError.self) { try agents.bob.act { _ = try $0.answer(Array("v=0".utf8), from: "a page") } }
    #expect(agents.bob.act { $0.calls.values.allSatisfy { $0.state == .ended } }, "a bad offer leaves no call behind")
    agents.run(milliseconds: 100)

    let (call, answer) = try agents.bob.act { try $0.answer(offer, from: "a page") }
    let error = #expect(throws: ModuleError.self) { try agents.bob.act { _ = try $0.answer(offer, from: "another") } }
    #expect(error?.kind == .unavailable && error?.message.contains("call_max_calls") == true)
    try agents.alice.act { try $0.takeAnswer(page, answer) }
    agents.run(milliseconds: 1500)
    #expect(agents.bob.act { $0.isOpen(call) })
    #expect(agents.bob.act { $0.calls.values.first?.statistics.drops } == DropCounters())

    agents.bob.act { $0.hangUp(call) }
    #expect(!agents.bob.act { $0.isOpen(call) })
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(page) }
    #expect(agents.runUntilIdle())
    let report = try #require(agents.bob.ended.last)
    #expect(report.media.receivedPackets > 50 && report.media.lost == 0 && report.failure == nil)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }
}
