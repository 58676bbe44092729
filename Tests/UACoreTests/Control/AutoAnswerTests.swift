import ModuleKit
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Calls that ask to be answered by themselves.
@Suite struct AutoAnswerTests {
  @Test(
    "the delay that a caller asks for",
    arguments: [
      ("Call-Info", "<sip:a@b>;answer-after=0", 0), ("Call-Info", "<http://x/y;z=1>; Answer-After=\"3\"", 3),
      ("Alert-Info", "<http://x>;info=alert-autoanswer;delay=2", 2), ("Alert-Info", "<x>;info=alert-autoanswer", 0),
      ("Answer-Mode", "Auto", 0), ("Priv-Answer-Mode", "auto;require", 0), ("Answer-Mode", "Manual", nil),
      ("Alert-Info", "<http://x/ring.wav>", nil), ("Call-Info", "<http://x;answer-after=3>", nil),
      ("Subject", "x", nil),
      ("Call-Info", "<x>;answer-after=99999999", 3600), ("Call-Info", "<x>;answer-after=-5", 0),
    ] as [(String, String, Int?)])
  func requestedDelay(name: String, value: String, seconds: Int?) {
    #expect(AutoAnswer.requestedDelay(SIPHeaders([(name, value)])) == seconds)
  }

  @Test("what one side asks, the other understands", arguments: AutoAnswer.Method.allCases)
  func roundTrip(method: AutoAnswer.Method) throws {
    let agents = try SimulatedAgents { $0.autoAnswerMethod = method }
    agents.bobSettings.answersAtOnce = false
    agents.bobSettings.acceptsAutoAnswer = true
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    #expect(agents.alice.act { $0.execute(line: "/setadelay 2") }.isOK)
    #expect(agents.alice.act { $0.execute(line: "/dial sip:bob@10.0.0.2") }.isOK)
    agents.run(milliseconds: 1900)
    #expect(agents.bob.isEstablished == (method == .rfc5373))
    agents.run(milliseconds: 300)
    #expect(agents.bob.isEstablished)
  }

  @Test("whoever looks on is told whether a call waits for somebody", arguments: [true, false])
  func told(answersItself: Bool) throws {
    let agents = try SimulatedAgents()
    agents.bobSettings.answersAtOnce = answersItself
    try agents.call()
    agents.run(milliseconds: 100)
    let told = agents.bob.events.compactMap { if case .incoming(_, _, let isAnswered) = $0 { isAnswered } else { nil } }
    #expect(told == [answersItself])
  }

  @Test("setansval without a parameter takes what it set back")
  func value() throws {
    let agents = try SimulatedAgents()
    func answer(_ line: String) -> String { agents.alice.act { $0.execute(line: line) }.text }
    let before = agents.alice.act { $0.control.askedAnswerValue }
    #expect(answer("/setansval http://lab.test") == "SIP auto answer value: http://lab.test")
    #expect(answer("/setansval") == "SIP auto answer value: \(before)")
    #expect(agents.alice.act { $0.control.askedAnswerValue } == before)
  }

  @Test("an account that did not allow it rings")
  func notAllowed() throws {
    let agents = try SimulatedAgents { $0.autoAnswerMethod = .callInfo }
    agents.bobSettings.answersAtOnce = false
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    _ = agents.alice.act { $0.execute(line: "/setadelay 0") }
    _ = agents.alice.act { $0.execute(line: "/dial sip:bob@10.0.0.2") }
    agents.run(milliseconds: 5000)
    #expect(agents.bob.report?.state == .ringing)
  }
}
