import Handoff
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Calls without SIP whose descriptions wait for STUN and TURN servers.
@Suite struct ConnectionRelayTests {
  /// An offer that alice's program carries, and the answer that a module of bob's gets for it, as far as they have come.
  private final class Descriptions {
    var offers: [Result<[UInt8], ModuleError>] = []
    var answers: [Result<AnsweredCall, ModuleError>] = []

    static func candidates(_ description: [UInt8]) -> [String] {
      String(decoding: description, as: UTF8.self).split(separator: "\r\n").map(String.init)
        .filter { $0.hasPrefix("a=candidate:") }
    }
  }

  private static func connect(_ agents: SimulatedAgents) throws -> CallID {
    var settings = agents.aliceSettings
    (settings.mediaEncryption, settings.usesRTCPMux, settings.usesBundle) = ("dtls_srtp", true, true)
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    return try agents.alice.act { try $0.connect("a page", settings: settings) }
  }

  @Test(
    "with ice_policy relay an offer, its answer and those after a restart name relays only, and nothing else is used",
    arguments: RxMode.allCases)
  func relayOnly(mode: RxMode) throws {
    let (agents, server) = try ICERelayTests.makeAgents(mode: mode, seed: 51)
    let page = try Self.connect(agents)
    let seen = Descriptions()
    var call: UInt64 = 0
    for round in 0..<2 {
      if round == 1 { #expect(try agents.alice.act { try $0.requestRestart(page) }) }
      agents.alice.act { $0.makeOffer(page) { seen.offers.append($0) } }
      #expect(seen.offers.count == 2 * round, "the first waits for the server; a restart keeps the relays")
      agents.run(milliseconds: 500)
      let offer = try #require(seen.offers.last).get()
      agents.bob.act { core in
        if round == 0 {
          core.answer(offer, from: "a page", sound: nil) { seen.answers.append($0) }
        } else {
          core.answerAgain(offer, in: call) { result in
            seen.answers.append(result.map { AnsweredCall(call: call, answer: $0) })
          }
        }
      }
      #expect(seen.answers.count == 2 * round, "the first waits for the server")
      agents.run(milliseconds: 500)
      let answered = try #require(seen.answers.last).get()
      call = answered.call
      for description in [offer, answered.answer] {
        let candidates = Descriptions.candidates(description)
        #expect(!candidates.isEmpty && candidates.allSatisfy { $0.contains("typ relay") }, "\(candidates)")
      }
      try agents.alice.act { try $0.takeAnswer(page, answered.answer) }
      agents.run(milliseconds: 1500)
    }
    #expect(seen.offers.count == 2 && seen.answers.count == 2)
    #expect(server.withLock { $0.passedOnChannels } > 100)
    agents.bob.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.reason == "hangup" && report.failure == nil && report.media.receivedPackets > 100)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
    agents.run(milliseconds: 500)
    #expect(server.withLock { $0.allocations.isEmpty } && agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("a server that says nothing is waited for; then there are hosts, or one sentence where they may not be named")
  func silence() throws {
    for policy in ["all", "relay"] {
      let (agents, _) = try ICERelayTests.makeAgents(mode: .main, seed: 52, policy: policy) { $0.isSilent = true }
      let page = try Self.connect(agents)
      let seen = Descriptions()
      agents.alice.act { $0.makeOffer(page) { seen.offers.append($0) } }
      agents.run(milliseconds: 1900)
      #expect(seen.offers.isEmpty)
      agents.run(milliseconds: 1200)
      let offer = try #require(seen.offers.first)
      if policy == "all" {
        let candidates = Descriptions.candidates(try offer.get())
        #expect(!candidates.isEmpty && candidates.allSatisfy { $0.hasSuffix("typ host") })
      } else {
        let error = #expect(throws: ModuleError.self) { try offer.get() }
        #expect(error?.message.contains("no server gives a relay") == true)
      }
      agents.alice.act { $0.hangUp(page) }
      #expect(agents.runUntilIdle())
      #expect(seen.offers.count == 1)
    }
  }

  @Test("who hangs up meanwhile is told that there is no description, once", arguments: RxMode.allCases)
  func hungUp(mode: RxMode) throws {
    let (agents, _) = try ICERelayTests.makeAgents(mode: mode, seed: 53) { $0.isSilent = true }
    let page = try Self.connect(agents)
    let seen = Descriptions()
    agents.alice.act { core in
      for _ in 0..<2 { core.makeOffer(page) { seen.offers.append($0) } }
    }
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(page) }
    #expect(seen.offers.count == 2 && seen.offers.allSatisfy { (try? $0.get()) == nil })
    agents.run(milliseconds: 5000)
    #expect(seen.offers.count == 2 && agents.alice.ended.map(\.reason) == ["hangup"])
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }
}
