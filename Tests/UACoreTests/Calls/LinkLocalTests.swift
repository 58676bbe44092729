import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Calls between link-local addresses of IPv6, whose scope is each host's own affair.
@Suite struct LinkLocalTests {
  @Test("test_call_ipv6ll: a call carries sound both ways, and no description names a scope", arguments: Cell.all)
  func linkLocal(cell: Cell) throws {
    func address(_ host: UInt64) -> SocketAddress { SocketAddress(ipv6: 0xFE80 << 48, host, port: 5060, scope: 7) }
    let agents = try SimulatedAgents(
      mode: cell.mode, encryption: cell.encryption, adjust: { $0.listen = address($0.listen.high >> 32 & 0xFF) })
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    let target = try SIPURI("sip:bob@[fe80::2]")
    let call = try agents.alice.act { try $0.call(target, at: address(2), settings: agents.aliceSettings) }
    agents.run(milliseconds: 4000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    for device in [agents.aliceHears, agents.bobHears] {
      #expect(ProbeCapture.samples(device).suffix(8000).contains { abs(Int($0)) > 8 })
    }
    let messages = agents.alice.trace.withLock { $0 }
    #expect(messages.contains { $0.contains("c=IN IP6 fe80::1\n") || $0.contains("c=IN IP6 fe80::1\r\n") })
    // A request in the dialog finds the peer again.
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 500)
    #expect(agents.bob.report?.isHeldByPeer == true)
    // One of the callee's finds the caller.
    let answered = try #require(agents.bob.report?.id)
    agents.bob.act { $0.hangUp(answered) }
    agents.run(milliseconds: 1000)
    for agent in [agents.alice, agents.bob] { #expect(agent.report == nil && !agent.isEstablished) }
    // The trace's own lines name who sent what to whom, scope and all.
    let lines = agents.alice.trace.withLock { $0 }.flatMap { $0.split(whereSeparator: \.isNewline) }
    let named = lines.filter { $0.contains("fe80::") && !$0.contains(" --- ") }
    #expect(named.count > 20 && !named.contains { $0.contains("%") }, "\(named.first { $0.contains("%") } ?? "")")
  }
}
