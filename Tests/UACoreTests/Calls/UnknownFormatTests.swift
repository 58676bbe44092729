import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Payload types that were not agreed on, or are no more.
@Suite struct UnknownFormatTests {
  /// A call that a scripted peer has answered with PCMU.
  private struct Setup {
    let agents: SimulatedAgents
    let peer: ScriptedPeer
    let call: CallID
    let session: SessionID
    private let target: SocketAddress
    private var sequence: UInt16 = 0

    init(_ configure: @escaping (inout Configuration) -> Void = { _ in }) throws {
      let agents = try SimulatedAgents(codec: nil, seed: 71, configure: configure)
      let peer = try ScriptedPeer(in: agents.simulation)
      let uri = try SIPURI("sip:peer@10.0.0.3")
      self.call = try agents.alice.act { try $0.call(uri, at: peer.address, settings: agents.aliceSettings) }
      agents.run(milliseconds: 10)
      let (session, invite) = try #require(peer.incoming.first)
      self.target = try #require(invite.body.flatMap { peer.mediaAddress(in: $0) })
      (self.agents, self.peer, self.session) = (agents, peer, session)
      peer.act { $0.accept(session, body: Self.description(type: 0, version: 1), now: peer.now) }
      agents.run(milliseconds: 20)
    }

    static func description(type: Int, version: Int) -> SIPBody {
      let lines = [
        "v=0", "o=- 7 \(version) IN IP4 10.0.0.3", "s=-", "c=IN IP4 10.0.0.3", "t=0 0",
        "m=audio 30000 RTP/AVP \(type)",
      ]
      return SIPBody(bytes: Array((lines.joined(separator: "\r\n") + "\r\n").utf8))
    }

    mutating func send(_ payloadType: UInt8, count: Int = 1, every milliseconds: Int = 20) {
      for _ in 0..<count {
        self.sequence += 1
        self.agents.simulation.network.inject(
          PlainPackets.pcmu(sequence: self.sequence, payloadType: payloadType), from: self.peer.media, to: self.target)
        self.agents.run(milliseconds: Int64(milliseconds))
      }
    }

    func figures() throws -> TransportStatistics {
      self.agents.alice.act { $0.refreshStatistics(self.call) }
      self.agents.run(milliseconds: 10)
      return try #require(self.agents.alice.report).media
    }
  }

  @Test("a format that is no more is played until the peer has the answer: for four seconds at most")
  func formerFormat() throws {
    var setup = try Setup()
    setup.send(0, count: 50)
    let session = setup.session
    setup.peer.act { [now = setup.peer.now] in
      $0.reinvite(session, body: Setup.description(type: 8, version: 2), now: now)
    }
    setup.agents.run(milliseconds: 10)
    let before = try setup.figures()
    setup.send(0, count: 150)
    let within = try setup.figures()
    #expect(within.drops.unknown == 0 && within.receivedPackets == before.receivedPackets + 150)
    #expect(within.decodedSamples - before.decodedSamples > 140 * 160)
    setup.send(0, count: 100)
    let after = try setup.figures()
    #expect((45...55).contains(after.drops.unknown), "\(after.drops.unknown)")
    #expect(after.lost == 0)
    setup.send(8, count: 50)
    #expect(try setup.figures().receivedPackets + after.drops.unknown == 350)
  }

  @Test("comfort noise that was not agreed on is no loss, and no silence that ends the call")
  func comfortNoise() throws {
    var setup = try Setup { $0.rtpTimeout = 5 }
    setup.send(0, count: 20)
    setup.send(13, count: 50, every: 200)
    setup.send(0, count: 20)
    #expect(setup.agents.alice.ended.isEmpty)
    let figures = try setup.figures()
    #expect(figures.drops.unknown == 50 && figures.receivedPackets == 40 && figures.lost == 0)
    // Nothing at all does end it.
    setup.agents.run(milliseconds: 5500)
    #expect(setup.agents.alice.ended.first?.failure?.message.contains("rtp_timeout") == true)
  }
}
