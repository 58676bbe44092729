import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// The host's address goes away while calls stand, and another one comes.
@Suite struct NetworkChangeTests {
  private static let old = SocketAddress(ipv4: 0x0A00_0001, port: 0)
  private static let new = SocketAddress(ipv4: 0x0A00_0009, port: 0)
  private static let after: Set = [InterfaceAddress(interface: "sim0", address: new)]

  /// Alice's host is at 10.0.0.9 from now on; she is told so.
  private func move(_ agents: SimulatedAgents) {
    agents.simulation.network.move(host: "10.0.0.1", to: "10.0.0.9")
    agents.alice.act { $0.networkChanged(NetworkChange(gone: [Self.old], new: [Self.new]), addresses: Self.after) }
  }

  private func sounds(_ device: String, after count: Int) -> Bool {
    ProbeCapture.samples(device)[count...].suffix(1600).contains { abs(Int($0)) > 8 }
  }

  @Test("a call goes on from the new address, heard both ways", arguments: Cell.all, [true, false])
  func call(cell: Cell, isCaller: Bool) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 11)
    if isCaller {
      try agents.establishedCall()
    } else {
      try agents.callBack()
      agents.run(milliseconds: 3000)
    }
    try #require(agents.alice.isEstablished && agents.bob.isEstablished)
    let sockets = agents.simulation.network.mediaSocketCount
    self.move(agents)
    agents.run(milliseconds: 5000)
    let count = InCallTests.MediaCount(agents.simulation.network)
    let heard = (ProbeCapture.samples(agents.aliceHears).count, ProbeCapture.samples(agents.bobHears).count)
    agents.run(milliseconds: 2000)
    #expect((95...105).contains(count.take("10.0.0.9")) && count.take("10.0.0.1") == 0)
    #expect((95...105).contains(count.take("10.0.0.2")))
    let later = (ProbeCapture.samples(agents.aliceHears).count, ProbeCapture.samples(agents.bobHears).count)
    #expect(later.0 - heard.0 >= 15_000 && self.sounds(agents.aliceHears, after: heard.0))
    #expect(later.1 - heard.1 >= 15_000 && self.sounds(agents.bobHears, after: heard.1))
    let trace = agents.bob.trace.withLock { $0.filter { $0.contains("INVITE sip:bob@10.0.0.2") } }
    #expect(trace.last?.contains("Contact: <sip:alice@10.0.0.9:5060") == true)
    #expect(trace.last?.contains("c=IN IP4 10.0.0.9") == true)
    // Bob's requests find her, and the dialog ends on both sides.
    agents.bob.act { $0.hangUp(agents.bobCall) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.reason == "hangup" && agents.alice.ended.first?.failure == nil)
    #expect(agents.alice.warnings.isEmpty && agents.bob.warnings.isEmpty)
    #expect(sockets > 0 && agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("what is watched at contacts is asked for anew, and told at the new address")
  func watches() throws {
    let lab = try PresenceLab()
    self.move(lab.agents)
    lab.agents.run(milliseconds: 1000)
    let trace = lab.agents.alice.trace.withLock { $0.filter { $0.contains("SUBSCRIBE sip:bob@10.0.0.2") } }
    #expect(trace.last?.contains("Contact: <sip:alice@10.0.0.9:5060>") == true)
    try lab.bob("/presence busy")
    lab.agents.run(milliseconds: 1000)
    #expect(lab.told(.presence) == ["Online", "Busy"])
  }

  @Test("while there is no address the call waits, and is moved as soon as one comes")
  func gap() throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp")
    try agents.establishedCall()
    let sent = agents.alice.trace.withLock { $0.count }
    agents.simulation.network.silence(host: "10.0.0.1")
    agents.alice.act { $0.networkChanged(NetworkChange(gone: [Self.old], new: []), addresses: []) }
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.trace.withLock { $0.count } == sent && agents.alice.isEstablished)
    agents.simulation.network.move(host: "10.0.0.1", to: "10.0.0.9")
    agents.alice.act { $0.networkChanged(NetworkChange(gone: [], new: [Self.new]), addresses: Self.after) }
    agents.run(milliseconds: 5000)
    let count = InCallTests.MediaCount(agents.simulation.network)
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.9") >= 45 && count.take("10.0.0.2") >= 45)
  }

  @Test("a call without SIP is left to whoever carries its descriptions")
  func withoutSIP() throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp")
    let call = try agents.alice.act { core in
      let call = try core.connect("someone", settings: agents.aliceSettings)
      core.makeOffer(call) { _ in }
      return call
    }
    agents.alice.act { core in
      #expect(core.calls[call]?.media?.addressesInUse.first?.host == "10.0.0.1")
      core.networkChanged(NetworkChange(gone: [Self.old], new: [Self.new]), addresses: Self.after)
      #expect(core.calls[call].map { if case .none = $0.move { true } else { false } } == true)
    }
  }

  /// When Alice's address goes, after Bob has offered something, with 50 ms from one to the other.
  enum Moment: Int64, CaseIterable, Sendable {
    /// The offer is on its way to where she is no more.
    case offerOnItsWay = 20
    /// Her answer is, and the ACK goes to where she was.
    case answerOnItsWay = 70
    /// The ACK is on its way.
    case acknowledgementOnItsWay = 120
    /// Her answer was lost.
    case answerLost = 71
  }

  static let moments: [Cell] = Cell.all.filter { $0.encryption == nil || $0.encryption == "dtls_srtp" }

  @Test(
    "the peer's offer is under way when the address goes: the call goes on from the new one",
    arguments: moments, Moment.allCases)
  func duringPeersOffer(cell: Cell, moment: Moment) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 12)
    try agents.establishedCall()
    agents.simulation.network.setSignalling(LinkConditions(delay: 50_000...50_000))
    if moment == .answerLost {
      agents.simulation.network.tap { !($0.isSignalling && $0.source.host == "10.0.0.1") }
    }
    try #require(agents.bob.act { $0.execute(line: "/reinvite") }.isOK)
    agents.run(milliseconds: moment.rawValue)
    self.move(agents)
    agents.run(milliseconds: 12_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let count = InCallTests.MediaCount(agents.simulation.network)
    let heard = (ProbeCapture.samples(agents.aliceHears).count, ProbeCapture.samples(agents.bobHears).count)
    agents.run(milliseconds: 2000)
    #expect((95...105).contains(count.take("10.0.0.9")) && count.take("10.0.0.1") == 0)
    #expect((95...105).contains(count.take("10.0.0.2")))
    #expect(self.sounds(agents.aliceHears, after: heard.0) && self.sounds(agents.bobHears, after: heard.1))
    // It does not end later either, when transactions give up.
    agents.run(milliseconds: 40_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.bob.act { $0.hangUp(agents.bobCall) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.reason == "hangup" && agents.bob.ended.first?.reason == "hangup")
  }

  @Test("an address that is no call's changes nothing")
  func otherAddress() throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp")
    try agents.establishedCall()
    let sent = agents.alice.trace.withLock { $0.count }
    let stays = InterfaceAddress(interface: "sim0", address: Self.old)
    agents.alice.act { $0.networkChanged(NetworkChange(gone: [Self.new], new: []), addresses: [stays]) }
    agents.run(milliseconds: 5000)
    #expect(agents.alice.trace.withLock { $0.count } == sent)
    #expect(agents.alice.act { $0.calls.values.allSatisfy { if case .none = $0.move { true } else { false } } })
  }
}
