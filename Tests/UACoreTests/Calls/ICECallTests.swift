import Handoff
import ModuleKit
import NetBase
import Runtime
import SDPCodec
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Whole calls with `medianat=ice`, as baresip's `test_call_medianat` and `test_call_webrtc` have them.
@Suite("calls with ICE") struct ICECallTests {
  /// A media encryption in a receive mode, with RTCP on its own socket or not.
  struct ICECell: Sendable, CustomTestStringConvertible {
    let encryption: String?
    let mode: RxMode
    let usesRTCPMux: Bool
    var testDescription: String { "\(self.encryption ?? "none") \(self.mode) \(self.usesRTCPMux ? "mux" : "")" }

    static let all = RxMode.allCases.flatMap { mode in
      [nil, "srtp-mand", "dtls_srtp"].flatMap { encryption in
        [true, false].map { ICECell(encryption: encryption, mode: mode, usesRTCPMux: $0) }
      }
    }
  }

  static func makeAgents(
    mode: RxMode = .main, encryption: String? = "dtls_srtp", usesRTCPMux: Bool = true, seed: UInt64 = 1
  ) throws -> SimulatedAgents {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: seed)
    (agents.aliceSettings.mediaNAT, agents.bobSettings.mediaNAT) = ("ice", "ice")
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (usesRTCPMux, usesRTCPMux)
    return agents
  }

  /// What a side's last description says.
  static func lines(_ agent: SimulatedAgent, _ name: String) -> [String] {
    agent.act { core in
      core.calls.values.first?.media?.localDescription?.media.first?.attributes
        .filter { $0.name == name }.map { $0.value ?? "" } ?? []
    }
  }

  static func credentials(_ agents: SimulatedAgents) -> [String] {
    [agents.alice, agents.bob].flatMap { self.lines($0, "ice-ufrag") + self.lines($0, "ice-pwd") }
  }

  /// Both hang up, nothing was lost or refused, and each heard what the other said.
  private func end(_ agents: SimulatedAgents, _ call: CallID, isWhole: Bool = true) throws {
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let report = try #require(agent.ended.first)
      #expect(report.reason == "hangup" && report.failure == nil && agent.warnings.isEmpty, "\(agent.warnings)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.checkDatagrams > 0 && report.media.sendFailures == 0)
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams)
      if isWhole { #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil) }
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("test_call_medianat: a call is checked, secured and heard both ways", arguments: ICECell.all)
  func callMediaNAT(cell: ICECell) throws {
    let agents = try Self.makeAgents(
      mode: cell.mode, encryption: cell.encryption, usesRTCPMux: cell.usesRTCPMux, seed: 2)
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...15_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1500)
    let offered = Self.lines(agents.alice, "candidate")
    #expect(offered.count == 2 && offered.allSatisfy { $0.contains(" 10.0.0.1 ") && $0.hasSuffix("typ host") })
    #expect(Self.lines(agents.bob, "candidate").count == (cell.usesRTCPMux ? 1 : 2))
    #expect(Set(Self.credentials(agents)).count == 4 && Self.lines(agents.alice, "ice-options") == ["trickle ice2"])
    let reports = agents.alice.act { $0.reports } + agents.bob.act { $0.reports }
    #expect(reports.allSatisfy { $0.mediaEncryption == cell.encryption ?? "none" })
    if cell.encryption == "dtls_srtp" { #expect(reports.allSatisfy { ($0.secure ?? 9999) < 300 }) }
    try self.end(agents, call)
  }

  @Test(
    "where one side has no part in it the call goes on without", arguments: RxMode.allCases,
    [(true, false), (false, true)])
  func oneSideOnly(mode: RxMode, side: (alice: Bool, bob: Bool)) throws {
    let agents = try Self.makeAgents(mode: mode, seed: 3)
    agents.aliceSettings.mediaNAT = side.alice ? "ice" : nil
    agents.bobSettings.mediaNAT = side.bob ? "ice" : nil
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    #expect(Self.lines(agents.bob, "ice-ufrag").isEmpty)
    // A later offer doesn't bring it back.
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 500)
    #expect(Self.lines(agents.alice, "ice-ufrag").isEmpty && Self.lines(agents.bob, "ice-ufrag").isEmpty)
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: 500)
    #expect(agents.alice.act { !$0.restartConnectivity(call) })
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in [agents.alice.ended[0], agents.bob.ended[0]] {
      #expect(report.failure == nil && report.media.lost == 0 && report.media.checkDatagrams == 0)
      #expect(report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }

  @Test("hold and resume leave the checks as they are", arguments: RxMode.allCases)
  func unchanged(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode: mode, seed: 4)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    let before = Self.credentials(agents)
    for isHeld in [true, false] {
      agents.alice.act { $0.setHold(call, isHeld) }
      agents.run(milliseconds: 300)
      agents.bob.act { $0.setHold(agents.bobCall, isHeld) }
      agents.run(milliseconds: 300)
    }
    #expect(Self.credentials(agents) == before)
    // The controlling side names the pair in use (RFC 8839 §4.4.1.2.2).
    let named = Self.lines(agents.alice, "remote-candidates") + Self.lines(agents.bob, "remote-candidates")
    #expect(named.count <= 1 && named.allSatisfy { $0.hasPrefix("1 10.0.0.") })
    agents.run(milliseconds: 1000)
    try self.end(agents, call, isWhole: false)
  }

  @Test("a restart from either side changes both sides' credentials and loses nothing", arguments: ICECell.all)
  func restart(cell: ICECell) throws {
    let agents = try Self.makeAgents(
      mode: cell.mode, encryption: cell.encryption, usesRTCPMux: cell.usesRTCPMux, seed: 5)
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...15_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    var seen = Set(Self.credentials(agents))
    for isAlice in [true, false, true] {
      let agent = isAlice ? agents.alice : agents.bob
      #expect(agent.act { $0.restartConnectivity(isAlice ? call : agents.bobCall) })
      agents.run(milliseconds: 700)
      #expect(seen.isDisjoint(with: Self.credentials(agents)))
      seen.formUnion(Self.credentials(agents))
    }
    // The consent of the last generation is asked for, and given; the receive mode makes no difference to that.
    agents.run(milliseconds: cell.mode == .main && cell.encryption == nil ? 40_000 : 500)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    try self.end(agents, call)
  }

  @Test("restarts that overtake each other leave the pair in use its consent", arguments: RxMode.allCases)
  func hurriedRestarts(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode: mode, seed: 6)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    // A check takes longer there and back than the next restart is away.
    agents.simulation.network.setMedia(LinkConditions(delay: 400_000...400_000))
    for round in 0..<40 {
      let isAlice = round % 2 == 0
      _ = (isAlice ? agents.alice : agents.bob).act { $0.restartConnectivity(isAlice ? call : agents.bobCall) }
      agents.run(milliseconds: 1000)
    }
    agents.run(milliseconds: 20_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    try self.end(agents, call, isWhole: false)
  }

  @Test("a restart goes on when the consent of the way before it expires", arguments: RxMode.allCases)
  func restartAfterSilence(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode: mode, seed: 12)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 2000)
    let (isCut, media) = (Locked(true), Locked(0))
    agents.simulation.network.tap { datagram in
      if datagram.isSignalling { return true }
      if datagram.bytes.first ?? 0 > 3 { media.withLock { $0 += 1 } }
      return !isCut.withLock { $0 }
    }
    agents.run(milliseconds: 22_000)
    #expect(agents.alice.act { $0.restartConnectivity(call) })
    agents.run(milliseconds: 8_500)
    let before = media.withLock { $0 }
    agents.run(milliseconds: 1_500)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(before > 1_000 && media.withLock { $0 } == before, "who does not consent is sent nothing")
    isCut.withLock { $0 = false }
    agents.run(milliseconds: 10_000)
    let count = InCallTests.MediaCount(agents.simulation.network)
    agents.run(milliseconds: 1_000)
    #expect(count.take("10.0.0.1") >= 48 && count.take("10.0.0.2") >= 48)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] { #expect(agent.ended.first?.failure == nil) }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("new DTLS keys come with new sockets and new checks, and nothing is lost", arguments: RxMode.allCases)
  func rekey(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode: mode, seed: 7)
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...15_000))
    let call = try agents.establishedCall()
    for _ in 0..<3 {
      agents.run(milliseconds: 1000)
      let before = Set(Self.credentials(agents))
      #expect(agents.alice.act { $0.rekey(call) })
      agents.run(milliseconds: 1500)
      #expect(before.isDisjoint(with: Self.credentials(agents)))
    }
    agents.run(milliseconds: mode == .main ? 40_000 : 500)
    agents.alice.act { $0.refreshStatistics(call) }
    agents.run(milliseconds: 100)
    #expect(agents.alice.report?.media.rekeys == 3)
    try self.end(agents, call)
  }

  @Test(
    "a call whose peer is gone ends when its consent has expired",
    arguments: zip(RxMode.allCases, [nil, "dtls_srtp", "dtls_srtp"]))
  func consent(mode: RxMode, encryption: String?) throws {
    let agents = try Self.makeAgents(mode: mode, encryption: encryption, seed: 8)
    try agents.establishedCall()
    agents.run(milliseconds: 2000)
    /// Good-byes that each host sent: DTLS alerts, and RTCP BYE in the clear.
    let goodbyes = Locked<[String: Int]>([:])
    agents.simulation.network.tap { datagram in
      if datagram.isSignalling { return true }
      let isReport = datagram.bytes[0] & 0xC0 == 0x80 && (200...204).contains(datagram.bytes[1])
      let isBye = encryption == nil && isReport && datagram.bytes.contains([0x81, 203])
      if datagram.bytes[0] == 21 || isBye { goodbyes.withLock { $0[datagram.source.host, default: 0] += 1 } }
      return datagram.source.host != "10.0.0.2"
    }
    agents.run(milliseconds: 23_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    // Neither hears an answer of the other's; who asked first gives up first.
    #expect(agents.simulation.run(milliseconds: 10_000) { agents.alice.ended.count + agents.bob.ended.count == 1 })
    let report = try #require(agents.alice.ended.first ?? agents.bob.ended.first)
    let host = agents.alice.ended.isEmpty ? "10.0.0.2" : "10.0.0.1"
    #expect(report.failure?.message.contains("consent expired") == true, "\(String(describing: report.failure))")
    #expect(agents.runUntilIdle() && goodbyes.withLock { $0[host] } == nil, "who does not consent is sent nothing")
  }

  @Test("where no check is answered the call ends with the reason, and nothing has left", arguments: RxMode.allCases)
  func noWay(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode: mode, encryption: nil, seed: 9)
    let media = Locked(0)
    agents.simulation.network.tap { datagram in
      if datagram.isSignalling { return true }
      if datagram.bytes.first ?? 0 > 3 { media.withLock { $0 += 1 } }
      return datagram.source.host != "10.0.0.2"
    }
    try agents.call()
    agents.run(milliseconds: 5000)
    #expect(agents.alice.isEstablished, "signalling is well")
    #expect(agents.simulation.run(milliseconds: 60_000) { agents.alice.ended.count + agents.bob.ended.count == 2 })
    let reasons = (agents.alice.ended + agents.bob.ended).compactMap { $0.failure?.message }
    #expect(reasons.count == 1 && reasons[0].hasPrefix("ICE: none of"), "\(reasons)")
    #expect(media.withLock { $0 } == 0)
  }

  @Test("nothing but checks leaves before the peer has answered one", arguments: ICECell.all)
  func gate(cell: ICECell) throws {
    let agents = try Self.makeAgents(
      mode: cell.mode, encryption: cell.encryption, usesRTCPMux: cell.usesRTCPMux, seed: 10)
    agents.simulation.network.setMedia(LinkConditions(delay: 30_000...60_000))
    /// By host: whether a response was sent to it, and what left it before.
    let state = Locked((answered: Set<String>(), early: 0))
    agents.simulation.network.tap { datagram in
      if datagram.isSignalling { return true }
      state.withLock { state in
        if datagram.bytes.starts(with: [1, 1]) { state.answered.insert(datagram.destination.host) }
        if datagram.bytes[0] > 3, !state.answered.contains(datagram.source.host) { state.early += 1 }
      }
      return true
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    #expect(state.withLock { $0.early } == 0 && state.withLock { $0.answered.count } == 2)
    try self.end(agents, call)
  }

  /// What `host` says of its own address becomes something that can't be used: a name, as of a browser that hides, or TCP.
  private func hide(_ hosts: Set<String>, by kind: String, in agents: SimulatedAgents) -> Descriptions {
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      guard hosts.contains(message.sender) else { return }
      message.body = message.body.map { [host = message.sender] line in
        if line.hasPrefix("c=IN IP4 ") { return "c=IN IP4 0.0.0.0" }
        if line.hasPrefix("m=audio ") {
          return "m=audio 9 " + line.split(separator: " ").dropFirst(2).joined(separator: " ")
        }
        guard line.hasPrefix("a=candidate:") else { return line }
        guard kind == "TCP" else { return line.replacing(" \(host) ", with: " 4f1b.local ") }
        return line.replacing(" UDP ", with: " TCP ") + " tcptype passive"
      }
    }
    return descriptions
  }

  @Test(
    "a peer that names no address, but one for TCP or an mDNS name, is known by its checks and heard",
    arguments: RxMode.allCases, ["TCP", "name"])
  func hidden(mode: RxMode, kind: String) throws {
    for host in ["10.0.0.1", "10.0.0.2"] {
      let agents = try Self.makeAgents(mode: mode, seed: 12)
      let descriptions = self.hide([host], by: kind, in: agents)
      let call = try agents.establishedCall()
      agents.run(milliseconds: 1000)
      try self.end(agents, call)
      descriptions.set(nil)
    }
  }

  @Test(
    "what a peer tells by INFO after its description, or before it was answered, is checked (RFC 8840)",
    arguments: RxMode.allCases, [true, false])
  func trickled(mode: RxMode, isAnswered: Bool) throws {
    let agents = try Self.makeAgents(mode: mode, seed: 14)
    agents.bobSettings.answersAtOnce = isAnswered
    let descriptions = self.hide(["10.0.0.1", "10.0.0.2"], by: "name", in: agents)
    let call = try agents.call()
    agents.run(milliseconds: 1000)
    let trace = agents.alice.trace.withLock { $0 }.map { $0.split(whereSeparator: \.isNewline).map(String.init) }
    // What Alice's INVITE said before it was changed, and who is who in its dialog.
    let own = try #require(trace.first).filter { $0.hasPrefix("a=candidate:") }
    let ringing = try #require(trace.last { $0.contains { $0.hasPrefix("SIP/2.0 ") } })
    let dialog = ringing.filter { line in ["From: ", "To: ", "Call-ID: "].contains { line.hasPrefix($0) } }
    let name = try #require(trace.first?.first { $0.hasPrefix("a=ice-ufrag:") })
    // Of another generation, which is passed over; and of this one.
    for (sequence, name) in [(2, "a=ice-ufrag:another"), (3, name)] {
      let body = ([name, "a=ice-pwd:x", "m=audio 9 RTP/AVP 0"] + own).map { $0 + "\r\n" }.joined()
      let head =
        [
          "INFO sip:bob@10.0.0.2 SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKtrickled\(sequence)",
          "Max-Forwards: 70",
        ] + dialog + [
          "CSeq: \(sequence) INFO", "Info-Package: trickle-ice", "Content-Type: application/trickle-ice-sdpfrag",
          "Content-Length: \(body.utf8.count)",
        ]
      agents.simulation.network.inject(
        Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8), from: agents.alice.address,
        to: agents.bob.address, isSignalling: true)
      agents.run(milliseconds: 500)
      #expect((agents.bob.report?.firstMedia != nil) == (isAnswered && sequence == 3))
    }
    if !isAnswered { agents.bob.act { $0.answer(agents.bobCall) } }
    agents.run(milliseconds: 1000)
    let taken = agents.bob.trace.withLock { trace in
      trace.count { text in text.contains("SIP/2.0 200 OK") && [2, 3].contains { text.contains("CSeq: \($0) INFO") } }
    }
    #expect(taken == 2)
    agents.bob.act { $0.hangUp(agents.bobCall) }
    try self.end(agents, call)
    descriptions.set(nil)
  }

  @Test("where neither names one the call ends with the reason", arguments: ["TCP", "name"])
  func bothHidden(kind: String) throws {
    let agents = try Self.makeAgents(seed: 13)
    let descriptions = self.hide(["10.0.0.1", "10.0.0.2"], by: kind, in: agents)
    try agents.call()
    #expect(agents.simulation.run(milliseconds: 60_000) { agents.alice.ended.count + agents.bob.ended.count == 2 })
    let reasons = (agents.alice.ended + agents.bob.ended).compactMap { $0.failure?.message }
    #expect(reasons.count == 1 && reasons[0].contains("named no address that can be tried"), "\(reasons)")
    descriptions.set(nil)
  }

  @Test(
    "an mDNS name that one side knows is where it is checked; one of two addresses is not used",
    arguments: RxMode.allCases, [1, 2])
  func resolved(mode: RxMode, count: Int) throws {
    let known = ([0x0A00_0002, 0x0A00_0003] as [UInt32]).prefix(count).map { SocketAddress(ipv4: $0, port: 0) }
    let agents = try SimulatedAgents(
      mode: mode, encryption: "dtls_srtp", seed: 15,
      adjust: { settings in
        if settings.listen.host == "10.0.0.1" { settings.nameResolver = SimulatedNames(["4f1b.local": known]) }
      })
    (agents.aliceSettings.mediaNAT, agents.bobSettings.mediaNAT) = ("ice", "ice")
    let descriptions = self.hide(["10.0.0.1", "10.0.0.2"], by: "name", in: agents)
    let call = try agents.call()
    agents.run(milliseconds: 1500)
    #expect((agents.bob.report?.firstMedia != nil) == (count == 1))
    // Each side's RTP and RTCP have a name, and Bob knows none.
    let unused = [agents.alice, agents.bob].map { $0.report?.unusedCandidates.named }
    #expect(unused == [count == 1 ? 0 : 2, 2], "\(unused)")
    if count == 1 { try self.end(agents, call) }
    descriptions.set(nil)
  }

  @Test(
    "who is lite checks nothing, says so for all sections, and is heard and hears, whoever calls",
    arguments: RxMode.allCases, [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.1", "10.0.0.2"]])
  func lite(mode: RxMode, hosts: [String]) throws {
    let agents = try SimulatedAgents(
      mode: mode, encryption: "dtls_srtp", seed: 16,
      adjust: { settings in
        if hosts.contains(settings.listen.host) { settings.configuration.moduleValues["ice_lite"] = "yes" }
      })
    (agents.aliceSettings.mediaNAT, agents.bobSettings.mediaNAT) = ("ice", "ice")
    let checks = Locked<[String: Int]>([:])
    agents.simulation.network.tap { datagram in
      if datagram.bytes.starts(with: [0, 1]) { checks.withLock { $0[datagram.source.host, default: 0] += 1 } }
      return true
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1500)
    for (agent, host) in [(agents.alice, "10.0.0.1"), (agents.bob, "10.0.0.2")] {
      let isLite = hosts.contains(host)
      let says = agent.act {
        $0.calls.values.first?.media?.localDescription?.attributes.contains { $0.name == "ice-lite" }
      }
      #expect(says == isLite)
      #expect((checks.withLock { $0[host] ?? 0 } > 0) == !isLite)
    }
    // Nobody checks where both are lite.
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] {
      let report = try #require(agent.ended.first)
      #expect(report.reason == "hangup" && report.failure == nil && agent.warnings.isEmpty, "\(agent.warnings)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.receivedPackets > 50)
    }
  }

  @Test("a call goes on from a new address", arguments: ICECell.all.filter(\.usesRTCPMux))
  func move(cell: ICECell) throws {
    let agents = try Self.makeAgents(mode: cell.mode, encryption: cell.encryption, seed: 11)
    try agents.establishedCall()
    agents.run(milliseconds: 500)
    agents.simulation.network.move(host: "10.0.0.1", to: "10.0.0.9")
    let (old, new) = (SocketAddress(ipv4: 0x0A00_0001, port: 0), SocketAddress(ipv4: 0x0A00_0009, port: 0))
    agents.alice.act {
      $0.networkChanged(
        NetworkChange(gone: [old], new: [new]), addresses: [InterfaceAddress(interface: "sim0", address: new)])
    }
    agents.run(milliseconds: 3000)
    let count = InCallTests.MediaCount(agents.simulation.network)
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.9") >= 48 && count.take("10.0.0.1") == 0 && count.take("10.0.0.2") >= 48)
    agents.run(milliseconds: cell.mode == .main && cell.encryption == "dtls_srtp" ? 40_000 : 500)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.bob.act { $0.hangUp(agents.bobCall) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.failure == nil && agents.simulation.network.mediaSocketCount == 0)
  }
}
