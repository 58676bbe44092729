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
      let rungs = messages.map { $0.prefix { !$0.isNewline } }
      #expect(rungs.contains { $0.contains(" --- INVITE sip:bob@10.0.0.2 --> ") } == (agent.name == "alice"))
      #expect(rungs.contains { $0.contains(" <-- 200 OK --- 10.0.0.2:5060") } == (agent.name == "alice"))
      #expect(rungs.contains { $0.contains(" <-- BYE sip:") } == (agent.name == "bob"))
      let keys = messages.joined(separator: "\n").split(separator: "\n").filter { $0.contains("inline:") }
      #expect(keys.isEmpty == (encryption != "srtp-mand"))
      #expect(keys.allSatisfy { $0.contains("inline:<redacted>") })
    }
  }

  @Test(
    "what proves a password is left out, and nothing else",
    arguments: [
      (
        "Authorization: Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:b\", response=\"secret1\", "
          + "cnonce=\"secret2\", nc=00000001, qop=auth",
        ["username=\"a\"", "realm=\"r\"", "nonce=\"n\"", "nc=00000001", "qop=auth"]
      ),
      ("proxy-authorization : digest response=secret1,realm=\"a,b\"", ["realm=\"a,b\""]),
      ("Authorization: Digest realm=\"r\",\r\n response=\"secret1\",\r\n\tcnonce=\"secret2\"", ["realm=\"r\""]),
      ("Authorization: Basic secret1=", ["Authorization: Basic"]),
      ("Authorization: Bearer secret1", ["Bearer"]),
      ("Authentication-Info: nextnonce=\"secret1\", rspauth=\"secret2\", qop=auth", ["qop=auth"]),
      ("To: <sip:bob:secret1@example.com>", ["sip:bob:", "@example.com>"]),
      ("To: <SIP:bob:secret1@example.com>, \u{600}sip:sip:bob:secret2@b", ["SIP:bob:", "@example.com>", "@b"]),
      ("To: <sip:bob;x=y:secret1@a>, <sip:bob:sec@secret2@b>", ["sip:bob;x=y:", "@a>", "@b>"]),
      ("Contact: <sips:bob:secret1@a>, <sip:bob:secret2@b>", ["sips:bob:", "@a>", "@b>"]),
      ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret1|2^20", ["|2^20"]),
      ("Subject: response=\"x\", sip:a@b:5060", ["response=\"x\"", "sip:a@b:5060"]),
    ])
  func redacts(text: String, kept: [String]) {
    let shown = SIPRedaction.redacted("INVITE sip:x SIP/2.0\r\n\(text)\r\nCSeq: 1 INVITE\r\n")
    #expect(!shown.contains("secret"), "\(shown)")
    for word in kept { #expect(shown.contains(word), "\(shown)") }
    #expect(shown.hasSuffix("\r\nCSeq: 1 INVITE\r\n"))
  }
}
