import Handoff
import ModuleKit
import NetBase
import RTPStack
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// What the caller hears before the call is answered, and other ways in which peers that are not us behave.
@Suite struct EarlyMediaTests {
  /// Alice calls a peer that does what the test says.
  final class Setup {
    let agents: SimulatedAgents
    let peer: ScriptedPeer
    let call: CallID
    let session: SessionID
    let target: SocketAddress

    init(
      mode: RxMode, encryption: String? = nil, peer: SIPConfiguration = SIPConfiguration(),
      configure: (inout Configuration) -> Void = { _ in }
    ) throws {
      self.agents = try SimulatedAgents(mode: mode, encryption: encryption, configure: configure)
      self.peer = try ScriptedPeer(in: self.agents.simulation, configuration: peer)
      let (agents, peer) = (self.agents, self.peer)
      let uri = try SIPURI("sip:peer@10.0.0.3")
      self.call = try agents.alice.act { try $0.call(uri, at: peer.address, settings: agents.aliceSettings) }
      agents.run(milliseconds: 10)
      let (session, invite) = try #require(peer.incoming.first)
      self.session = session
      self.target = try #require(invite.body.flatMap { peer.mediaAddress(in: $0) })
    }

    /// The peer sends a second's PCMU.
    func sendSecond(from first: UInt16) {
      for sequence in first..<first + 50 {
        self.agents.simulation.network.inject(
          PlainPackets.pcmu(sequence: sequence), from: self.peer.media, to: self.target)
        self.agents.run(milliseconds: 20)
      }
    }
  }

  @Test("a 183 with a description lets the caller hear before the answer", arguments: RxMode.allCases)
  func early(mode: RxMode) throws {
    let setup = try Setup(mode: mode)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.ring(setup.session, status: 183, body: peer.description(), now: peer.now) }
    agents.run(milliseconds: 10)
    #expect(agents.alice.report?.state == .early)
    setup.sendSecond(from: 1)
    #expect(agents.alice.report?.firstMedia != nil && agents.alice.report?.state == .early)
    let early = ProbeCapture.samples(agents.aliceHears).count { $0 != 0 }
    #expect(early >= 160 * 35)
    peer.act { $0.accept(setup.session, body: peer.description(), now: peer.now) }
    setup.sendSecond(from: 51)
    #expect(agents.alice.isEstablished)
    #expect(ProbeCapture.samples(agents.aliceHears).count { $0 != 0 } >= early + 160 * 45)
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].media.lost == 0 && agents.alice.ended[0].media.drops == DropCounters())
  }

  @Test("early media that is never answered ends with the peer's refusal")
  func earlyThenRefused() throws {
    let setup = try Setup(mode: .pool)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.ring(setup.session, status: 183, body: peer.description(), now: peer.now) }
    setup.sendSecond(from: 1)
    peer.act { $0.reject(setup.session, status: 404, now: peer.now) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].status == 404)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("another answer in the 200 replaces the one of the 183")
  func otherAnswer() throws {
    let setup = try Setup(mode: .main)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.ring(setup.session, status: 183, body: peer.description(), now: peer.now) }
    agents.run(milliseconds: 10)
    peer.act {
      $0.accept(setup.session, body: peer.description(["a=sendonly"], version: 2), now: peer.now)
    }
    agents.run(milliseconds: 10)
    #expect(agents.alice.isEstablished && agents.alice.report?.isHeldByPeer == true)
  }

  /// Of a peer under DTLS, by the number that its fingerprint is made of.
  private func dtlsAnswer(_ peer: ScriptedPeer, _ number: Int) -> SIPBody {
    let fingerprint = Array(repeating: "A\(number)", count: 32).joined(separator: ":")
    return peer.description(
      ["a=setup:passive", "a=fingerprint:sha-256 \(fingerprint)", "a=rtcp-mux"], protocolName: "UDP/TLS/RTP/SAVPF",
      version: number)
  }

  @Test("under DTLS too another fork may answer than the one that was heard before", arguments: RxMode.allCases)
  func otherFork(mode: RxMode) throws {
    let setup = try Setup(mode: mode, encryption: "dtls_srtp")
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.ring(setup.session, status: 183, body: self.dtlsAnswer(peer, 1), now: peer.now) }
    agents.run(milliseconds: 200)
    #expect(agents.alice.report?.state == .early)
    peer.act { $0.accept(setup.session, body: self.dtlsAnswer(peer, 2), now: peer.now) }
    agents.run(milliseconds: 200)
    #expect(agents.alice.isEstablished && agents.alice.warnings.isEmpty, "\(agents.alice.warnings)")
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle() && agents.alice.ended[0].failure == nil)
  }

  @Test("an early answer of no use, or a body that is none, is passed over; what comes with the 200 counts")
  func uselessEarly() throws {
    let setup = try Setup(mode: .main)
    let (agents, peer) = (setup.agents, setup.peer)
    let bodies = [
      SIPBody(contentType: "multipart/mixed;boundary=x", bytes: Array("--x\r\n".utf8)),
      peer.description(protocolName: "RTP/SAVP"),
    ]
    for body in bodies {
      peer.act { $0.ring(setup.session, status: 183, body: body, now: peer.now) }
      agents.run(milliseconds: 100)
      #expect(agents.alice.report?.state == .ringing)
    }
    #expect(agents.alice.warnings.count == 1, "\(agents.alice.warnings)")
    peer.act { $0.accept(setup.session, body: peer.description(version: 2), now: peer.now) }
    setup.sendSecond(from: 1)
    #expect(agents.alice.isEstablished && agents.alice.report?.media.drops == DropCounters())
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle() && agents.alice.ended[0].media.receivedPackets == 50)
  }

  struct BadAnswer: Sendable, CustomTestStringConvertible {
    let encryption: String?
    let protocolName: String
    let lines: [String]
    let sentence: String
    var testDescription: String { self.sentence }

    static let all = [
      BadAnswer(encryption: nil, protocolName: "RTP/SAVP", lines: [], sentence: "RTP/SAVP"),
      BadAnswer(encryption: "srtp-mand", protocolName: "RTP/SAVP", lines: [], sentence: "crypto"),
      BadAnswer(
        encryption: "srtp-mand", protocolName: "RTP/SAVP",
        lines: ["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ="], sentence: "crypto"),
      BadAnswer(
        encryption: "srtp-mand", protocolName: "RTP/SAVP",
        lines: ["a=crypto:1 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"], sentence: "crypto"),
      BadAnswer(
        encryption: "dtls_srtp", protocolName: "UDP/TLS/RTP/SAVPF", lines: ["a=setup:active"], sentence: "fingerprint"),
    ]
  }

  @Test(
    "an answer that can't be used ends the call with its reason, and nothing is sent in the clear",
    arguments: BadAnswer.all, RxMode.allCases)
  func badAnswer(one: BadAnswer, mode: RxMode) throws {
    let setup = try Setup(mode: mode, encryption: one.encryption)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act {
      $0.accept(setup.session, body: peer.description(one.lines, protocolName: one.protocolName), now: peer.now)
    }
    #expect(agents.runUntilIdle())
    let report = try #require(agents.alice.ended.first)
    #expect(report.reason == "media" && report.media.sentPackets == 0)
    #expect(report.failure?.message.contains(one.sentence) == true, "\(report.failure?.message ?? "")")
    agents.run(milliseconds: 100)
    let isGone = peer.events.contains { if case .ended(_, .remoteHangup) = $0 { true } else { false } }
    #expect(isGone, "the peer was told")
  }

  @Test("an answer without a description ends the call")
  func noAnswer() throws {
    let setup = try Setup(mode: .main)
    setup.peer.act { $0.accept(setup.session, body: nil, now: setup.peer.now) }
    #expect(setup.agents.runUntilIdle())
    #expect(setup.agents.alice.ended[0].reason == "media")
    let isEstablished = setup.agents.alice.events.contains { if case .established = $0 { true } else { false } }
    #expect(!isEstablished)
  }

  @Test("an early answer that led to no media has not been taken: the same in the 200 ends the call with the reason")
  func uselessTwice() throws {
    let setup = try Setup(mode: .main)
    let (agents, peer) = (setup.agents, setup.peer)
    let text = String(decoding: peer.description().bytes, as: UTF8.self)
    let body = SIPBody(bytes: Array(text.replacing("c=IN IP4 10.0.0.3", with: "c=IN IP4 media.example").utf8))
    peer.act { $0.ring(setup.session, status: 183, body: body, now: peer.now) }
    agents.run(milliseconds: 100)
    #expect(agents.alice.warnings.count == 1 && agents.alice.report?.state == .ringing)
    peer.act { $0.accept(setup.session, body: body, now: peer.now) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].failure?.message.contains("media.example is a name") == true)
  }

  @Test("a peer that holds us without music does not end the call by rtp_timeout; one that vanishes does")
  func silentHold() throws {
    let setup = try Setup(mode: .main) { $0.rtpTimeout = 5 }
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.accept(setup.session, body: peer.description(["a=sendonly"]), now: peer.now) }
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.isEstablished && agents.alice.report?.isHeldByPeer == true)
    peer.act { $0.reinvite(setup.session, body: peer.description(version: 2), now: peer.now) }
    agents.run(milliseconds: 4000)
    #expect(agents.alice.isEstablished && agents.alice.report?.isHeldByPeer == false)
    agents.run(milliseconds: 2000)
    #expect(agents.alice.ended.first?.failure?.message.contains("rtp_timeout") == true)
  }

  @Test("a re-offer that can't be used is refused with 488, and the call goes on")
  func badReoffer() throws {
    let setup = try Setup(mode: .pool)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.accept(setup.session, body: peer.description(), now: peer.now) }
    setup.sendSecond(from: 1)
    for body in [
      SIPBody(bytes: Array("nonsense".utf8)), peer.description(protocolName: "RTP/SAVP", version: 2),
      SIPBody(bytes: Array("v=0\r\no=- 7 3 IN IP4 10.0.0.3\r\ns=-\r\nt=0 0\r\n".utf8)),
    ] {
      peer.act { $0.reinvite(setup.session, body: body, now: peer.now) }
      agents.run(milliseconds: 100)
      let isRefused = peer.events.contains { if case .reofferFailed(_, 488, _) = $0 { true } else { false } }
      #expect(isRefused && agents.alice.isEstablished)
    }
    #expect(agents.alice.warnings.count == 3)
    setup.sendSecond(from: 51)
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].media.drops == DropCounters())
  }

  @Test("a re-offer moves the peer's media to another port")
  func movedByReoffer() throws {
    let setup = try Setup(mode: .pool)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.accept(setup.session, body: peer.description(), now: peer.now) }
    setup.sendSecond(from: 1)
    var text = String(decoding: peer.description(version: 2).bytes, as: UTF8.self)
    text = text.replacing("30000", with: "30010")
    peer.act { $0.reinvite(setup.session, body: SIPBody(bytes: Array(text.utf8)), now: peer.now) }
    agents.run(milliseconds: 100)
    let (sent, host) = (Locked<[UInt16]>([]), peer.media.host)
    agents.simulation.network.tap { datagram in
      if datagram.destination.host == host { sent.withLock { $0.append(datagram.destination.port) } }
      return true
    }
    // The first ones were under way when the peer moved.
    for sequence in UInt16(51)..<101 {
      agents.simulation.network.inject(
        PlainPackets.pcmu(sequence: sequence), from: peer.media.with(port: sequence < 56 ? 30_000 : 30_010),
        to: setup.target)
      agents.run(milliseconds: 20)
    }
    #expect(sent.withLock { $0.filter { $0 == 30_000 } }.isEmpty, "our media goes where the peer said at once")
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].media.receivedPackets == 100)
    #expect(agents.alice.ended[0].media.drops == DropCounters())
  }

  @Test("who answers a refresh of the session from another port is heard of there, and sent to")
  func movedByRefresh() throws {
    let timers = SessionTimerPolicy(use: .requested, interval: 90, refresher: .remote)
    let setup = try Setup(
      mode: .pool,
      peer: SIPConfiguration(
        allow: [.invite, .ack, .cancel, .bye, .options], policy: CallPolicy(sessionTimers: timers)))
    let (agents, peer) = (setup.agents, setup.peer)
    func offers() -> Int { peer.events.count { if case .reoffer = $0 { true } else { false } } }
    func answer(version: Int) {
      let text = String(decoding: peer.description(version: version).bytes, as: UTF8.self)
      let moved = SIPBody(bytes: Array(text.replacing("30000", with: "30010").utf8))
      peer.act { $0.acceptReinvite(setup.session, body: moved, now: peer.now) }
    }
    let port = peer.media.with(port: 30_010)
    let sent = Locked(0)
    agents.simulation.network.tap { datagram in
      if datagram.destination == port { sent.withLock { $0 += 1 } }
      return true
    }
    peer.act { $0.accept(setup.session, body: peer.description(), now: peer.now) }
    agents.run(milliseconds: 46_000)
    try #require(offers() == 1 && agents.alice.isEstablished)
    answer(version: 2)
    agents.run(milliseconds: 100)
    try #require(offers() == 2)
    answer(version: 3)
    agents.run(milliseconds: 1000)
    #expect(sent.withLock { $0 } >= 40)
    // The same answer to the next refresh is no news.
    agents.run(milliseconds: 45_000)
    try #require(offers() == 3)
    answer(version: 4)
    agents.run(milliseconds: 1000)
    #expect(offers() == 3 && agents.alice.isEstablished && agents.alice.warnings.isEmpty, "\(agents.alice.warnings)")
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle())
  }

  @Test("payload types that were not negotiated are counted and not played")
  func unknownPayloadType() throws {
    let setup = try Setup(mode: .main)
    let (agents, peer) = (setup.agents, setup.peer)
    peer.act { $0.accept(setup.session, body: peer.description(), now: peer.now) }
    agents.run(milliseconds: 20)
    for sequence in UInt16(1)...10 {
      agents.simulation.network.inject(
        PlainPackets.pcmu(sequence: sequence, payloadType: 77), from: peer.media, to: setup.target)
    }
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(setup.call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].media.drops.unknown == 10 && agents.alice.ended[0].firstMedia == nil)
  }
}
