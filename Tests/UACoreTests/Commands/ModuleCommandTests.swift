import Handoff
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing

@testable import UACore

/// Modules that come and go while the agent runs.
@Suite struct ModuleCommandTests {
  private static func fails(_ line: String, _ agent: SimulatedAgent) -> String {
    let result = agent.act { $0.execute(line: line) }
    return result.isOK ? "" : result.text
  }

  @Test(
    "insmod brings a codec to the next call, rmmod takes it away; a call that stands keeps it",
    arguments: RxMode.allCases)
  func codec(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, codec: nil) { $0.activeModules.removeAll { $0 == "opus" } }
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    for agent in [agents.alice, agents.bob] {
      #expect(try CallControlTests.run("/insmod opus.so", agent) == "loaded module opus")
      #expect(try CallControlTests.run("/modules", agent).contains("opus"))
      try CallControlTests.run("/rmmod g711", agent)
    }
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 2000)
    #expect(agents.alice.report?.codec == "opus/48000/2" && agents.bob.isEstablished)
    for agent in [agents.alice, agents.bob] {
      try CallControlTests.run("/insmod g711", agent)
      #expect(try CallControlTests.run("/rmmod opus", agent) == "unloaded module opus")
    }
    let before = agents.bob.act { $0.sortedCalls[0].statistics.receivedPackets }
    agents.bob.act { $0.refreshAll() }
    agents.run(milliseconds: 2000)
    agents.bob.act { $0.refreshAll() }
    agents.run(milliseconds: 100)
    #expect(agents.bob.act { $0.sortedCalls[0].statistics.receivedPackets } >= before + 90)
    try CallControlTests.run("b", agents.alice)
    #expect(agents.runUntilIdle())
    try CallControlTests.run("/dial sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 1000)
    #expect(agents.alice.report?.codec?.hasPrefix("PCMU") == true)
  }

  @Test("what can't be switched on or off says why, and what to do instead")
  func refusals() throws {
    let agents = try SimulatedAgents(encryption: "srtp")
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    let alice = agents.alice
    let active = alice.act { $0.settings.configuration.activeModules }
    #expect(Self.fails("/insmod", alice).contains("takes a module's name"))
    #expect(Self.fails("/insmod menu", alice).contains("always on"))
    #expect(Self.fails("/insmod opus", alice).contains("already"))
    #expect(Self.fails("/insmod gtk", alice).contains("not part of Apus"))
    #expect(Self.fails("/insmod aufil", alice).contains("did you mean \"aufile\"?"))
    #expect(Self.fails("/insmod udp", alice).contains("change its line in the config, and start again"))
    #expect(Self.fails("/rmmod stdio", alice).contains("it stays"))
    #expect(Self.fails("/rmmod aufile", alice).contains("not switched on"))
    // The account could make no call any more.
    #expect(Self.fails("/rmmod srtp", alice).contains("sip:alice@10.0.0.1 needs it"))
    #expect(Self.fails("/rmmod probe", alice).contains("needs it"))
    #expect(alice.act { $0.settings.configuration.activeModules } == active)
    // Nothing is lost by that.
    agents.bob.act { $0.accounts = [agents.bobSettings] }
    try agents.establishedCall()
  }

  @Test("a command and an application come and go with their module")
  func application() throws {
    let agents = try SimulatedAgents { _ in
    } adjust: {
      $0.available.append(Companion.self)
    }
    Companion.events.withLock { $0 = [] }
    #expect(Self.fails("/companion", agents.alice).contains("no command"))
    try CallControlTests.run("/insmod companion", agents.alice)
    #expect(try CallControlTests.run("/companion", agents.alice) == "here")
    agents.alice.act { $0.emit(.quit) }
    #expect(Companion.events.withLock { $0 } == ["start", "take"])
    try CallControlTests.run("/rmmod companion", agents.alice)
    agents.run(milliseconds: 10)
    #expect(Companion.events.withLock { $0 } == ["start", "take", "stop"])
    #expect(Self.fails("/companion", agents.alice).contains("no command"))
    // One that can't start leaves nothing behind.
    Companion.isBroken.withLock { $0 = true }
    defer { Companion.isBroken.withLock { $0 = false } }
    #expect(Self.fails("/insmod companion", agents.alice).contains("not today"))
    #expect(Self.fails("/companion", agents.alice).contains("no command"))
  }
}

/// A module with a command and an application.
private struct Companion: Module, ApplicationProvider {
  static let name = "companion"
  static let summary = "a command and an application of the tests"
  static let events = Locked<[String]>([])
  static let isBroken = Locked(false)

  init(settings: ModuleSettings) throws(ModuleError) {}

  var facets: [Facet] {
    [
      .command(ModuleCommand(CommandDescription("companion", help: "says that it is here")) { _ in "here" }),
      Facet(.application(self)),
    ]
  }

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    if Self.isBroken.withLock({ $0 }) { throw ModuleError(.unavailable, "not today") }
    Self.events.withLock { $0.append("start") }
    return Running()
  }

  final class Running: Application {
    func take(_ notice: AgentNotice) { Companion.events.withLock { $0.append("take") } }
    func stop() { Companion.events.withLock { $0.append("stop") } }
  }
}
