internal import SIPStack
internal import Testing

@Suite("message-summary")
struct MessageSummaryTests {
  static func read(_ text: String, type: String = "application/simple-message-summary") -> MessageSummary? {
    MessageSummary(SIPBody(contentType: type, bytes: Array(text.utf8)))
  }

  @Test("the example of RFC 3842 §3.5")
  func example() throws {
    let summary = try #require(
      Self.read("Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n")
    )
    #expect(summary.isWaiting && summary.account == "sip:alice@vmail.example.com")
    #expect(summary.voice == MessageSummary.Count(new: 2, old: 8, urgentNew: 0, urgentOld: 2))
  }

  @Test("spaces, case, missing parts; other classes of message; what is no summary")
  func variants() {
    #expect(Self.read("messages-waiting:NO") == MessageSummary(isWaiting: false, account: nil, voice: nil))
    #expect(Self.read("Messages-Waiting: yes\nVoice-Message: 1/0\nfax-message: 5/5")?.voice?.new == 1)
    #expect(Self.read("Messages-Waiting: yes\r\nVoice-Message: many\r\n")?.voice == nil)
    #expect(Self.read("Voice-Message: 1/0") == nil && Self.read("") == nil)
    #expect(Self.read("Messages-Waiting: yes", type: "text/plain") == nil)
  }
}
