import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing
import g711

@testable import UACore

/// Payload types that change with every packet.
@Suite struct RenegotiationTests {
  /// A peer's formats, the one that it sends, and what a payload of 0x10s is when decoded by it.
  private struct Formats {
    let types: String
    let lines: [String]
    let sent: UInt8
    let isMuLaw: Bool
  }

  // A payload type never means another codec in the same session (RFC 3264 §8.3.2).
  private static let rounds: [Formats] = [
    Formats(types: "0", lines: ["a=rtpmap:0 PCMU/8000"], sent: 0, isMuLaw: true),
    Formats(types: "8", lines: ["a=rtpmap:8 PCMA/8000"], sent: 8, isMuLaw: false),
    Formats(types: "8 0", lines: ["a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000"], sent: 0, isMuLaw: true),
    Formats(types: "97", lines: ["a=rtpmap:97 PCMA/8000"], sent: 97, isMuLaw: false),
    Formats(types: "0 97", lines: ["a=rtpmap:97 PCMA/8000"], sent: 97, isMuLaw: false),
    Formats(types: "96 8", lines: ["a=rtpmap:96 PCMU/8000", "a=rtpmap:8 PCMA/8000"], sent: 96, isMuLaw: true),
  ]

  private func description(_ formats: Formats, version: Int) -> SIPBody {
    let text =
      ([
        "v=0", "o=- 7 \(version) IN IP4 10.0.0.3", "s=-", "c=IN IP4 10.0.0.3", "t=0 0",
        "m=audio 30000 RTP/AVP \(formats.types)",
      ] + formats.lines).joined(separator: "\r\n") + "\r\n"
    return SIPBody(bytes: Array(text.utf8))
  }

  @Test(
    "payload types renegotiated with every packet: each packet is played by its own codec or counted",
    arguments: RxMode.allCases)
  func atPacketRate(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, codec: nil, seed: 95)
    let peer = try ScriptedPeer(in: agents.simulation)
    let uri = try SIPURI("sip:peer@10.0.0.3")
    let call = try agents.alice.act { try $0.call(uri, at: peer.address, settings: agents.aliceSettings) }
    agents.run(milliseconds: 10)
    let (session, invite) = try #require(peer.incoming.first)
    let target = try #require(invite.body.flatMap { peer.mediaAddress(in: $0) })
    peer.act { $0.accept(session, body: self.description(Self.rounds[0], version: 1), now: peer.now) }
    agents.run(milliseconds: 20)
    var generator = TestGenerator(seed: 96)
    let count = 300
    var sequence: UInt16 = 0
    var sent = (muLaw: 0, aLaw: 0)
    func send(_ formats: Formats) {
      sequence += 1
      if formats.isMuLaw { sent.muLaw += 1 } else { sent.aLaw += 1 }
      agents.simulation.network.inject(
        PlainPackets.pcmu(sequence: sequence, payloadType: formats.sent), from: peer.media, to: target)
    }
    for round in 1...count {
      let formats = Self.rounds[Int.random(in: 0..<Self.rounds.count, using: &generator)]
      peer.act { $0.reinvite(session, body: self.description(formats, version: round + 1), now: peer.now) }
      agents.run(milliseconds: 10)
      send(formats)
      agents.run(milliseconds: 10)
    }
    #expect(peer.events.count { if case .reofferAnswered = $0 { true } else { false } } == count)
    // The last formats stay for a second: all of that is heard.
    for _ in 0..<50 {
      send(Self.rounds[0])
      if sequence == UInt16(count) + 1 {
        peer.act { $0.reinvite(session, body: self.description(Self.rounds[0], version: count + 2), now: peer.now) }
        agents.run(milliseconds: 5)
      }
      agents.run(milliseconds: 20)
    }
    agents.run(milliseconds: 300)
    let frames = self.frames(ProbeCapture.samples(agents.aliceHears))
    // Once the peer sends what was agreed on, what was taken back is let in no more, though its decoder is still there for
    // what waits.
    func unknown() throws -> Int {
      agents.alice.act { $0.refreshStatistics(call) }
      agents.run(milliseconds: 10)
      return try #require(agents.alice.report).media.drops.unknown
    }
    for (formats, version) in [(Self.rounds[1], count + 3), (Self.rounds[0], count + 4)] {
      peer.act { $0.reinvite(session, body: self.description(formats, version: version), now: peer.now) }
      agents.run(milliseconds: 10)
      let before = try unknown()
      for former in [5, 40] {
        for _ in 0..<former {
          send(Self.rounds[1])
          agents.run(milliseconds: 20)
        }
        #expect(try unknown() - before == (former == 5 || formats.sent == Self.rounds[1].sent ? 0 : 40))
        send(formats)
        agents.run(milliseconds: 20)
      }
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let report = agents.alice.ended[0]
    #expect(report.failure == nil && report.media.receivedPackets >= count + 49)
    let (muLaw, aLaw) = (try Self.decoded(isMuLaw: true), try Self.decoded(isMuLaw: false))
    let played = (muLaw: frames.count { $0 == muLaw }, aLaw: frames.count { $0 == aLaw })
    #expect(played.muLaw <= sent.muLaw && played.aLaw <= sent.aLaw, "\(played) of \(sent) were played")
    #expect(played.aLaw > 0 && frames.suffix(70).count { $0 == muLaw } >= 45)
    // Whatever waited is played, though its type was taken back meanwhile; what comes after that is counted.
    let accounted = report.media.decodedSamples / 160 + report.media.drops.unknown + report.media.late
    #expect(report.media.undecodable == 0)
    #expect(accounted >= Int(sequence) - 5, "\(accounted) of \(sequence): \(played), \(report.media)")
  }

  /// The frames of 20 ms that are all of one value, by that value; others, made up, as nil.
  private func frames(_ heard: [Int16]) -> [Int16?] {
    stride(from: 0, to: heard.count - 159, by: 160).map { start in
      heard[start..<start + 160].allSatisfy { $0 == heard[start] } ? heard[start] : nil
    }
  }

  /// What `PlainPackets` carry, decoded.
  private static func decoded(isMuLaw: Bool) throws -> Int16 {
    for facet in try G711(settings: ModuleSettings(keys: [])).facets {
      guard case .codec(let codec) = facet.body, (codec.encodingName.lowercased() == "pcmu") == isMuLaw else {
        continue
      }
      let decoder = try codec.makeDecoder(CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))()
      var samples: [Int16] = [0]
      var room = samples.mutableSpan
      _ = [UInt8(0x10)].withRawSpan { decoder.decode($0, into: &room) }
      return samples[0]
    }
    return 0
  }
}
