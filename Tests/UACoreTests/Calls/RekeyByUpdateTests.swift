import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// New keys that an UPDATE offers (RFC 3311): no ACK follows its answer.
@Suite struct RekeyByUpdateTests {
  private func makeAgents(
    mode: RxMode = .main, encryption: String = "srtp-mand", seed: UInt64, rekeyPorts: String = "same"
  ) throws -> SimulatedAgents {
    try SimulatedAgents(
      mode: mode, encryption: encryption, seed: seed, configure: { $0.rekeyMethod = .update },
      adjust: { $0.configuration.moduleValues["dtls_srtp_rekey_ports"] = rekeyPorts })
  }

  /// Has UPDATEs answered in the callee's name, and not reach him, while `status` gives a status line.
  private func refuse(_ network: SimulatedNetwork, _ status: @escaping @Sendable () -> String?) {
    network.tap { [unowned network] datagram in
      guard datagram.isSignalling, datagram.bytes.starts(with: Array("UPDATE ".utf8)), let status = status() else {
        return true
      }
      let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
      let lines = String(decoding: datagram.bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
        .filter { line in kept.contains { line.hasPrefix($0) } }
      let text = (["SIP/2.0 \(status)"] + lines + ["Retry-After: 5", "Content-Length: 0", "", ""])
        .joined(separator: "\r\n")
      network.inject(Array(text.utf8), from: datagram.destination, to: datagram.source, isSignalling: true)
      return false
    }
  }

  private func expectSound(_ agents: SimulatedAgents, rekeys: Int, _ note: Comment = "") throws {
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let report = try #require(agent.ended.first)
      #expect(report.reason == "hangup" && report.failure == nil, note)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(agent.name) \(report.media) \(note)")
      #expect(report.media.rekeys == rekeys, "\(agent.name) \(report.media.rekeys) \(note)")
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil, note)
    }
  }

  private func hangUp(_ agents: SimulatedAgents, _ call: CallID) {
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }

  @Test(
    "an UPDATE that is refused leaves the old keys at work, and the next one works",
    arguments: RxMode.allCases, ["488 Not Acceptable Here", "500 Server Internal Error", "504 Server Time-out"])
  func refused(mode: RxMode, status: String) throws {
    let agents = try self.makeAgents(mode: mode, seed: 61)
    let call = try agents.establishedCall()
    let isRefused = Locked(true)
    self.refuse(agents.simulation.network) { isRefused.withLock { $0 } ? status : nil }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    #expect(agents.alice.warnings.count == 1 && agents.alice.warnings[0].contains(status), "\(agents.alice.warnings)")
    isRefused.withLock { $0 = false }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    self.hangUp(agents, call)
    try self.expectSound(agents, rekeys: 1)
  }

  @Test("after a 491 the same UPDATE goes again, and meanwhile the old keys are at work", arguments: RxMode.allCases)
  func pending(mode: RxMode) throws {
    let agents = try self.makeAgents(mode: mode, seed: 62)
    let call = try agents.establishedCall()
    let left = Locked(2)
    self.refuse(agents.simulation.network) {
      left.withLock { left in
        left -= 1
        return left >= 0 ? "491 Request Pending" : nil
      }
    }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 10_000)
    #expect(agents.alice.warnings.isEmpty)
    self.hangUp(agents, call)
    try self.expectSound(agents, rekeys: 1)
  }

  @Test("an answer that is lost again and again leaves the old keys at work until it comes", arguments: RxMode.allCases)
  func lostAnswer(mode: RxMode) throws {
    let agents = try self.makeAgents(mode: mode, seed: 63)
    let call = try agents.establishedCall()
    let isLost = Locked(true)
    agents.simulation.network.tap { datagram in
      let isAnswer = datagram.isSignalling && datagram.bytes.starts(with: Array("SIP/2.0 200".utf8))
      return !isAnswer || !isLost.withLock { $0 }
    }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 12_000)
    for (agent, call) in [(agents.alice, call), (agents.bob, agents.bobCall)] {
      agent.act { $0.refreshStatistics(call) }
    }
    agents.run(milliseconds: 10)
    #expect(agents.alice.report?.media.rekeys == 0 && agents.bob.report?.media.rekeys == 0)
    isLost.withLock { $0 = false }
    agents.run(milliseconds: 6000)
    self.hangUp(agents, call)
    try self.expectSound(agents, rekeys: 1)
  }

  @Test("an UPDATE without any answer ends the call as RFC 3311 §5.1 has it, under the old keys until then")
  func noAnswer() throws {
    let agents = try self.makeAgents(seed: 64)
    let call = try agents.establishedCall()
    agents.simulation.network.tap { !$0.isSignalling || !$0.bytes.starts(with: Array("UPDATE ".utf8)) }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 31_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.rekeys == 0 && report.media.lost == 0 && report.media.drops == DropCounters())
    }
    #expect(agents.alice.ended[0].reason == "timeout")
  }

  /// How a peer is found out not to know UPDATE.
  enum Ignorance: CaseIterable { case notAllowed, refusedAsMethod, refusedAsUnknown }

  @Test("a peer without UPDATE gets the re-INVITE", arguments: Ignorance.allCases)
  func withoutUpdate(ignorance: Ignorance) throws {
    let agents = try self.makeAgents(seed: 65)
    let network = agents.simulation.network
    switch ignorance {
    case .notAllowed:
      network.tap { [unowned network] datagram in
        let text = String(decoding: datagram.bytes, as: UTF8.self)
        guard datagram.isSignalling, text.contains(", UPDATE") else { return true }
        network.inject(
          Array(text.replacing(", UPDATE", with: "").utf8), from: datagram.source, to: datagram.destination,
          isSignalling: true)
        return false
      }
    case .refusedAsMethod: self.refuse(network) { "405 Method Not Allowed" }
    case .refusedAsUnknown: self.refuse(network) { "501 Not Implemented" }
    }
    let call = try agents.establishedCall()
    for _ in 0..<3 {
      #expect(agents.alice.act { $0.rekey(call) })
      agents.run(milliseconds: 1000)
    }
    #expect(agents.alice.warnings.isEmpty, "\(agents.alice.warnings)")
    self.hangUp(agents, call)
    try self.expectSound(agents, rekeys: 3)
  }

  @Test("before the call stands there is nothing to change")
  func beforeItStands() throws {
    let agents = try self.makeAgents(seed: 67)
    agents.bobSettings.answersAtOnce = false
    let call = try agents.call()
    agents.run(milliseconds: 500)
    let updates = Locked(0)
    agents.simulation.network.tap { datagram in
      if datagram.bytes.starts(with: Array("UPDATE ".utf8)) { updates.withLock { $0 += 1 } }
      return true
    }
    #expect(!agents.alice.act { $0.rekey(call) } && !agents.bob.act { $0.rekey(agents.bobCall) })
    agents.bob.act { $0.answer(agents.bobCall) }
    agents.run(milliseconds: 2000)
    self.hangUp(agents, call)
    #expect(updates.withLock { $0 } == 0)
    try self.expectSound(agents, rekeys: 0)
  }

  @Test(
    "who answers changes its key when it hears the new one, were it only in the other's reports",
    arguments: RxMode.allCases)
  func silentOfferer(mode: RxMode) throws {
    let agents = try self.makeAgents(mode: mode, seed: 68)
    let call = try agents.establishedCall()
    // Bob speaks on, Alice may not.
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 1000)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 40_000)
    agents.bob.act { $0.setHold(agents.bobCall, false) }
    agents.run(milliseconds: 1000)
    self.hangUp(agents, call)
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.rekeys == 1 && report.media.lost == 0 && report.media.drops == DropCounters())
    }
  }

  @Test(
    "what an UPDATE has agreed on is not taken back when a later offer is refused",
    arguments: ["srtp-mand", "dtls_srtp"], ["same", "new"])
  func laterRefusal(encryption: String, rekeyPorts: String) throws {
    let agents = try self.makeAgents(mode: .thread, encryption: encryption, seed: 69, rekeyPorts: rekeyPorts)
    let call = try agents.establishedCall()
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      if message.isRequest { message.body = message.body.map { $0.replacing("m=audio", with: "m=image") } }
    }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 1000)
    #expect(agents.bob.warnings.contains { $0.contains("488") }, "\(agents.bob.warnings)")
    descriptions.set(nil)
    for isHeld in [true, false] {
      agents.bob.act { $0.setHold(agents.bobCall, isHeld) }
      agents.run(milliseconds: 1000)
      #expect(agents.alice.report?.isHeldByPeer == isHeld)
    }
    // Longer than old keys live.
    agents.run(milliseconds: 35_000)
    self.hangUp(agents, call)
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.rekeys == 1 && report.failure == nil, "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }

  @Test("worn out keys are changed by UPDATE too", arguments: RxMode.allCases)
  func wornOut(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 70) {
      ($0.rekeyMethod, $0.srtpRekeyPackets) = (.update, 100)
    }
    let offers = Locked((updates: 0, invites: 0))
    agents.simulation.network.tap { datagram in
      if datagram.bytes.starts(with: Array("UPDATE ".utf8)) { offers.withLock { $0.updates += 1 } }
      if datagram.bytes.starts(with: Array("INVITE ".utf8)) { offers.withLock { $0.invites += 1 } }
      return true
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 20_000)
    self.hangUp(agents, call)
    let (updates, invites) = offers.withLock { ($0.updates, $0.invites) }
    #expect(updates >= 4 && invites == 1, "\(updates) \(invites)")
    for report in agents.alice.ended + agents.bob.ended {
      #expect((4...12).contains(report.media.rekeys), "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }
}
