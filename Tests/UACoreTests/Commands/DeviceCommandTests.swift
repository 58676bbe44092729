import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Devices that are changed while a call stands.
@Suite struct DeviceCommandTests {
  /// Whether most of the sound repeats itself every eight samples, as 1 kHz does at 8 kHz.
  private static func isTone(_ samples: [Int16]) -> Bool {
    let repeats = (0..<max(0, samples.count - 8)).count {
      samples[$0] != 0 && abs(Int(samples[$0]) - Int(samples[$0 + 8])) < 600
    }
    return samples.count > 8000 && repeats * 10 > samples.count * 6
  }

  @Test("ausrc changes what the current call sends, and what the next ones send", arguments: RxMode.allCases)
  func source(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 2000)
    #expect(agents.alice.isEstablished && !Self.isTone(ProbeCapture.take(agents.bobHears)))
    #expect(try CallControlTests.run("/ausrc ausine,1000", agents.alice) == "switch audio device: ausine,1000")
    agents.run(milliseconds: 500)
    _ = ProbeCapture.take(agents.bobHears)
    agents.run(milliseconds: 2000)
    #expect(Self.isTone(ProbeCapture.take(agents.bobHears)))
    #expect(agents.alice.act { $0.accounts.allSatisfy { $0.source?.driver == "ausine" } })
    // A device that its driver refuses leaves everything as it was.
    let refused = agents.alice.act { $0.execute(line: "/ausrc ausine,nonsense") }
    #expect(!refused.isOK && refused.text.contains("is no frequency"))
    _ = ProbeCapture.take(agents.bobHears)
    agents.run(milliseconds: 2000)
    #expect(Self.isTone(ProbeCapture.take(agents.bobHears)) && agents.alice.isEstablished)
  }

  @Test("ausrc changes every call that stands")
  func sourceOfAll() throws {
    let agents = try CallControlTests.agents(isAsked: false) { $0.callHoldOtherCalls = false }
    for _ in 0..<2 {
      try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    try CallControlTests.run("/ausrc ausine,1000", agents.alice)
    let devices = agents.alice.act { $0.sortedCalls.map { $0.media?.settings.source?.device } }
    #expect(devices == ["1000", "1000"])
  }

  @Test(
    "accounts made later get the device of ausrc and auplay; those with their own keep it",
    arguments: [("ausrc", "audio_source"), ("auplay", "audio_player")])
  func laterAccounts(command: String, parameter: String) throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/uanew <sip:carol@10.0.0.1>;regint=0;\(parameter)=aubridge,own", agents.alice)
    try CallControlTests.run("/\(command) aubridge,all", agents.alice)
    try CallControlTests.run("/uanew <sip:dave@10.0.0.1>;regint=0", agents.alice)
    let accounts = agents.alice.act { $0.accounts }
    let devices = accounts.map { command == "ausrc" ? $0.source?.device : $0.player?.device }
    #expect(devices == ["all", "own", "all"])
  }

  @Test(
    "auplay changes where the current call is heard; the old player completes what it has", arguments: RxMode.allCases)
  func player(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1000)
    let other = ProbeCapture.makeName()
    try CallControlTests.run("/auplay probe,\(other)", agents.bob)
    agents.run(milliseconds: 100)
    #expect(ProbeCapture.finishes(agents.bobHears) == 1)
    _ = ProbeCapture.take(agents.bobHears)
    _ = ProbeCapture.take(other)
    agents.run(milliseconds: 1000)
    #expect(ProbeCapture.take(agents.bobHears).isEmpty)
    #expect((7500...8500).contains(ProbeCapture.take(other).count))
    // What was sent did not change: Alice still hears Bob.
    #expect(agents.bob.isEstablished && !ProbeCapture.take(agents.aliceHears).isEmpty)
    try CallControlTests.run("b", agents.alice)
    #expect(agents.runUntilIdle())
    #expect(ProbeCapture.finishes(other) == 1)
  }
}
