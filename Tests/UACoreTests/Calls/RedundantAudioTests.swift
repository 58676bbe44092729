import Handoff
import ModuleKit
import NetBase
import RTPStack
import TestSupport
import Testing

@testable import UACore

/// A peer that sends what it said before once more (RFC 2198).
@Suite struct RedundantAudioTests {
  /// The payload type that Alice, as the network has her offer it, gives to redundant audio.
  private static let payloadType: UInt8 = 63

  @Test(
    "where redundant audio is offered, lost packets are heard all the same; a malformed one is counted",
    arguments: RxMode.allCases)
  func recovers(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, seed: 98)
    let network = agents.simulation.network
    let answers = Locked<[String]>([])
    let before = Locked<[UInt8]>([])
    let paddings = Locked<UInt16>(0)
    let descriptions = Descriptions(network) { [unowned network] datagram in
      guard datagram.source.host == "10.0.0.1", datagram.source.port % 2 == 0 else { return true }
      let parsed = datagram.bytes.withRawSpan { try? RTPHeader(parsing: $0) }
      guard var header = parsed, header.payloadType == 0 else { return true }
      let payload = Array(datagram.bytes[header.payload])
      let older = before.withLock { before in
        defer { before = payload }
        return before
      }
      // One in ten is followed by a packet of padding alone, which has a sequence number, too.
      let number = header.sequenceNumber
      header.sequenceNumber &+= paddings.withLock { $0 }
      defer {
        if number % 10 == 3 {
          header.sequenceNumber &+= 1
          paddings.withLock { $0 &+= 1 }
          var padding = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
          padding.withPacket { packet in _ = header.write(into: &packet.storage) }
          padding[0] |= 0x20
          network.inject(padding + [0, 0, 0, 4], from: datagram.source, to: datagram.destination)
        }
      }
      // Every fifth does not arrive, and one in fifty is of no use.
      guard number % 5 > 0 else { return false }
      header.payloadType = Self.payloadType
      var bytes = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
      bytes.withPacket { packet in _ = header.write(into: &packet.storage) }
      if number % 50 == 2 {
        bytes += [0xFF, 0xFF]
      } else {
        // 160 timestamp units older, in 14 bits, and 160 bytes, in 10.
        bytes += older.isEmpty ? [0] : [0x80, 160 >> 6, UInt8(160 & 0x3F) << 2, 160, 0] + older
        bytes += payload
      }
      network.inject(bytes, from: datagram.source, to: datagram.destination)
      return false
    }
    descriptions.set { message in
      guard message.sender == "10.0.0.1" else { return answers.withLock { $0 += message.body } }
      guard message.isRequest else { return }
      message.body = message.body.map { $0.replacing("RTP/AVP ", with: "RTP/AVP 63 ") }
      message.body += ["a=rtpmap:63 red/8000", "a=fmtp:63 0/0"]
    }
    let call = try agents.establishedCall()
    #expect(answers.withLock { $0.contains("a=rtpmap:63 red/8000") && $0.contains("a=fmtp:63 0/0") })
    agents.run(milliseconds: 3000)
    let heard = try HeardAudio(ProbeCapture.samples(agents.bobHears))
    #expect(heard.isGapless && heard.packets.count > 140, "\(heard.packets.count)")
    // An offer of Bob's has it where hers had it, and goes on with it.
    answers.withLock { $0.removeAll() }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 200)
    agents.bob.act { $0.setHold(agents.bobCall, false) }
    agents.run(milliseconds: 1500)
    let offers = answers.withLock { $0.filter { $0.hasPrefix("m=audio ") } }
    #expect(offers.count == 2 && offers.allSatisfy { $0.contains("RTP/AVP 63 0") }, "\(offers)")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = try #require(agents.bob.ended.first?.media)
    #expect(media.lost > 20 && media.drops.unknown > 0 && media.undecodable > 0)
    #expect(media.accountedDatagrams == media.receivedDatagrams)
    let missing = media.lost + media.drops.unknown
    // The first, or the last before the hold or the end, may be among them.
    #expect((missing - 2...missing + 1).contains(media.recovered), "\(media.recovered) of \(missing)")
    #expect(media.late == 0)
  }

  @Test("a digit whose packets come as redundant data is heard, and none of their numbers is missing")
  func digit() throws {
    let agents = try SimulatedAgents(seed: 98)
    let network = agents.simulation.network
    let changed = Locked<Int>(0)
    let descriptions = Descriptions(network) { [unowned network] datagram in
      guard datagram.source.host == "10.0.0.1", datagram.source.port % 2 == 0 else { return true }
      let parsed = datagram.bytes.withRawSpan { try? RTPHeader(parsing: $0) }
      guard var header = parsed, header.payloadType == 101 else { return true }
      changed.withLock { $0 += 1 }
      let event = Array(datagram.bytes[header.payload])
      header.payloadType = Self.payloadType
      var bytes = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
      bytes.withPacket { packet in _ = header.write(into: &packet.storage) }
      // An event of 101 that is 160 timestamp units older, in 14 bits, and has 4 bytes, in 10; then the packet's own.
      bytes += [0x80 | 101, 160 >> 6, UInt8(160 & 0x3F) << 2, 4, 101]
      network.inject(bytes + event + event, from: datagram.source, to: datagram.destination)
      return false
    }
    descriptions.set { message in
      guard message.sender == "10.0.0.1", message.isRequest else { return }
      message.body = message.body.map { $0.replacing("RTP/AVP ", with: "RTP/AVP 63 ") }
      message.body += ["a=rtpmap:63 red/8000", "a=fmtp:63 101/101"]
    }
    let call = try agents.establishedCall()
    agents.alice.act { $0.send(digits: "5", on: call) }
    agents.run(milliseconds: 1000)
    let packets = changed.withLock { $0 }
    #expect(packets > 3 && agents.bob.digits == ["5", nil])
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = try #require(agents.bob.ended.first?.media)
    #expect(media.lost == 0 && media.undecodable == 0 && media.drops == DropCounters(), "\(media.drops)")
  }
}
