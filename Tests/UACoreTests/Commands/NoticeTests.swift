import Handoff
import ModuleKit
import Runtime
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
    let agents = try CallControlTests.agents(mode: mode)
    let (alice, bob) = (Listener(), Listener())
    agents.alice.act { $0.applications = [("listener", alice)] }
    agents.bob.act { $0.applications = [("listener", bob)] }
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
}
