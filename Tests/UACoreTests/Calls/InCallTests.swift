import Handoff
import ModuleKit
import NetBase
import RTPStack
import TestSupport
import Testing

@testable import UACore

/// What happens while a call stands: hold, digits, mute, loss, a peer that vanishes.
@Suite struct InCallTests {
  /// Counts the RTP and RTCP datagrams that each host sends.
  final class MediaCount: Sendable {
    private let counts = Locked<[String: Int]>([:])

    init(_ network: SimulatedNetwork) {
      network.tap { [counts] datagram in
        if !datagram.isSignalling, datagram.source.port % 2 == 0 {
          counts.withLock { $0[datagram.source.host, default: 0] += 1 }
        }
        return true
      }
    }

    func take(_ host: String) -> Int { self.counts.withLock { $0.removeValue(forKey: host) ?? 0 } }
  }

  @Test("test_call_hold_resume: a held peer sends nothing until it is resumed", arguments: Cell.all)
  func hold(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 5)
    let call = try agents.establishedCall()
    let count = MediaCount(agents.simulation.network)
    for round in 0..<3 {
      agents.alice.act { $0.setHold(call, true) }
      agents.run(milliseconds: 50)
      #expect(agents.alice.report?.isOnHold == true && agents.bob.report?.isHeldByPeer == true)
      _ = count.take("10.0.0.2")
      agents.run(milliseconds: 2000)
      #expect(count.take("10.0.0.2") == 0, "round \(round)")
      agents.alice.act { $0.setHold(call, false) }
      agents.run(milliseconds: 50)
      #expect(agents.alice.report?.isOnHold == false && agents.bob.report?.isHeldByPeer == false)
      _ = count.take("10.0.0.2")
      agents.run(milliseconds: 2000)
      #expect((99...101).contains(count.take("10.0.0.2")))
    }
    let held = agents.bob.events.compactMap { if case .held(_, let isHeld) = $0 { isHeld } else { nil } }
    #expect(held == [true, false, true, false, true, false])
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.media.drops == DropCounters() && report.media.lost == 0)
      #expect(report.failure == nil)
    }
  }

  @Test("a peer on hold does not end the call by rtp_timeout")
  func holdAndTimeout() throws {
    let agents = try SimulatedAgents { $0.rtpTimeout = 5 }
    let call = try agents.establishedCall()
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
  }

  @Test("both sides hold at one moment, and both are held; resumed, both are heard again", arguments: RxMode.allCases)
  func crossingHold(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp", seed: 3)
    let call = try agents.establishedCall()
    let count = MediaCount(agents.simulation.network)
    agents.alice.act { $0.setHold(call, true) }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 10_000)
    for agent in [agents.alice, agents.bob] {
      #expect(agent.report?.isOnHold == true && agent.report?.isHeldByPeer == true, "\(agent.name)")
    }
    _ = (count.take("10.0.0.1"), count.take("10.0.0.2"))
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.1") == 0 && count.take("10.0.0.2") == 0)
    agents.alice.act { $0.setHold(call, false) }
    agents.bob.act { $0.setHold(agents.bobCall, false) }
    agents.run(milliseconds: 10_000)
    _ = (count.take("10.0.0.1"), count.take("10.0.0.2"))
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.1") >= 49 && count.take("10.0.0.2") >= 49)
    #expect(agents.alice.warnings.isEmpty && agents.bob.warnings.isEmpty)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }

  @Test("both sides put each other on hold, and resume")
  func mutualHold() throws {
    let agents = try SimulatedAgents()
    let call = try agents.establishedCall()
    let count = MediaCount(agents.simulation.network)
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 100)
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 100)
    _ = (count.take("10.0.0.1"), count.take("10.0.0.2"))
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.1") == 0 && count.take("10.0.0.2") == 0)
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: 100)
    agents.bob.act { $0.setHold(agents.bobCall, false) }
    agents.run(milliseconds: 100)
    _ = (count.take("10.0.0.1"), count.take("10.0.0.2"))
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.1") == 50 && count.take("10.0.0.2") == 50)
  }

  @Test("what is asked for while an offer is under way comes when that is done: the last word counts")
  func holdInHaste() throws {
    let agents = try SimulatedAgents()
    let call = try agents.establishedCall()
    for words in [[true, false], [true, false, true], [false, true, true, false]] {
      for isHeld in words { agents.alice.act { $0.setHold(call, isHeld) } }
      agents.run(milliseconds: 2000)
      let isHeld = words.last
      #expect(agents.alice.report?.isOnHold == isHeld && agents.bob.report?.isHeldByPeer == isHeld, "\(words)")
    }
    #expect(!agents.alice.events.contains { if case .warning = $0 { true } else { false } })
  }

  @Test("who was just put on hold, and holds from within the event, holds when that offer is done with")
  func holdWhileAsked() throws {
    let agents = try SimulatedAgents()
    let call = try agents.establishedCall()
    let bob = agents.bob
    bob.onEvent { [unowned bob] event in if case .held(let call, true) = event { bob.core.setHold(call, true) } }
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 2000)
    #expect(agents.alice.report?.isHeldByPeer == true && bob.report?.isHeldByPeer == true)
  }

  @Test("offers that cross are both made good in the end")
  func glare() throws {
    let agents = try SimulatedAgents()
    let call = try agents.establishedCall()
    agents.alice.act { $0.setHold(call, true) }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 10_000)
    // RFC 3261 §14.1: 491, and another try after a while, or the user is told.
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let (alice, bob) = (agents.alice.report, agents.bob.report)
    #expect(alice?.isOnHold == bob?.isHeldByPeer && bob?.isOnHold == alice?.isHeldByPeer)
  }

  @Test("a hold that gave way to an offer of the peer's goes again when that is refused")
  func glareWithRefusal() throws {
    let agents = try SimulatedAgents()
    let call = try agents.establishedCall()
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      if message.isRequest, message.sender == "10.0.0.2" {
        message.body = message.body.map { $0.replacing("m=audio", with: "m=image") }
      }
    }
    agents.alice.act { $0.setHold(call, true) }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 10_000)
    #expect(agents.bob.warnings.contains { $0.contains("488") }, "\(agents.bob.warnings)")
    #expect(agents.alice.report?.isOnHold == true && agents.bob.report?.isHeldByPeer == true)
  }

  @Test("digits are reported once each, both ways, whatever the encryption", arguments: Cell.all)
  func digits(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 3)
    let call = try agents.establishedCall()
    agents.alice.act { $0.send(digits: "12#*A", on: call) }
    agents.bob.act { $0.send(digits: "990", on: agents.bobCall) }
    agents.run(milliseconds: 4000)
    #expect(agents.bob.report?.digits == "12#*A" && agents.alice.report?.digits == "990")
    #expect(agents.bob.digits == ["1", nil, "2", nil, "#", nil, "*", nil, "A", nil])
    #expect(agents.alice.digits == ["9", nil, "9", nil, "0", nil])
  }

  @Test("a digit whose end is lost ends by itself")
  func lostEnd() throws {
    let agents = try SimulatedAgents(seed: 3)
    let isCut = Locked(false)
    agents.simulation.network.tap { _ in !isCut.withLock { $0 } }
    let call = try agents.establishedCall()
    agents.alice.act { $0.send(digits: "5", on: call) }
    agents.run(milliseconds: 60)
    #expect(agents.bob.digits == ["5"])
    isCut.withLock { $0 = true }
    agents.run(milliseconds: 2000)
    #expect(agents.bob.digits == ["5", nil])
  }

  @Test("digits are heard where events are agreed on at the clock of each codec")
  func digitsOnTwoClocks() throws {
    let agents = try SimulatedAgents(codec: nil, seed: 3)
    let call = try agents.establishedCall()
    agents.alice.act { $0.send(digits: "12", on: call) }
    agents.bob.act { $0.send(digits: "90", on: agents.bobCall) }
    agents.run(milliseconds: 2000)
    #expect(agents.bob.report?.digits == "12" && agents.alice.report?.digits == "90")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] { #expect(report.media.drops == DropCounters()) }
  }

  @Test("of digits without end the last 256 are kept, and all are counted")
  func digitsWithoutEnd() throws {
    let agents = try SimulatedAgents()
    try agents.establishedCall()
    let id = agents.bobCall
    agents.bob.act { core in
      guard let call = core.calls[id] else { return }
      for number in 0..<1000 {
        let digit: Character = number < 999 ? "1" : "2"
        core.handle(.digit(digit), call)
      }
    }
    let report = try #require(agents.bob.report)
    #expect(report.digits == String(repeating: "1", count: 255) + "2" && report.digitCount == 1000)
  }

  @Test("digits that wait are sent although the encoder is asked for another bit rate meanwhile")
  func digitsAndBitrate() throws {
    let agents = try SimulatedAgents(seed: 3)
    let call = try agents.establishedCall()
    agents.alice.act { $0.send(digits: "1234567890", on: call) }
    agents.run(milliseconds: 300)
    try agents.alice.act { try $0.calls[call]?.media?.change(bitrate: 32_000) }
    agents.run(milliseconds: 4000)
    #expect(agents.bob.report?.digits == "1234567890")
  }

  @Test("digits for which there is no room are counted to the user, not shown, and the others are sent")
  func tooManyDigits() throws {
    let agents = try SimulatedAgents(seed: 3)
    let call = try agents.establishedCall()
    agents.alice.act { $0.send(digits: String(repeating: "1", count: 64) + "234", on: call) }
    agents.run(milliseconds: 20_000)
    #expect(agents.bob.report?.digits == String(repeating: "1", count: 64))
    #expect(agents.alice.warnings.count == 1 && agents.alice.warnings[0].hasSuffix(": 3"), "\(agents.alice.warnings)")
  }

  @Test("a digit of a new source is heard, however far back its timestamp is")
  func digitsOfNewSource() throws {
    let agents = try SimulatedAgents(seed: 3)
    agents.simulation.network.tap { StandIn.spares($0) }
    try agents.call()
    agents.run(milliseconds: 500)
    let addresses = [agents.alice, agents.bob].map { $0.act { $0.calls.values.first?.media?.localAddress } }
    let (alice, bob) = (try #require(addresses[0]), try #require(addresses[1]))
    for (key, timestamp, source) in [(UInt8(1), UInt32(1 << 31), UInt32(0x5EED_0000)), (2, 1000, 0x5EED_0001)] {
      for sequence in UInt16(1)...4 {
        let header = RTPHeader(
          marker: false, payloadType: 101, sequenceNumber: sequence, timestamp: timestamp, ssrc: source)
        let end = TelephoneEventPayload(event: TelephoneEvent(code: key), isEnd: true, volume: 10, duration: 800)
        var bytes = [UInt8](repeating: 0, count: RTPHeader.fixedLength + TelephoneEventPayload.length)
        bytes.withPacket { packet in
          let start = header.write(into: &packet.storage)
          end.write(into: &packet.storage, at: start)
        }
        agents.simulation.network.inject(bytes, from: bob, to: alice)
        agents.run(milliseconds: 20)
      }
      agents.run(milliseconds: 1000)
    }
    #expect(agents.alice.report?.digits == "12" && agents.alice.digits == ["1", nil, "2", nil])
  }

  @Test("digits survive loss", arguments: [UInt64(1), 2, 3, 4])
  func digitsUnderLoss(seed: UInt64) throws {
    let agents = try SimulatedAgents(encryption: "srtp-mand", seed: seed)
    let call = try agents.establishedCall()
    agents.simulation.network.setMedia(LinkConditions(delay: 1000...25_000, loss: 0.05, duplication: 0.05))
    agents.alice.act { $0.send(digits: "1234567890", on: call) }
    agents.run(milliseconds: 6000)
    #expect(agents.bob.report?.digits == "1234567890")
  }

  @Test("digits that wait when the call is muted still leave; the voice does not")
  func mute() throws {
    let agents = try SimulatedAgents()
    let call = try agents.establishedCall()
    agents.alice.act { $0.mute(call, true) }
    agents.run(milliseconds: 1000)
    let before = ProbeCapture.samples(agents.bobHears).count
    agents.alice.act { $0.send(digits: "5", on: call) }
    agents.run(milliseconds: 1000)
    #expect(ProbeCapture.samples(agents.bobHears)[before...].allSatisfy { abs(Int($0)) < 8 })
    #expect(agents.bob.report?.digits == "5")
    agents.alice.act { $0.mute(call, false) }
    agents.run(milliseconds: 1000)
    #expect(ProbeCapture.samples(agents.bobHears).suffix(160).contains { abs(Int($0)) > 8 })
  }

  @Test("test_call_rtp_timeout: a peer that vanishes ends the call after rtp_timeout", arguments: Cell.all)
  func vanishes(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption) { $0.rtpTimeout = 5 }
    try agents.establishedCall()
    agents.run(milliseconds: 1000)
    agents.simulation.network.silence(host: "10.0.0.2")
    let silent = agents.simulation.now
    #expect(agents.simulation.run(milliseconds: 60_000) { agents.alice.act { $0.callCount } == 0 })
    #expect((4_900...5_200).contains(agents.simulation.now.milliseconds(since: silent)))
    let report = try #require(agents.alice.ended.first)
    #expect(report.reason == "timeout")
    #expect(report.failure?.message == "nothing was heard from sip:bob@10.0.0.2 for 5 s (rtp_timeout)")
    #expect(agents.runUntilIdle(milliseconds: 60_000))
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("5 % of loss is counted and concealed", arguments: ["opus", "pcmu"], [nil, "srtp-mand", "dtls_srtp"])
  func loss(codec: String, encryption: String?) throws {
    let agents = try SimulatedAgents(encryption: encryption, codec: codec, seed: 21)
    let call = try agents.establishedCall()
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...15_000, loss: 0.05))
    agents.run(milliseconds: 12_000)
    agents.simulation.network.setMedia(LinkConditions(delay: 10_000...10_000))
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, other, heard) in [
      (agents.alice, agents.bob, agents.aliceHears), (agents.bob, agents.alice, agents.bobHears),
    ] {
      let (media, sent) = (agent.ended[0].media, other.ended[0].media.sentPackets)
      #expect((15...50).contains(media.lost), "\(media.lost)")
      #expect((0...2).contains(sent - media.receivedPackets - media.lost))
      #expect(abs(media.concealed - media.lost * 20) <= 60, "\(media.concealed) ms for \(media.lost) packets")
      #expect(media.late == 0 && media.drops.total == 0)
      let milliseconds = ProbeCapture.samples(heard).count / (codec == "opus" ? 48 : 8)
      #expect((12_000...13_500).contains(milliseconds), "\(milliseconds) ms were played")
      #expect((media.meanOpinionScore ?? 0) > 1.5 && (media.meanOpinionScore ?? 5) < 4.3)
    }
  }

  @Test("where the peer wants packets of 30 ms, which opus does not make, it gets shorter ones")
  func packetTimeOfNoCodec() throws {
    let agents = try SimulatedAgents(codec: "opus", seed: 23)
    agents.bobSettings.packetTime = 30
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.media.sentPackets >= 50 && report.media.unencodable == 0, "\(report.media.sentPackets)")
    }
  }

  @Test("jitter is reckoned by the clock of the codec that comes, whichever one was agreed on first")
  func jitterOfSecondCodec() throws {
    let agents = try SimulatedAgents(codec: nil, seed: 24)
    agents.simulation.network.setMedia(LinkConditions(delay: 10_000...10_000))
    agents.simulation.network.tap { StandIn.spares($0) }
    let call = try agents.call()
    agents.run(milliseconds: 500)
    let addresses = [agents.alice, agents.bob].map { $0.act { $0.calls.values.first?.media?.localAddress } }
    let (alice, bob) = (try #require(addresses[0]), try #require(addresses[1]))
    #expect(agents.alice.report?.codec?.hasPrefix("opus") == true)
    for sequence in UInt16(1)...50 {
      agents.simulation.network.inject(
        PlainPackets.pcmu(sequence: sequence, ssrc: 0x5EED_0000), from: bob, to: alice)
      agents.run(milliseconds: 20)
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = agents.alice.ended[0].media
    #expect(media.receivedPackets == 50 && media.jitter == 0, "\(media.receivedPackets), \(media.jitter) ms")
  }

  @Test("late, doubled and reordered packets change no sample", arguments: Cell.all)
  func reordering(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 31)
    let call = try agents.establishedCall()
    agents.simulation.network.setMedia(LinkConditions(delay: 1000...20_000, duplication: 0.1, reordering: 0.1))
    agents.run(milliseconds: 5000)
    agents.simulation.network.setMedia(LinkConditions(delay: 1000...1000))
    agents.run(milliseconds: 100)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let media = agent.ended[0].media
      #expect(media.lost == 0 && media.late == 0)
      // With SRTP the copies are replays, and never reach the stream.
      #expect(cell.encryption == nil ? media.duplicate > 10 : media.drops.replay > 10)
      #expect(media.drops.total == media.drops.replay)
      let matched = try #require(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)))
      #expect(matched >= 8000 * 4)
    }
  }

  @Test("test_call_rtcp: reports cross: round-trip time and counts come back", arguments: Cell.all, [true, false])
  func reports(cell: Cell, isMuxed: Bool) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption)
    agents.aliceSettings.usesRTCPMux = isMuxed
    agents.bobSettings.usesRTCPMux = isMuxed
    agents.simulation.network.setMedia(LinkConditions(delay: 15_000...15_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 16_000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      let roundTrip = try #require(report.media.roundTrip)
      #expect((29.9...31).contains(roundTrip))
      #expect(report.media.sentReports >= 3 && report.media.receivedReports >= 3)
      #expect(report.media.drops == DropCounters())
      #expect((report.media.meanOpinionScore ?? 0) > 4)
    }
  }

  @Test(
    "who rings long before there are keys counts the reports that leave and no others, and the first leaves at once",
    arguments: [true, false])
  func reportsAfterRinging(isMuxed: Bool) throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp", seed: 7)
    agents.aliceSettings.usesRTCPMux = isMuxed
    agents.bobSettings.usesRTCPMux = isMuxed
    agents.bobSettings.answersAtOnce = false
    agents.simulation.network.setMedia(LinkConditions(delay: 1_000_000...1_000_000))
    let sent = Locked(0)
    agents.simulation.network.tap { datagram in
      let bytes = datagram.bytes
      if !datagram.isSignalling, datagram.source.host == "10.0.0.1", bytes.count > 1, bytes[0] >> 6 == 2,
        (192...223).contains(bytes[1])
      {
        sent.withLock { $0 += 1 }
      }
      return true
    }
    let call = try agents.call()
    agents.run(milliseconds: 5000)
    agents.bob.act { $0.answer(agents.bobCall) }
    let isSecured = agents.simulation.run(milliseconds: 20_000) {
      agents.alice.events.contains { if case .secured = $0 { true } else { false } }
    }
    #expect(isSecured)
    #expect(agents.simulation.run(milliseconds: 1000) { sent.withLock { $0 } > 0 })
    agents.run(milliseconds: 10_000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let left = sent.withLock { $0 }
    #expect(agents.alice.ended[0].media.sentReports == left && left >= 3, "\(left)")
  }

  @Test("test_call_multiple: two calls at once do not touch each other", arguments: Cell.all)
  func twoCalls(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption)
    let first = try agents.establishedCall()
    let (alice, bob) = (ProbeCapture.makeName(), ProbeCapture.makeName())
    agents.aliceSettings.player = AudioDevice(driver: "probe", device: alice)
    agents.bobSettings.player = AudioDevice(driver: "probe", device: bob)
    let second = try agents.call()
    agents.run(milliseconds: 2000)
    agents.alice.act { $0.hangUp(first) }
    agents.run(milliseconds: 2000)
    #expect(agents.alice.ended.count == 1 && agents.bob.ended.count == 1)
    agents.alice.act { $0.hangUp(second) }
    #expect(agents.runUntilIdle())
    for (device, least) in [(agents.aliceHears, 1.5), (agents.bobHears, 1.5), (alice, 3.5), (bob, 3.5)] {
      let matched = try #require(try ExpectedAudio.matchedSamples(ProbeCapture.samples(device)))
      #expect(Double(matched) >= 8000 * least)
    }
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.drops == DropCounters() && report.media.lost == 0)
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }
}
