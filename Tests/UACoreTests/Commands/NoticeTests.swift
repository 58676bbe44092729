import Handoff
import ModuleKit
import NetBase
import Runtime
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// What applications such as ctrl_tcp hear of descriptions and of RTCP.
@Suite struct NoticeTests {
  final class Listener: Application {
    let notices = Locked<[AgentNotice]>([])
    func take(_ notice: AgentNotice) { self.notices.withLock { $0.append(notice) } }
    func stop() {}

    func parameters(_ kind: AgentNotice.Kind) -> [String] {
      self.notices.withLock { $0.filter { $0.kind == kind }.map(\.parameter) }
    }
  }

  @Test("every description is told, ours and the peer's, each with its call", arguments: RxMode.allCases)
  func descriptions(mode: RxMode) throws {
    let (agents, alice, bob) = try Self.heard(mode: mode)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("a", agents.bob)
    agents.run(milliseconds: 500)
    #expect(alice.parameters(.localDescription) == ["offer"] && alice.parameters(.remoteDescription) == ["answer"])
    #expect(bob.parameters(.remoteDescription) == ["offer"] && bob.parameters(.localDescription) == ["answer"])
    try CallControlTests.run("x", agents.bob)
    agents.run(milliseconds: 500)
    #expect(bob.parameters(.localDescription) == ["answer", "offer"])
    #expect(alice.parameters(.remoteDescription) == ["answer", "offer"])
    let told = try #require(alice.notices.withLock { $0.first { $0.kind == .localDescription } })
    #expect(told.call?.id.isEmpty == false && told.call?.isOutgoing == true)
    #expect(told.json.description.contains(#""type": "CALL_LOCAL_SDP""#))
  }

  /// Alice and Bob, each heard.
  private static func heard(
    mode: RxMode = .main, isAsked: Bool = true
  ) throws -> (agents: SimulatedAgents, alice: Listener, bob: Listener) {
    let agents = try CallControlTests.agents(mode: mode, isAsked: isAsked)
    let (alice, bob) = (Listener(), Listener())
    agents.alice.act { $0.applications = [("listener", alice)] }
    agents.bob.act { $0.applications = [("listener", bob)] }
    return (agents, alice, bob)
  }

  @Test("what is told of a call on its way has the peer's URI as its parameter", arguments: [true, false])
  func peers(isEarly: Bool) throws {
    let (agents, alice, bob) = try Self.heard()
    if isEarly { agents.bobSettings.answerMode = .early }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("a", agents.bob)
    agents.run(milliseconds: 500)
    let ringing: AgentNotice.Kind = isEarly ? .callProgress : .callRinging
    for kind in [AgentNotice.Kind.callOutgoing, ringing, .callEstablished] {
      #expect(alice.parameters(kind) == ["sip:bob@10.0.0.2"], "\(kind)")
    }
    for kind in [AgentNotice.Kind.callIncoming, .callAnswered, .callEstablished] {
      #expect(bob.parameters(kind) == ["sip:alice@10.0.0.1"], "\(kind)")
    }
  }

  @Test("the end of a call says who hung up, before the answer and after it", arguments: [true, false])
  func whoHungUp(isAnswered: Bool) throws {
    let (agents, alice, bob) = try Self.heard(isAsked: !isAnswered)
    let sides = isAnswered ? [true, false] : [true]
    for isCaller in sides {
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
      try CallControlTests.run("b", isCaller ? agents.alice : agents.bob)
      #expect(agents.runUntilIdle())
    }
    let words = sides.map { "Connection reset by \($0 ? "user" : "peer")" }
    let others = sides.map { "Connection reset by \($0 ? "peer" : "user")" }
    #expect(alice.parameters(.callClosed) == words && bob.parameters(.callClosed) == others)
    #expect(agents.alice.ended.allSatisfy { $0.reason == "hangup" })
  }

  @Test("the peer's direction is that of its offer before the answer, and that of its answer once it is in force")
  func directions() throws {
    let (agents, alice, bob) = try Self.heard()
    try CallControlTests.run("/dialdir sip:bob@10.0.0.2 sendonly", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("a", agents.bob)
    agents.run(milliseconds: 500)
    func directions(_ kind: AgentNotice.Kind, _ listener: Listener) -> [String?] {
      listener.notices.withLock { $0.filter { $0.kind == kind }.map { $0.call?.remoteDirection } }
    }
    #expect(directions(.callIncoming, bob) == ["sendonly"] && directions(.remoteDescription, bob) == ["sendonly"])
    #expect(directions(.remoteDescription, alice) == ["recvonly"])
  }

  @Test("each report of the peer's is told, with the figures after it", arguments: RxMode.allCases)
  func reports(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    let listener = Listener()
    agents.alice.act { $0.applications = [("listener", listener)] }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 30_000)
    let notices = listener.notices.withLock { $0.filter { $0.kind == .rtcp } }
    #expect((3...15).contains(notices.count))
    let last = try #require(notices.last)
    let text = last.json.description
    #expect(last.parameter == "audio" && text.contains(#""rtcp_stats": {"tx": {"sent": "#))
    #expect((last.rtcp?.sent.packets ?? 0) > 500 && (last.rtcp?.received.packets ?? 0) > 500)
  }

  @Test("a peer's flood of reports is told twice a second, and each is counted", arguments: RxMode.allCases)
  func flood(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    let listener = Listener()
    agents.alice.act { $0.applications = [("listener", listener)] }
    let network = agents.simulation.network
    let sent = Locked<Datagram?>(nil)
    network.tap { datagram in
      if !datagram.isSignalling, datagram.source.host == "10.0.0.1", datagram.bytes.count == 172 {
        sent.withLock { $0 = datagram }
      }
      return true
    }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let ours = try #require(sent.withLock { $0 })
    // A receiver report with one block, which is about what Alice sends.
    let report: [UInt8] =
      [0x81, 201, 0, 7, 0, 0, 0, 9] + Array(ours.bytes[8..<12]) + [UInt8](repeating: 0, count: 20)
    for _ in 0..<1000 {
      for _ in 0..<10 { network.inject(report, from: ours.destination, to: ours.source) }
      agents.run(milliseconds: 1)
    }
    agents.run(milliseconds: 50)
    let count = listener.parameters(.rtcp).count
    #expect((2...3).contains(count), "\(count)")
    agents.alice.act { core in for id in core.calls.keys { core.refreshStatistics(id) } }
    agents.run(milliseconds: 50)
    #expect((agents.alice.report?.media.receivedReports ?? 0) >= 10_000)
  }

  @Test("sound that can't be had is told with an errno and a sentence, and ends the call", arguments: RxMode.allCases)
  func audioError(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    let listener = Listener()
    agents.aliceSettings.player = AudioDevice(driver: "probe", device: "broken")
    agents.alice.act {
      $0.accounts = [agents.aliceSettings]
      $0.applications = [("listener", listener)]
    }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    #expect(agents.runUntilIdle())
    #expect(listener.parameters(.audioError) == ["5,module probe: broken"])
    #expect(listener.parameters(.callClosed) == ["module probe: broken"])
    let told = try #require(listener.notices.withLock { $0.first { $0.kind == .audioError } })
    #expect(told.json.description.contains(#""class": "other", "type": "AUDIO_ERROR""#) && told.call != nil)
  }

  @Test("an INVITE that is refused at once is no call, and told all the same", arguments: RxMode.allCases)
  func refusedAtOnce(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode)
    let listener = Listener()
    agents.bobSettings.catchesAll = false
    agents.bob.act {
      $0.accounts = [agents.bobSettings]
      $0.applications = [("listener", listener)]
    }
    try CallControlTests.run("/dial sip:nobody@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run("/dnd yes", agents.bob)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let notices = listener.notices.withLock { $0 }
    #expect(notices.map(\.kind) == [.sessionFailed, .sessionFailed])
    #expect(notices.map(\.parameter) == ["404 Not Found", "480 Do Not Disturb"])
    #expect(
      notices.first?.json.compact
        == #"{"event":true,"class":"sip","type":"SIPSESS_FAILED","param":"404 Not Found","from":"sip:alice@10.0.0.1"}"#)
  }

  @Test("module vumeter tells the levels of a call twice a second, from its beginning to its end")
  func levels() throws {
    let agents = try CallControlTests.agents(isAsked: false) { $0.activeModules.append("vumeter") }
    let listener = Listener()
    agents.alice.act { $0.applications.append(("listener", listener)) }
    agents.run(milliseconds: 2000)
    #expect(listener.notices.withLock { $0.isEmpty })
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 5000)
    let told = [AgentNotice.Kind.levelSent, .levelHeard].map { listener.parameters($0) }
    #expect(told.allSatisfy { (7...10).contains($0.count) }, "\(told)")
    // The probe's noise has every value as often as any other: 4.77 dB below full scale.
    #expect(told.allSatisfy { $0.dropFirst(2).allSatisfy { $0.hasPrefix("-4.") && $0.count == 5 } }, "\(told)")
    let one = try #require(listener.notices.withLock { $0.first { $0.kind == .levelHeard } })
    #expect(one.json.description.contains(#""class": "VU_REPORT", "type": "VU_RX_REPORT""#))
    #expect(one.call?.id.isEmpty == false)
    try CallControlTests.run("b", agents.alice)
    #expect(agents.runUntilIdle())
    let count = listener.notices.withLock { $0.count }
    agents.run(milliseconds: 5000)
    #expect(listener.notices.withLock { $0.count } == count)
  }
}
