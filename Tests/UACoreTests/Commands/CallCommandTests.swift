import ModuleKit
import NetBase
import Runtime
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// Commands that change a call, its direction, or what SIP travels on.
@Suite struct CallCommandTests {
  private func refusal(_ line: String, _ agent: SimulatedAgent) throws -> String {
    let result = agent.act { $0.execute(line: line) }
    try #require(!result.isOK, "\(line): \(result.text)")
    return result.text
  }

  @Test(
    "a call begins with the direction that it is dialled or accepted with",
    arguments: [
      ("/dialdir sip:bob@10.0.0.2 audio=sendonly", "a", true, false),
      ("/dialdir sip:bob@10.0.0.2 audio=recvonly", "a", false, true),
      ("/dialdir sip:bob@10.0.0.2 audio=inactive", "a", false, false),
      ("/dialdir sip:bob@10.0.0.2 audio=sendrecv", "a", true, true),
      ("/dial sip:bob@10.0.0.2", "/acceptdir audio=sendonly", false, true),
      ("/dial sip:bob@10.0.0.2", "/acceptdir audio=recvonly", true, false),
      ("/dial sip:bob@10.0.0.2", "/acceptdir audio=sendrecv", true, true),
    ])
  func direction(dial: String, accept: String, aliceSends: Bool, bobSends: Bool) throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run(dial, agents.alice)
    agents.run(milliseconds: 500)
    try CallControlTests.run(accept, agents.bob)
    agents.run(milliseconds: 500)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let count = InCallTests.MediaCount(agents.simulation.network)
    agents.run(milliseconds: 1000)
    #expect(count.take("10.0.0.1") == (aliceSends ? 50 : 0))
    #expect(count.take("10.0.0.2") == (bobSends ? 50 : 0))
    // The next call of the same account begins both ways again.
    #expect(agents.alice.act { $0.localAccounts[0].settings.audioDirection == .sendrecv })
  }

  @Test("medialdir changes the direction of a call that stands", arguments: RxMode.allCases)
  func changedDirection(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1000)
    let count = InCallTests.MediaCount(agents.simulation.network)
    for (word, sends, hears) in [
      ("recvonly", 0, 50), ("inactive", 0, 0), ("sendonly", 50, 0), ("sendrecv", 50, 50),
    ] {
      try CallControlTests.run("/medialdir audio=\(word)", agents.alice)
      agents.run(milliseconds: 100)
      _ = (count.take("10.0.0.1"), count.take("10.0.0.2"))
      agents.run(milliseconds: 1000)
      #expect((count.take("10.0.0.1"), count.take("10.0.0.2")) == (sends, hears), "\(word)")
    }
    #expect(try self.refusal("/medialdir audio=up", agents.alice).hasPrefix("/medialdir takes"))
  }

  @Test(
    "a direction without a name is that of audio and video both",
    arguments: [
      ("recvonly", .recvonly, .recvonly), ("audio=sendonly", .sendonly, .sendrecv),
      ("video=inactive", .sendrecv, .inactive), ("audio=sendonly video=recvonly", .sendonly, .recvonly),
    ] as [(String, AudioDirection, AudioDirection)])
  func directions(text: String, audio: AudioDirection, video: AudioDirection) throws {
    let directions = try #require(CallDirections().changed(by: CommandWords(text).rest))
    #expect(directions.audio == audio && directions.video == video)
  }

  @Test(
    "a word that is no direction is refused, and nobody is called",
    arguments: [
      "audio=up", "audio=sendonly video=of", "audio=sendonly vidio=inactive", "recvonly please", "video=", "",
    ])
  func noDirections(text: String) throws {
    let agents = try CallControlTests.agents()
    #expect(try self.refusal("/dialdir sip:bob@10.0.0.2 \(text)", agents.alice).hasPrefix("/dialdir takes"))
    #expect(agents.alice.act { $0.callCount } == 0)
  }

  @Test("aubitrate makes Opus packets smaller, and leaves PCM alone")
  func bitrate() throws {
    let agents = try SimulatedAgents(codec: "opus")
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    let call = try agents.establishedCall()
    func bytes() -> Int {
      agents.alice.act { $0.refreshStatistics(call) }
      agents.run(milliseconds: 20)
      return agents.alice.report?.media.sentBytes ?? 0
    }
    agents.run(milliseconds: 1000)
    let start = bytes()
    agents.run(milliseconds: 2000)
    let before = bytes() - start
    try CallControlTests.run("/aubitrate 64000", agents.alice)
    agents.run(milliseconds: 1000)
    let middle = bytes()
    agents.run(milliseconds: 2000)
    let after = bytes() - middle
    #expect(after > before * 3 / 2, "\(before), then \(after)")
    #expect(try self.refusal("/aubitrate 1", agents.alice).hasPrefix("/aubitrate takes"))
  }

  @Test("a transport is switched off and on; the last one stays")
  func transports() throws {
    let agents = try CallControlTests.agents()
    #expect(try self.refusal("/entransp udp no", agents.alice) == "SIP over udp is all that is left: it stays")
    #expect(try CallControlTests.run("/entransp udp yes", agents.alice) == "SIP over: udp")
    #expect(try self.refusal("/entransp wss yes", agents.alice) == "no module brings SIP over wss")
    #expect(try self.refusal("/entransp tcp", agents.alice).hasPrefix("/entransp takes"))
  }

  @Test("the TLS certificate's names are shown, and where there is none, why")
  func certificate() throws {
    let agents = try CallControlTests.agents()
    #expect(try self.refusal("/tlssubject", agents.alice).contains("sip_certificate"))
    let file = TestCertificates.file(TestCertificates.server)
    let named = try CallControlTests.agents { $0.sipSecurity.certificate = file }
    #expect(try CallControlTests.run("/tlsissuer", named.alice) == "TLS Cert Issuer: /CN=Apus test ca")
    #expect(try CallControlTests.run("/tlssubject", named.alice) == "TLS Cert Subject: /CN=example.test")
  }
}
