import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Calls that come when ports, descriptors or threads are short: 503 with Retry-After, for it may go well later.
@Suite struct ShortageTests {
  /// Opens no socket, as a process does that has no descriptor left.
  private struct Exhausted: DatagramTransport {
    let tries = Locked(0)

    func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
      self.tries.withLock { $0 += 1 }
      throw ModuleError(.exhausted, "too many open files")
    }
  }

  private func refusal(_ agents: SimulatedAgents) -> String {
    agents.alice.trace.withLock { $0.first { $0.contains("SIP/2.0 503") } } ?? ""
  }

  @Test("an INVITE that finds no free pair of rtp_ports gets 503 with Retry-After, and the call that has them goes on")
  func ports() throws {
    let agents = try SimulatedAgents(
      configure: { $0.sipLimits.retryAfter = 17 },
      adjust: { if $0.listen.host == "10.0.0.2" { $0.configuration.rtpPorts = 20_000...20_001 } })
    let first = try agents.establishedCall()
    try agents.call()
    agents.run(milliseconds: 500)
    #expect(agents.alice.ended.first?.status == 503 && self.refusal(agents).contains("Retry-After: 17"))
    #expect(agents.bob.warnings.count == 1 && agents.bob.warnings[0].contains("address already in use"))
    agents.alice.act { $0.hangUp(first) }
    #expect(agents.runUntilIdle())
    // The pair is free again.
    try agents.establishedCall()
  }

  @Test("an INVITE that finds no descriptor gets 503 after one try, not one for each port")
  func descriptors() throws {
    let exhausted = Exhausted()
    let agents = try SimulatedAgents(adjust: { if $0.listen.host == "10.0.0.2" { $0.datagrams = exhausted } })
    try agents.call()
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.status == 503 && self.refusal(agents).contains("Retry-After: "))
    #expect(exhausted.tries.withLock { $0 } == 1 && agents.bob.warnings == ["too many open files"])
  }

  @Test("a message of SIP's that finds the socket full ends no call to its peer, and is sent again")
  func fullSocket() throws {
    let agents = try SimulatedAgents()
    let peer = try ScriptedPeer(in: agents.simulation)
    let uri = try SIPURI("sip:peer@10.0.0.3")
    func call() throws {
      _ = try agents.alice.act { try $0.call(uri, at: peer.address, settings: agents.aliceSettings) }
    }
    let network = agents.simulation.network
    try call()
    agents.run(milliseconds: 10)
    network.failSending(from: agents.alice.address, signalling: true, with: .wouldBlock, milliseconds: 300)
    try call()
    agents.run(milliseconds: 2000)
    #expect(network.failedSends(from: agents.alice.address, signalling: true) == 1)
    #expect(peer.incoming.count == 2 && agents.alice.ended.isEmpty)
  }

  @Test("a transport that can't have a loop of its own is refused, not trapped")
  func threads() {
    let main = EventLoop.start(name: "main")
    let loops = TransportLoops(main: main, pool: nil, makeLoop: { _ in nil })
    let error = #expect(throws: ModuleError.self) { _ = try loops.next(mode: .thread, stream: StreamID(number: 7)) }
    #expect(error?.kind == .exhausted)
    main.stop()
  }
}
