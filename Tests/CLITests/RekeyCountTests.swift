internal import ModuleKit
internal import Testing

@testable internal import CLI
@testable internal import UACore

@Suite("what the demo counts as re-keys")
struct RekeyCountTests {
  private func report(rekeys: Int) -> CallReport {
    var media = TransportStatistics()
    media.rekeys = rekeys
    return CallReport(
      id: CallID(number: 1), isOutgoing: true, peer: "sip:bob@127.0.0.1", state: .ended, reason: "hangup", duration: 1,
      mediaEncryption: "srtp", rxMode: .main, isOnHold: false, isHeldByPeer: false, digits: "", media: media)
  }

  @Test("what both ends count is the lesser of their counts, and stands beside the calls")
  func lesser() {
    #expect([self.report(rekeys: 7), self.report(rekeys: 6)].rekeys == 6)
    #expect([self.report(rekeys: 0), self.report(rekeys: 6)].rekeys == 0)
    let reports = [self.report(rekeys: 7), self.report(rekeys: 6)]
    let text = summary(reports, ok: true, began: 0, recordings: [], rekeys: reports.rekeys).description
    #expect(text.contains("\"recordings\": [], \"rekeys\": 6, \"calls\": ["))
    #expect(text.contains("\"rekeys\": 7"))
    #expect(summary([], ok: true, began: 0, recordings: []).description.contains("\"rekeys\": null"))
  }
}
