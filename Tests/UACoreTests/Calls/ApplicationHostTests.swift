import ModuleKit
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// What an application may ask of its agent.
@Suite struct ApplicationHostTests {
  @Test(
    "an offer that a module brings makes a call with ICE and DTLS-SRTP, up to call_max_calls, which the module ends",
    arguments: RxMode.allCases)
  func offer(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode) { $0.callMaxCalls = 1 }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    var settings = agents.aliceSettings
    (settings.mediaEncryption, settings.mediaNAT) = ("dtls_srtp", "ice")
    let page = try agents.alice.act { try $0.connect("a page", settings: settings) }
    let offer = try #require(Self.offer(agents.alice, page)).get()
    #expect(throws: ModuleError.self) { try Self.answer(agents.bob, Array("v=0".utf8))?.get() }
    #expect(agents.bob.act { $0.calls.values.allSatisfy { $0.state == .ended } }, "a bad offer leaves no call behind")
    agents.run(milliseconds: 100)

    let answered = try #require(Self.answer(agents.bob, offer)).get()
    let (call, answer) = (answered.call, answered.answer)
    let error = #expect(throws: ModuleError.self) { try Self.answer(agents.bob, offer)?.get() }
    #expect(error?.kind == .unavailable && error?.message.contains("call_max_calls") == true)
    try agents.alice.act { try $0.takeAnswer(page, answer) }
    agents.run(milliseconds: 1500)
    #expect(agents.bob.act { $0.isOpen(call) })
    #expect(agents.bob.act { $0.calls.values.first?.statistics.drops } == DropCounters())

    agents.bob.act { $0.hangUp(call) }
    #expect(!agents.bob.act { $0.isOpen(call) })
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(page) }
    #expect(agents.runUntilIdle())
    let report = try #require(agents.bob.ended.last)
    #expect(report.media.receivedPackets > 50 && report.media.lost == 0 && report.failure == nil)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("the transport is that of the group's first line, though that is refused, unless the audio has its own")
  func refusedFirst() throws {
    let agents = try SimulatedAgents(mode: .main)
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    var settings = agents.aliceSettings
    (settings.mediaEncryption, settings.mediaNAT) = ("dtls_srtp", "ice")
    (settings.usesRTCPMux, settings.usesBundle) = (true, true)
    let page = try agents.alice.act { try $0.connect("a page", settings: settings) }
    let alone = try SessionDescription(parsing: try #require(Self.offer(agents.alice, page)).get())
    for (isBundleOnly, hasOwn) in [(true, false), (false, false), (false, true)] {
      var (offer, first, audio) = (alone, alone.media[0], alone.media[0])
      first.kind = .video
      for name in ["mid", "candidate", "end-of-candidates"] { audio.remove(name) }
      first.remove("mid")
      first.add("mid", "v")
      audio.add("mid", "a")
      if isBundleOnly {
        audio.port = 0
        audio.add("bundle-only")
      }
      if hasOwn {
        audio.remove("ice-ufrag")
        audio.add("ice-ufrag", "another")
      }
      offer.media = [first, audio]
      offer.remove("group")
      offer.add("group", "BUNDLE v a")
      let answered = try #require(Self.answer(agents.bob, offer.bytes)).get()
      let answer = try SessionDescription(parsing: answered.answer)
      #expect(answer.bundles == [["a"]] && answer.media[0].port == 0)
      let media = offer.media.indices.map { RemoteMedia(offer, index: $0) }
      let transport = agents.bob.act { core in
        core.calls[CallID(number: answered.call)]?.media?.choose(from: media, of: offer)?.transport
      }
      #expect(transport?.candidates.isEmpty == hasOwn, "\(isBundleOnly) \(hasOwn)")
      agents.bob.act { $0.hangUp(answered.call) }
    }
    agents.alice.act { $0.hangUp(page) }
    #expect(agents.runUntilIdle())
  }

  @Test("a source's end (RTCP BYE) ends no call without SIP; the association's does", arguments: [false, true])
  func goodbye(closes: Bool) throws {
    let agents = try SimulatedAgents(mode: .main)
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    var settings = agents.aliceSettings
    (settings.mediaEncryption, settings.mediaNAT) = ("dtls_srtp", "ice")
    let page = try agents.alice.act { try $0.connect("a page", settings: settings) }
    let offer = try #require(Self.offer(agents.alice, page)).get()
    let answered = try #require(Self.answer(agents.bob, offer)).get()
    try agents.alice.act { try $0.takeAnswer(page, answered.answer) }
    agents.run(milliseconds: 1500)
    // DTLS by its first byte (RFC 7983 §7).
    if !closes { agents.simulation.network.tap { !(20...63).contains($0.bytes.first ?? 0) } }
    agents.alice.act { $0.hangUp(page) }
    agents.run(milliseconds: 3000)
    #expect(agents.bob.act { $0.isOpen(answered.call) } == !closes)
    agents.bob.act { $0.hangUp(answered.call) }
    #expect(agents.runUntilIdle())
  }

  @Test("a call without SIP is held, and goes on, with its next offer; new keys are not for the agent to offer there")
  func hold() throws {
    let agents = try SimulatedAgents(mode: .main)
    func connect(_ agent: SimulatedAgent, _ settings: CallSettings) throws -> CallID {
      var settings = settings
      (settings.mediaEncryption, settings.mediaNAT) = ("dtls_srtp", "ice")
      return try agent.act { try $0.connect("the other", settings: settings) }
    }
    let one = try connect(agents.alice, agents.aliceSettings)
    let other = try connect(agents.bob, agents.bobSettings)
    func negotiate() throws -> String? {
      let offer = try #require(Self.offer(agents.alice, one)).get()
      var told: Result<[UInt8], ModuleError>?
      agents.bob.act { $0.makeAnswer(other, to: offer) { told = $0 } }
      let answer = try #require(told).get()
      try agents.alice.act { try $0.takeAnswer(one, answer) }
      agents.run(milliseconds: 1500)
      return try SessionDescription(parsing: offer).media[0].direction?.rawValue
    }
    #expect(try negotiate() == "sendrecv")
    #expect(agents.alice.act { !$0.rekey(one) })
    for (isHeld, direction) in [(false, "sendrecv"), (true, "sendonly"), (true, "sendonly"), (false, "sendrecv")] {
      agents.alice.act { $0.setHold(one, isHeld) }
      #expect(try negotiate() == direction)
      #expect(agents.alice.report?.isOnHold == isHeld && agents.bob.report?.isHeldByPeer == isHeld)
    }
    agents.alice.act { $0.hangUp(one) }
    agents.bob.act { $0.hangUp(other) }
    #expect(agents.runUntilIdle())
    let reports = [try #require(agents.alice.ended.last), try #require(agents.bob.ended.last)]
    for (report, seconds) in zip(reports, [3, 6]) {
      #expect(report.media.receivedPackets > 50 * seconds && report.media.rekeys == 0, "\(report.media)")
    }
  }

  /// What is told at once; nil where that is nothing.
  private static func offer(_ agent: SimulatedAgent, _ call: CallID) -> Result<[UInt8], ModuleError>? {
    var told: Result<[UInt8], ModuleError>?
    agent.act { $0.makeOffer(call) { told = $0 } }
    return told
  }

  private static func answer(_ agent: SimulatedAgent, _ offer: [UInt8]) -> Result<AnsweredCall, ModuleError>? {
    var told: Result<AnsweredCall, ModuleError>?
    agent.act { $0.answer(offer, from: "a page", sound: nil) { told = $0 } }
    return told
  }

  @Test("a module dials with sound of its own; the call that is there is not put on hold, and both are told of")
  func dial() throws {
    let agents = try SimulatedAgents(mode: .pool)
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let sound = CallSound(source: AudioDevice(driver: "ausine", device: "440"), player: nil)
    var results: [Result<UInt64, CommandFailure>] = []
    agents.alice.act { core in
      core.dial("sip:bob@10.0.0.2", sound: sound) { results.append($0) }
      core.dial("sip:", sound: sound) { results.append($0) }
    }
    agents.run(milliseconds: 1000)
    #expect(results.count == 2)
    let call = try #require(results.first).get()
    #expect(throws: CommandFailure.self) { try results[1].get() }
    #expect(agents.alice.act { $0.calls[CallID(number: call)]?.settings.source } == sound.source)
    #expect(agents.alice.act { $0.reports.map(\.isOnHold) } == [false, false])
    _ = agents.alice.act { $0.callReports }
    agents.run(milliseconds: 100)
    let reports = agents.alice.act { $0.callReports }
    #expect(reports.map(\.call) == [1, call] && reports.allSatisfy { $0.report["peer"]?.text == "sip:bob@10.0.0.2" })
    guard case .integer(let sent)? = reports.last?.report["tx"]?["packets"] else {
      Issue.record("a report without packets")
      return
    }
    #expect(sent > 40)
    for agent in [agents.alice, agents.bob] { agent.act { $0.hangUpAll() } }
    #expect(agents.runUntilIdle())
  }
}
