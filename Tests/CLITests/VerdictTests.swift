internal import ModuleKit
internal import Testing

@testable internal import CLI
@testable internal import UACore

@Suite("the verdict on a call")
struct VerdictTests {
  @Test("an interruption is the reason where media had no time to flow, and nothing else is")
  func shortcoming() {
    let mute = CallReport.example { ($0.media.receivedPackets, $0.duration) = (0, 0.3) }
    let longMute = CallReport.example { ($0.media.receivedPackets, $0.duration) = (0, 60) }
    let unanswered = CallReport.example { $0.setup = nil }
    #expect([mute].shortcoming(wasInterrupted: false) == "the call did not carry media both ways")
    #expect([mute].shortcoming(wasInterrupted: true) == "interrupted before media flowed both ways")
    #expect([longMute].shortcoming(wasInterrupted: true) == "the call did not carry media both ways")
    #expect([unanswered].shortcoming(wasInterrupted: true) == "interrupted before it was answered")
    #expect([CallReport]().shortcoming(wasInterrupted: true) == "interrupted before it was answered")
  }

  @Test(
    "a demand for a password says which command has one, and another refusal does not",
    arguments: [(401, true), (407, true), (403, false)])
  func password(status: Int, isDemand: Bool) {
    let refusal = ModuleError(.peer, "sip:a@b refused the call: \(status)")
    let failure = CallReport.example { ($0.status, $0.failure) = (status, refusal) }.explained(refusal)
    #expect(failure.message.hasPrefix(refusal.message) && failure.status == .callFailed)
    #expect(failure.message.hasSuffix(": use \"apus run\" with an account") == isDemand)
  }

  @Test("where a password is wanted and none was given, the console says where it goes")
  func advice() {
    let refusal = "401 Unauthorized: the realm \"lab\" wants a password"
    #expect(Console.advised(refusal) == "\(refusal): add ;auth_pass=PASSWORD to the account")
    #expect(Console.advised("403 Forbidden") == "403 Forbidden")
  }
}
