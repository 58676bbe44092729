import Handoff
import ModuleKit
import NetBase
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// Answers to offers of new keys that come back without what was offered.
@Suite struct ReanswerTests {
  /// What becomes of the peer's answer; its own keys are those in force, for it never saw the offer of new ones.
  struct Bad: Sendable, CustomTestStringConvertible {
    let name: String
    let encryption: String
    /// Whether each association has ports of its own.
    var hasOtherPorts = false
    /// - Parameter offered: the offer that it answers.
    let edit: @Sendable (_ answer: [String], _ offered: [String]) -> [String]
    /// Whether it would do for an offer of what stands.
    var isOfWhatStands: Bool { self.name == "the association in force" }
    var testDescription: String {
      "\(self.encryption): \(self.name)\(self.hasOtherPorts ? ", on ports of its own" : "")"
    }

    private static func without(_ name: String, _ lines: [String]) -> [String] {
      lines.filter { !$0.hasPrefix("a=\(name):") }
    }

    private static func crypto(_ line: String) -> @Sendable ([String], [String]) -> [String] {
      { answer, _ in Self.without("crypto", answer) + ["a=crypto:\(line)"] }
    }

    static let all: [Bad] =
      ["srtp", "srtp-mand"].flatMap { encryption in
        [
          Bad(name: "no crypto line", encryption: encryption) { answer, _ in Self.without("crypto", answer) },
          Bad(name: "in the clear", encryption: encryption) { answer, _ in
            Self.without("crypto", answer).map { $0.replacing("RTP/SAVP", with: "RTP/AVP") }
          },
          Bad(
            name: "a suite that was not offered", encryption: encryption,
            edit: Self.crypto("9 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")),
          Bad(
            name: "another tag, and a key that is too short", encryption: encryption,
            edit: Self.crypto("7 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=")),
          Bad(name: "our own key", encryption: encryption) { answer, offered in
            Self.without("crypto", answer) + offered.filter { $0.hasPrefix("a=crypto:1 ") }
          },
          Bad(name: "the stream refused", encryption: encryption) { answer, _ in
            answer.map { line in
              guard line.hasPrefix("m=audio ") else { return line }
              let words = line.split(separator: " ")
              return (["m=audio", "0"] + words[2...].map(String.init)).joined(separator: " ")
            }
          },
          Bad(name: "no description", encryption: encryption) { _, _ in [] },
        ]
      }
      + [false, true].flatMap { hasOtherPorts in
        [
          Bad(name: "the association in force", encryption: "dtls_srtp", hasOtherPorts: hasOtherPorts) { answer, _ in
            answer
          },
          Bad(name: "no tls-id and no mark", encryption: "dtls_srtp", hasOtherPorts: hasOtherPorts) { answer, _ in
            Self.without("tls-id", Self.without("apus-dtls-mark", answer))
          },
          Bad(name: "no fingerprint", encryption: "dtls_srtp", hasOtherPorts: hasOtherPorts) { answer, _ in
            Self.without("fingerprint", answer)
          },
          Bad(name: "a weak fingerprint", encryption: "dtls_srtp", hasOtherPorts: hasOtherPorts) { answer, _ in
            Self.without("fingerprint", answer) + [
              "a=fingerprint:sha-1 \(Array(repeating: "00", count: 20).joined(separator: ":"))"
            ]
          },
          Bad(name: "in the clear", encryption: "dtls_srtp", hasOtherPorts: hasOtherPorts) { answer, _ in
            answer.filter { !$0.hasPrefix("a=fingerprint:") }.map { $0.replacing("UDP/TLS/RTP/SAVP", with: "RTP/AVP") }
          },
        ]
      }
  }

  private func makeAgents(_ bad: Bad, mode: RxMode) throws -> SimulatedAgents {
    try SimulatedAgents(
      mode: mode, encryption: bad.encryption, seed: 91,
      adjust: { settings in
        settings.configuration.moduleValues["dtls_srtp_rekey_ports"] = bad.hasOtherPorts ? "new" : "same"
      })
  }

  /// From now on Bob does not see the new keys of Alice's offers; the first `count` answers come back as `bad` has it.
  private func interfere(
    _ descriptions: Descriptions, _ bad: Bad, count: Int, first: [String], offers: Locked<[[String]]>
  ) {
    let left = Locked(count)
    descriptions.set { message in
      guard message.isInCall else { return }
      if message.isRequest {
        offers.withLock { $0.append(message.body) }
        message.body = first
      } else if left.withLock({ left in
        left -= 1
        return left >= 0
      }) {
        message.body = bad.edit(message.body, offers.withLock { $0.last ?? [] })
      }
    }
  }

  private func description(of agent: SimulatedAgent) -> [String] {
    let bytes = agent.act { $0.calls.values.first?.media?.localDescription?.bytes ?? [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
  }

  @Test(
    "an answer without what was offered ends no call: the old keys go on, the re-key is told as failed, the next one works",
    arguments: Bad.all, [(1, RxMode.main), (2, .thread), (1, .pool)])
  func goesOn(bad: Bad, way: (count: Int, mode: RxMode)) throws {
    let count = way.count
    let agents = try self.makeAgents(bad, mode: way.mode)
    let descriptions = Descriptions(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    let offers = Locked<[[String]]>([])
    self.interfere(descriptions, bad, count: count, first: self.description(of: agents.alice), offers: offers)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 3000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let warnings = agents.alice.warnings
    #expect(
      warnings.count == (bad.isOfWhatStands ? 1 : count)
        && warnings.allSatisfy { $0.contains("the keys stay as they were") }, "\(warnings)")
    // What stands is said once, with the keys in force, and not again and again.
    let made = offers.withLock { $0 }
    try #require(made.count == 2, "\(made.count) offers")
    let keys = ["a=crypto:", "a=fingerprint:", "a=tls-id:", "m=audio "]
    func security(_ lines: [String]) -> [String] { lines.filter { line in keys.contains { line.hasPrefix($0) } } }
    #expect(security(made[1]) == security(self.description(of: agents.alice)))
    #expect(security(made[0]) != security(made[1]))
    descriptions.set(nil)
    #expect(agents.alice.act { $0.rekey(call) }, "the next one is possible at once")
    agents.run(milliseconds: 3000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let report = try #require(agent.ended.first)
      #expect(report.reason == "hangup" && report.failure == nil && report.media.rekeys == 1, "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(agent.name) \(report.media)")
      #expect(report.mediaEncryption == bad.encryption)
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("a hold that is answered so is taken back, and may be asked for again", arguments: ["srtp-mand", "dtls_srtp"])
  func hold(encryption: String) throws {
    let bad = try #require(Bad.all.first { $0.encryption == encryption && $0.name == "in the clear" })
    let agents = try self.makeAgents(bad, mode: .pool)
    let descriptions = Descriptions(agents.simulation.network)
    let call = try agents.establishedCall()
    let isLeft = Locked(true)
    descriptions.set { message in
      guard message.isInCall, !message.isRequest else { return }
      if isLeft.withLock({ $0 }) { message.body = bad.edit(message.body, []) }
      isLeft.withLock { $0 = false }
    }
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 1000)
    #expect(agents.alice.report?.isOnHold == false && agents.bob.report?.isHeldByPeer == false)
    #expect(agents.alice.warnings.count == 1)
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 1000)
    #expect(agents.alice.report?.isOnHold == true && agents.bob.report?.isHeldByPeer == true)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
  }

  @Test(
    "a re-offer in the clear to an encrypted call is refused, and the keys go on",
    arguments: ["srtp", "srtp-mand", "dtls_srtp"])
  func offerInTheClear(encryption: String) throws {
    let agents = try SimulatedAgents(mode: .thread, encryption: encryption, seed: 92)
    let descriptions = Descriptions(agents.simulation.network)
    let call = try agents.establishedCall()
    descriptions.set { message in
      guard message.isInCall, message.isRequest, message.sender == "10.0.0.2" else { return }
      message.body = message.body.filter { !$0.hasPrefix("a=crypto:") && !$0.hasPrefix("a=fingerprint:") }
        .map { $0.replacing("UDP/TLS/RTP/SAVPF", with: "RTP/AVP").replacing("RTP/SAVP", with: "RTP/AVP") }
    }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 1000)
    descriptions.set(nil)
    #expect(agents.bob.warnings.contains { $0.contains("488") } && agents.alice.warnings.count == 1)
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.mediaEncryption == encryption && report.failure == nil)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }
}
