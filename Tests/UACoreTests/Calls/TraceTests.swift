import Handoff
import TestSupport
import Testing

@testable import UACore

/// The SIP trace (`-s`).
@Suite struct TraceTests {
  @Test("a trace shows every message of a call both ways, and no key", arguments: ["srtp-mand", "dtls_srtp"])
  func showsMessages(encryption: String) throws {
    let agents = try SimulatedAgents(encryption: encryption)
    let call = try agents.establishedCall()
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] {
      let messages = agent.trace.withLock { $0 }
      for word in ["INVITE sip:", "SIP/2.0 200", "ACK sip:", "BYE sip:"] {
        #expect(messages.contains { $0.contains(word) }, "\(agent.name) \(word)")
      }
      #expect(messages.contains { $0.hasPrefix("sent to") } && messages.contains { $0.hasPrefix("received from") })
      let keys = messages.joined(separator: "\n").split(separator: "\n").filter { $0.contains("inline:") }
      #expect(keys.isEmpty == (encryption != "srtp-mand"))
      #expect(keys.allSatisfy { $0.contains("inline:<redacted>") })
    }
  }
}
