import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// A peer that goes over to a codec of another sample rate.
@Suite struct SampleRateTests {
  private func description(_ type: Int, _ name: String, version: Int, hasEvents: Bool = false) -> SIPBody {
    let lines =
      [
        "v=0", "o=- 7 \(version) IN IP4 10.0.0.3", "s=-", "c=IN IP4 10.0.0.3", "t=0 0",
        "m=audio 30000 RTP/AVP \(type)\(hasEvents ? " 101" : "")", "a=rtpmap:\(type) \(name)",
      ] + (hasEvents ? ["a=rtpmap:101 telephone-event/8000"] : [])
    return SIPBody(bytes: Array((lines.joined(separator: "\r\n") + "\r\n").utf8))
  }

  @Test("test_call_samplerate_switch: the call goes on at the other rate, there and back", arguments: RxMode.allCases)
  func there(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, codec: nil)
    let peer = try ScriptedPeer(in: agents.simulation)
    let sent = Locked<[UInt8]>([])
    let media = peer.media
    agents.simulation.network.tap { datagram in
      if !datagram.isSignalling, datagram.destination == media {
        sent.withLock { $0.append(datagram.bytes[1] & 127) }
      }
      return true
    }
    let uri = try SIPURI("sip:peer@10.0.0.3")
    let call = try agents.alice.act { try $0.call(uri, at: peer.address, settings: agents.aliceSettings) }
    agents.run(milliseconds: 10)
    let session = try #require(peer.incoming.first).id
    peer.act { $0.accept(session, body: self.description(0, "PCMU/8000", version: 1), now: peer.now) }
    for (version, type, name) in [(2, 0, "PCMU/8000"), (3, 107, "opus/48000/2"), (4, 0, "PCMU/8000")] {
      peer.act { $0.reinvite(session, body: self.description(type, name, version: version), now: peer.now) }
      agents.run(milliseconds: 200)
      sent.withLock { $0 = [] }
      agents.run(milliseconds: 1000)
      let types = sent.withLock { $0 }
      #expect((49...51).contains(types.count) && types.allSatisfy { $0 == UInt8(type) }, "\(name): \(types)")
      #expect(agents.alice.report?.codec?.lowercased().hasPrefix(name.lowercased()) == true)
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.failure == nil && agents.alice.warnings.isEmpty)
  }

  @Test("a digit beside opus lasts as long as it does, on the clock of the events that the peer takes")
  func eventClock() throws {
    let agents = try SimulatedAgents(codec: nil)
    let peer = try ScriptedPeer(in: agents.simulation)
    let sent = Locked<[[UInt8]]>([])
    let media = peer.media
    agents.simulation.network.tap { datagram in
      if !datagram.isSignalling, datagram.destination == media, datagram.bytes[1] & 127 == 101 {
        sent.withLock { $0.append(datagram.bytes) }
      }
      return true
    }
    let uri = try SIPURI("sip:peer@10.0.0.3")
    let call = try agents.alice.act { try $0.call(uri, at: peer.address, settings: agents.aliceSettings) }
    agents.run(milliseconds: 10)
    let session = try #require(peer.incoming.first).id
    let answer = self.description(107, "opus/48000/2", version: 1, hasEvents: true)
    peer.act { $0.accept(session, body: answer, now: peer.now) }
    agents.run(milliseconds: 200)
    #expect(agents.alice.report?.codec?.hasPrefix("opus") == true)
    agents.alice.act { $0.send(digits: "1", on: call) }
    agents.run(milliseconds: 500)
    let packets = sent.withLock { $0 }
    // RFC 4733 §2.3: the duration is in the last two bytes. The timestamp is the audio's, the same in all.
    #expect(packets.map { Int($0[14]) << 8 | Int($0[15]) } == [160, 320, 480, 640, 800, 800, 800])
    #expect(Set(packets.map { Array($0[4..<8]) }).count == 1)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }
}
