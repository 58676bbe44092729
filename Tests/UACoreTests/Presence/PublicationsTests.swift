import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Our presence at a compositor whose every answer a test writes (RFC 3903).
@Suite struct PublicationsTests {
  /// The compositor, at 10.0.0.3; also the registrar where it is asked.
  private final class Lab {
    let agents: SimulatedAgents
    let compositor: ScriptedPeer
    /// What was published: Expires, the tag that it names, and the presence in it.
    private(set) var published: [String] = []
    /// The status of the next answers, and their header fields; then 200.
    var answers: [(Int, [(String, String)])] = []
    var registers = true

    init() throws {
      self.agents = try CallControlTests.agents { $0.activeModules.append("presence") }
      self.compositor = try ScriptedPeer(
        in: self.agents.simulation, configuration: SIPConfiguration(allow: [.register, .publish]))
      self.compositor.onRequest = { [weak self] endpoint, id, request in
        // The agents end after the lab.
        guard let self else { return }
        guard request.method == .publish else {
          if self.registers { endpoint.respond(id, status: 200, now: self.compositor.now) }
          return
        }
        self.note(request)
        let (status, headers) = self.answers.isEmpty ? (200, []) : self.answers.removeFirst()
        let granted = request.headers["Expires"] ?? ""
        let tag = status == 200 ? [("SIP-ETag", "t\(self.published.count)"), ("Expires", granted)] : []
        endpoint.respond(id, status: status, headers: tag + headers, now: self.compositor.now)
      }
      self.agents.alice.act { $0.accounts = [] }
    }

    private func note(_ request: IncomingRequest) {
      let state = request.body.flatMap { PIDF($0) }?.state.shown ?? "nothing"
      let event = request.headers["Event"] ?? "no event"
      self.published.append(
        "\(request.requestURI) \(event) \(request.headers["Expires"] ?? "-") \(request.headers["SIP-If-Match"] ?? "-") \(state)"
      )
    }

    /// What whoever runs the agent reads of it.
    var complaints: [String] {
      self.agents.alice.events.compactMap { if case .output(let text) = $0 { text } else { nil } }
    }

    func run(_ line: String, milliseconds: Int64 = 500) throws {
      try CallControlTests.run(line, self.agents.alice)
      self.agents.run(milliseconds: milliseconds)
    }
  }

  private static let line = "/uanew <sip:alice@10.0.0.3>;regint=0;pubint=600"
  private static let uri = "sip:alice@10.0.0.3 presence"

  @Test("presence is published, refreshed, changed, and taken back with the account")
  func life() throws {
    let lab = try Lab()
    try lab.run(Self.line)
    #expect(lab.published == ["\(Self.uri) 600 - Online"])
    lab.agents.run(milliseconds: 569_000)
    #expect(lab.published.dropFirst() == ["\(Self.uri) 600 t1 nothing"])
    try lab.run("/presence busy")
    try lab.run("/presence busy")
    #expect(lab.published.dropFirst(2) == ["\(Self.uri) 600 t2 Busy"], "the same again is no change")
    lab.answers = [(412, [])]
    try lab.run("/presence away")
    #expect(lab.published.dropFirst(3) == ["\(Self.uri) 600 t3 Away", "\(Self.uri) 600 - Away"])
    try lab.run("/uadel sip:alice@10.0.0.3")
    #expect(lab.published.dropFirst(5) == ["\(Self.uri) 0 t5 nothing"])
    #expect(lab.agents.alice.act { $0.publications.isSettled })
    lab.agents.run(milliseconds: 2_000_000)
    #expect(lab.published.count == 6 && lab.complaints.isEmpty)
  }

  @Test("what the compositor refuses is one sentence, and is tried again later, or with the time that it wants")
  func refused() throws {
    let lab = try Lab()
    lab.answers = [(423, [("Min-Expires", "1200")]), (489, []), (489, [])]
    try lab.run(Self.line)
    #expect(lab.published == ["\(Self.uri) 600 - Online", "\(Self.uri) 1200 - Online"])
    lab.agents.run(milliseconds: 31_000)
    #expect(lab.published.count == 3)
    lab.agents.run(milliseconds: 61_000)
    #expect(lab.published.dropFirst(3) == ["\(Self.uri) 1200 - Online"])
    #expect(
      lab.complaints == [
        "sip:alice@10.0.0.3: its presence is not published: 489 Bad Event; it is tried again in 30 s"
      ])
  }

  @Test("it waits for the registration, goes when the module is switched off, and is taken back before the agent ends")
  func begun() throws {
    let lab = try Lab()
    lab.registers = false
    try lab.run("/uanew <sip:alice@10.0.0.3>;regint=600;pubint=300")
    #expect(lab.published.isEmpty)
    lab.registers = true
    #expect(lab.agents.simulation.run(milliseconds: 400_000) { !lab.published.isEmpty })
    lab.agents.run(milliseconds: 500)
    try lab.run("/rmmod presence")
    #expect(lab.published.suffix(1) == ["\(Self.uri) 0 t1 nothing"])
    try lab.run("/insmod presence")
    #expect(lab.published.suffix(1) == ["\(Self.uri) 300 - Online"])
    lab.agents.alice.act { $0.hangUpAll() }
    #expect(!lab.agents.alice.act { $0.isSettled })
    lab.agents.run(milliseconds: 500)
    #expect(lab.published.suffix(1) == ["\(Self.uri) 0 t3 nothing"] && lab.agents.alice.act { $0.isSettled })
  }

  @Test("without pubint nothing is published")
  func off() throws {
    let lab = try Lab()
    try lab.run("/uanew <sip:alice@10.0.0.3>;regint=0")
    try lab.run("/presence busy")
    #expect(lab.published.isEmpty)
  }
}
