import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// New keys together with another suite, hold, another SSRC and a wrap of the sequence number, in whole calls.
@Suite struct RekeyTogetherTests {
  /// What else changes while keys do.
  struct Changes: OptionSet, CustomStringConvertible {
    let rawValue: Int
    static let suite = Changes(rawValue: 1)
    static let hold = Changes(rawValue: 2)
    static let source = Changes(rawValue: 4)
    static let wrap = Changes(rawValue: 8)

    var description: String {
      let names: [(Changes, String)] = [(.suite, "suite"), (.hold, "hold"), (.source, "SSRC"), (.wrap, "wrap")]
      return names.compactMap { self.contains($0.0) ? $0.1 : nil }.joined(separator: " x ")
    }
  }

  struct Way: Sendable, CustomTestStringConvertible {
    let encryption: String
    var method = RekeyMethod.invite
    var ports = "same"
    var testDescription: String {
      self.encryption == "dtls_srtp" ? "dtls_srtp on \(self.ports) ports" : "\(self.encryption) by \(self.method)"
    }

    static let all =
      RekeyMethod.allCases.map { Way(encryption: "srtp-mand", method: $0) }
      + ["same", "new"].map { Way(encryption: "dtls_srtp", ports: $0) }
  }

  private static let suites = ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"]

  /// Returns how many packets are lost by their sequence numbers.
  private func expectSound(
    _ agents: SimulatedAgents, _ agent: SimulatedAgent, rekeys: Int, _ note: String
  ) throws -> Int {
    agent.act { core in for report in core.reports { core.refreshStatistics(report.id) } }
    agents.run(milliseconds: 1)
    let report = try #require(agent.report)
    let media = report.media
    #expect(
      media.drops == DropCounters() && media.rekeys == rekeys && !report.isHeldByPeer,
      "\(note): \(media.rekeys) of \(rekeys) re-keys, \(media.drops)")
    return media.lost
  }

  @Test(
    "a re-key together with another suite, hold, another SSRC and a wrap, each with each, loses nothing",
    arguments: RxMode.allCases, Way.all)
  func eachWithEach(mode: RxMode, way: Way) throws {
    let agents = try SimulatedAgents(
      mode: mode, encryption: way.encryption, seed: 97, configure: { $0.rekeyMethod = way.method },
      adjust: { settings in
        settings.configuration.moduleValues["dtls_srtp_rekey_ports"] = way.ports
        settings.configuration.moduleValues["srtp_suites"] = Self.suites.joined(separator: ",")
      })
    agents.simulation.network.setSignalling(LinkConditions(delay: 1000...60_000))
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...5000))
    let descriptions = Descriptions(agents.simulation.network, media: StandIn.spares)
    let call = try agents.call()
    agents.run(milliseconds: 1000)
    let calls = (alice: call, bob: agents.bobCall)
    let peer = StandIn(agents)
    var generator = TestGenerator(seed: 98)
    var suite = Self.suites[0]
    var rekeys = 0
    var before: [String: Int] = [:]
    for isAlice in [true, false] {
      for changes in (0..<16).map(Changes.init(rawValue:)) {
        // The suite of DTLS is agreed in its handshake.
        if way.encryption == "dtls_srtp", changes.contains(.suite) { continue }
        let (one, id) = isAlice ? (agents.alice, calls.alice) : (agents.bob, calls.bob)
        peer.changeSource()
        peer.sequence = changes.contains(.wrap) ? 65_535 - UInt16.random(in: 25...32, using: &generator) : 1000
        peer.speak(milliseconds: 500)
        // Packets overtake each other from now on, and those under the new keys those under the old.
        agents.simulation.network.setMedia(LinkConditions(delay: 5000...65_000))
        if changes.contains(.suite) {
          suite = try #require(Self.suites.filter { $0 != suite }.randomElement(using: &generator))
        }
        let (offered, answered) = (suite, Locked(""))
        descriptions.set { message in
          if !message.isRequest { answered.withLock { [body = message.body] in $0 = body.joined(separator: "\n") } }
          message.body = message.body.filter { !$0.hasPrefix("a=crypto:") || $0.contains(" \(offered) ") }
        }
        if changes.contains(.hold) {
          // One offer of both.
          #expect(one.act { $0.calls[id]?.media?.requestRekey() } == true)
          one.act { $0.setHold(id, true) }
        } else {
          #expect(one.act { $0.rekey(id) }, "\(changes): the last keys are not in use both ways")
        }
        rekeys += 1
        peer.speak(milliseconds: Int64.random(in: 0...8, using: &generator) * 20)
        if changes.contains(.source) {
          peer.changeSource()
          if changes.contains(.wrap) { peer.sequence = 65_533 }
        }
        peer.speak(milliseconds: 800)
        if changes.contains(.hold) {
          one.act { $0.setHold(id, false) }
          peer.speak(milliseconds: 600)
        }
        agents.simulation.network.setMedia(LinkConditions(delay: 5000...5000))
        agents.run(milliseconds: 80)
        #expect(way.encryption == "dtls_srtp" || answered.withLock { $0.contains(" \(offered) ") })
        for agent in [agents.alice, agents.bob] {
          let note = "\(agent.name), \(changes) by \(one.name)"
          let lost = try self.expectSound(agents, agent, rekeys: rekeys, note)
          // What is overtaken by another SSRC is not played any more.
          let overtaken = changes.contains(.source) && agent === agents.alice ? 3 : 0
          #expect(lost <= before[agent.name, default: 0] + overtaken, "\(note): \(lost) lost")
          before[agent.name] = lost
        }
      }
    }
    agents.run(milliseconds: 100)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let (media, other) = (agents.alice.ended[0].media, agents.bob.ended[0].media)
    // The first packet of each SSRC only makes known that there is another one.
    #expect(peer.refused == 0 && media.receivedPackets + media.suspect == peer.sent, "\(peer.sent) were sent: \(media)")
    #expect(other.sentPackets > 1000 && media.sentPackets - other.receivedPackets <= 1)
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.failure == nil && report.reason == "hangup")
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams && report.media.duplicate == 0)
    }
    #expect(agents.alice.warnings.isEmpty && agents.bob.warnings.isEmpty)
  }
}
