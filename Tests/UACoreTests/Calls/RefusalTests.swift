import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Calls that don't come to be, and the sentence or status that says why.
@Suite struct RefusalTests {
  @Test("a callee's refusal ends the caller's call with its status")
  func refused() throws {
    let agents = try SimulatedAgents()
    agents.bobSettings.answersAtOnce = false
    try agents.call()
    agents.run(milliseconds: 100)
    #expect(agents.alice.report?.state == .ringing && agents.bob.report?.state == .ringing)
    agents.bob.act { $0.reject(agents.bobCall) }
    #expect(agents.runUntilIdle())
    let report = try #require(agents.alice.ended.first)
    #expect(report.reason == "rejected" && report.status == 486)
    #expect(report.failure?.message == "sip:bob@10.0.0.2 refused the call: 486 Busy Here")
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  struct Mismatch: Sendable, CustomTestStringConvertible {
    let offered: (encryption: String?, codec: String)
    let accepted: (encryption: String?, codec: String)
    let sentence: String
    var testDescription: String { "\(self.offered) offered to \(self.accepted)" }

    static let all = [
      Mismatch(offered: (nil, "opus"), accepted: (nil, "pcmu"), sentence: "codec"),
      Mismatch(offered: ("dtls_srtp", "pcmu"), accepted: (nil, "pcmu"), sentence: "mediaenc none"),
      Mismatch(offered: ("srtp-mand", "pcmu"), accepted: (nil, "pcmu"), sentence: "mediaenc none"),
      Mismatch(offered: (nil, "pcmu"), accepted: ("srtp-mand", "pcmu"), sentence: "mandatory"),
      Mismatch(offered: ("srtp-mand", "pcmu"), accepted: ("dtls_srtp", "pcmu"), sentence: "no a=fingerprint"),
      Mismatch(offered: (nil, "pcmu"), accepted: ("dtls_srtp", "pcmu"), sentence: "mediaenc dtls_srtp"),
    ]
  }

  @Test("descriptions that do not go together are refused with 488", arguments: Mismatch.all, RxMode.allCases)
  func notAcceptable(one: Mismatch, mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    agents.aliceSettings.mediaEncryption = one.offered.encryption
    agents.aliceSettings.codecs = [CodecPreference(name: one.offered.codec)]
    agents.bobSettings.mediaEncryption = one.accepted.encryption
    agents.bobSettings.codecs = [CodecPreference(name: one.accepted.codec)]
    try agents.call()
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    let (alice, bob) = (try #require(agents.alice.ended.first), try #require(agents.bob.ended.first))
    #expect(alice.reason == "rejected" && alice.status == 488)
    #expect(bob.reason == "media" && bob.status == 488)
    let sentence = bob.failure?.message ?? ""
    #expect(sentence.contains(one.sentence), "\(sentence)")
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("calls beyond call_max_calls get 486, and the others go on")
  func maximum() throws {
    let agents = try SimulatedAgents { $0.callMaxCalls = 1 }
    try agents.establishedCall()
    try agents.call()
    agents.run(milliseconds: 500)
    #expect(agents.alice.ended.first?.status == 486)
    #expect(agents.alice.ended.first?.failure?.message.contains("Max Calls") == true)
    #expect(agents.bob.act { $0.callCount } == 1 && agents.alice.isEstablished)
  }

  @Test("nobody may be called where nobody answers calls")
  func noAccount() throws {
    let agents = try SimulatedAgents()
    let target = try SIPURI("sip:bob@10.0.0.2")
    _ = try agents.alice.act { try $0.call(target, at: agents.bob.address, settings: agents.aliceSettings) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.status == 480)
  }

  @Test("a call that no one answers is refused after call_local_timeout")
  func localTimeout() throws {
    let agents = try SimulatedAgents { $0.callLocalTimeout = 20 }
    agents.bobSettings.answersAtOnce = false
    let began = agents.simulation.now
    try agents.call()
    #expect(agents.runUntilIdle(milliseconds: 60_000))
    #expect((20_000...20_100).contains(agents.simulation.now.milliseconds(since: began)))
    #expect(agents.alice.ended.first?.status == 480 && agents.bob.ended.first?.reason == "timeout")
  }

  @Test("an automatic answer waits for its delay")
  func answerDelay() throws {
    let agents = try SimulatedAgents()
    agents.bobSettings.answerDelay = 3000
    let began = agents.simulation.now
    try agents.call()
    #expect(agents.simulation.run(milliseconds: 10_000) { agents.alice.isEstablished })
    #expect((3000...3010).contains(agents.simulation.now.milliseconds(since: began)))
    #expect(agents.alice.events.contains { if case .ringing = $0 { true } else { false } })
  }

  @Test("a caller who gives up before the delayed answer is not answered")
  func answerDelayCancelled() throws {
    let agents = try SimulatedAgents()
    agents.bobSettings.answerDelay = 3000
    let call = try agents.call()
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    agents.run(milliseconds: 10_000)
    #expect(!agents.bob.events.contains { if case .established = $0 { true } else { false } })
    #expect(agents.bob.ended.first?.reason == "cancelled")
  }

  @Test("a host where nothing listens is unreachable at once")
  func unreachable() throws {
    let agents = try SimulatedAgents()
    let nowhere = SocketAddress(ipv4: 0x0A00_0009, port: 5060)
    let target = try SIPURI("sip:bob@10.0.0.9")
    _ = try agents.alice.act { try $0.call(target, at: nowhere, settings: agents.aliceSettings) }
    #expect(agents.runUntilIdle(milliseconds: 100))
    let report = try #require(agents.alice.ended.first)
    #expect(report.reason == "unreachable" && report.failure?.kind == .unavailable)
  }

  @Test("a peer that never answers is given up after 32 seconds")
  func silentPeer() throws {
    let agents = try SimulatedAgents()
    agents.simulation.network.silence(host: "10.0.0.2")
    try agents.call()
    #expect(agents.runUntilIdle(milliseconds: 31_000) == false)
    #expect(agents.simulation.run(milliseconds: 10_000) { agents.alice.act { $0.callCount } == 0 })
    #expect(agents.alice.ended.first?.reason == "timeout")
  }

  struct BadSettings: Sendable, CustomTestStringConvertible {
    let sentence: String
    let change: @Sendable (inout CallSettings) -> Void
    var testDescription: String { self.sentence }
    static let all = [
      BadSettings(sentence: "codec g729: no active module brings it; there are: opus, pcmu, pcma") {
        $0.codecs = [CodecPreference(name: "g729")]
      },
      BadSettings(
        sentence:
          "mediaenc zrtp: no active module brings it; there are: none, srtp, srtp-mand, srtp-mandf, dtls_srtp, broken"
      ) { $0.mediaEncryption = "zrtp" },
      BadSettings(sentence: "audio_source alsa: no active module brings it; there are: aubridge, ausine, probe") {
        $0.source = AudioDevice(driver: "alsa", device: "")
      },
      BadSettings(sentence: "audio_player alsa: no active module brings it; there are: aubridge, probe") {
        $0.player = AudioDevice(driver: "alsa", device: "")
      },
      BadSettings(sentence: "module probe: refused") { $0.player = AudioDevice(driver: "probe", device: "refused") },
    ]
  }

  @Test("wrong settings are refused with a sentence before anything is sent", arguments: BadSettings.all)
  func badSettings(one: BadSettings) throws {
    let agents = try SimulatedAgents(mode: .thread)
    one.change(&agents.aliceSettings)
    do {
      try agents.call()
      Issue.record("the call was placed")
    } catch { #expect("\(error)" == one.sentence) }
    agents.run(milliseconds: 100)
    #expect(agents.simulation.network.counters.sent == 0 && agents.simulation.network.mediaSocketCount == 0)
    #expect(agents.alice.act { $0.callCount } == 0)
  }

  @Test("wrong settings of the called account refuse the call with 488", arguments: BadSettings.all)
  func badIncomingSettings(one: BadSettings) throws {
    let agents = try SimulatedAgents(mode: .thread)
    one.change(&agents.bobSettings)
    try agents.call()
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended.first?.status == 488)
    #expect(agents.bob.warnings == [one.sentence])
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("a stage that can't be made when media begins ends the call with its sentence", arguments: RxMode.allCases)
  func brokenStage(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    agents.aliceSettings.player = AudioDevice(driver: "probe", device: "broken")
    try agents.call()
    #expect(agents.runUntilIdle())
    let report = try #require(agents.alice.ended.first)
    #expect(report.reason == "media" && report.failure?.message == "module probe: broken")
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("a media encryption that fails before the offer leaves nothing behind", arguments: RxMode.allCases)
  func brokenKeys(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    agents.aliceSettings.mediaEncryption = "broken"
    do {
      try agents.call()
      Issue.record("the call was placed")
    } catch { #expect("\(error)" == "module broken_keys: no keys today") }
    agents.run(milliseconds: 100)
    #expect(agents.simulation.network.counters.sent == 0 && agents.simulation.network.mediaSocketCount == 0)
    #expect(agents.alice.ownLoops == (mode == .thread ? 1 : 0, 0))
    #expect(agents.alice.act { $0.callCount } == 0)
  }

  @Test("no free port: the sentence names the address, and nothing stays open")
  func noPort() throws {
    let agents = try SimulatedAgents { $0.rtpPorts = 20_000...20_003 }
    try agents.establishedCall()
    try agents.establishedCall()
    #expect(throws: ModuleError.self) { try agents.call() }
    #expect(agents.alice.act { $0.callCount } == 2)
  }
}
