import Handoff
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// How lines become commands.
@Suite struct CommandTests {
  private static func registry(_ calls: Locked<[String]>) throws -> CommandRegistry {
    let registry = CommandRegistry()
    try registry.add(CommandDescription("test", key: "@", help: "a test")) { text in
      calls.withLock { $0.append("test \(text)") }
      return "done"
    }
    return registry
  }

  @Test("test_cmd: a key calls its command, and no other")
  func key() throws {
    let calls = Locked<[String]>([])
    let registry = try Self.registry(calls)
    #expect(registry.name(forKey: "h", parameters: "") == nil)
    let name = try #require(registry.name(forKey: "@", parameters: ""))
    #expect(registry.execute(name, "") == CommandResult(isOK: true, text: "done"))
    #expect(calls.withLock { $0 } == ["test "])
    // It takes no parameters, so a word that begins with the key is not the key.
    #expect(registry.name(forKey: "@", parameters: "home") == nil)
    registry.remove("test")
    #expect(registry.name(forKey: "@", parameters: "") == nil)
  }

  @Test("test_cmd_long: a name calls its command with its parameters; a near miss is asked about")
  func long() throws {
    let calls = Locked<[String]>([])
    let registry = try Self.registry(calls)
    #expect(registry.execute("test", "123").isOK)
    #expect(calls.withLock { $0 } == ["test 123"])
    let unknown = registry.execute("tesd", "")
    #expect(!unknown.isOK && unknown.text.contains("did you mean \"test\"?"))
    #expect(throws: ModuleError.self) { try registry.add(CommandDescription("test", help: "")) { _ in "" } }
    #expect(throws: ModuleError.self) { try registry.add(CommandDescription("other", key: "@", help: "")) { _ in "" } }
  }

  /// Names and keys of baresip's modules `menu`, `debug_cmd` and `contact`, and of its core.
  static let baresip: [(String, Character?)] = [
    ("quit", "q"), ("insmod", nil), ("rmmod", nil), ("100rel", nil), ("about", nil), ("accept", "a"),
    ("acceptdir", nil),
    ("answermode", nil), ("auplay", nil), ("ausrc", nil), ("callstat", "c"), ("dial", "d"), ("dialdir", nil),
    ("dnd", nil), ("entransp", nil), ("hangup", "b"), ("hangupall", nil), ("help", "h"), ("listcalls", "l"),
    ("options", "o"), ("refer", "R"), ("reginfo", "r"), ("setadelay", nil), ("setansval", nil), ("uadel", nil),
    ("uadelall", nil), ("uafind", nil), ("uanew", nil), ("uaaddheader", nil), ("uarmheader", nil),
    ("vidsrc", nil), ("tlsissuer", nil), ("tlssubject", nil), ("aubitrate", nil), ("audio_debug", "A"),
    ("callfind", nil), ("hold", "x"), ("line", "@"), ("mute", "m"), ("reinvite", "I"), ("resume", "X"),
    ("sndcode", nil), ("statmode", "S"), ("transfer", "t"), ("atransferstart", "T"), ("atransferexec", nil),
    ("atransferabort", nil), ("video_debug", "V"), ("videodir", nil), ("medialdir", nil), ("stopringing", nil),
    ("apistate", nil), ("conf_reload", nil), ("config", nil), ("loglevel", "v"), ("main", nil),
    ("memstat", "y"), ("modules", nil), ("netstat", "n"), ("play", nil), ("sipstat", "i"), ("siptrace", nil),
    ("sysinfo", "s"), ("timers", nil), ("uastat", "u"), ("uuid", nil), ("contacts", "C"), ("dialcontact", "D"),
    ("message", "M"), ("contact_prev", "<"), ("contact_next", ">"), ("addcontact", nil), ("rmcontact", nil),
    ("clrcontacts", nil),
  ]

  @Test("every command of baresip's menu, contact and debug_cmd is there, on its key", arguments: baresip)
  func isThere(name: String, key: Character?) throws {
    let agents = try SimulatedAgents()
    let commands = agents.alice.act { $0.commands.descriptions }
    let command = try #require(commands.first { $0.name == name })
    if let key { #expect(command.key == key) }
    #expect(!command.help.isEmpty)
  }

  @Test("help lists every command; modules add theirs")
  func help() throws {
    let agents = try SimulatedAgents()
    let text = agents.alice.act { $0.execute(line: "h") }.text
    #expect(text.contains("/dial URI|NUMBER|NAME") && text.contains("  d  "))
    #expect(text.split(separator: "\n").count == agents.alice.act { $0.commands.descriptions }.count)
  }

  @Test("apistate has baresip's object of each account, by its address, and the calls beside them")
  func state() throws {
    let agents = try CallControlTests.agents(isAsked: false)
    try CallControlTests.run(
      "/uanew \"Carol\" <sip:carol@10.0.0.1>;regint=0;answermode=early;auth_pass=s3cret", agents.alice)
    try CallControlTests.run("d sip:bob@10.0.0.2", agents.alice)
    agents.run(milliseconds: 500)
    let text = try CallControlTests.run("/apistate", agents.alice)
    #expect(!text.contains("s3cret"))
    let state = try JSON(parsing: Array(text.utf8))
    let carol = try #require(state["sip:carol@10.0.0.1"])
    #expect(carol["cuser"]?.text == "carol" && carol["display_name"]?.text == "Carol")
    #expect(carol["settings"]?["answer_mode"]?.text == "early")
    #expect(carol["registration"]?["state"] == .bool(false) && carol["registration"]?["interval"] == .integer(0))
    let current = agents.alice.act { $0.control.currentAccount?.aor }
    for aor in ["sip:alice@10.0.0.1", "sip:carol@10.0.0.1"] {
      #expect(state[aor]?["selected_ua"] == .bool(aor == current))
    }
    guard case .array(let calls)? = state["calls"] else {
      Issue.record("no calls: \(text)")
      return
    }
    #expect(calls.map { $0["peeruri"]?.text } == ["sip:bob@10.0.0.2"])
  }

  @Test("an agent has the identifier that it is given, else a random one")
  func identifier() throws {
    let given = "0a1b2c3d-0000-1000-8000-000a95a0e128"
    let named = try SimulatedAgents(adjust: { $0.instanceID = given })
    #expect(try CallControlTests.run("/uuid", named.alice) == given)
    let random = try SimulatedAgents()
    #expect(try CallControlTests.run("/uuid", random.alice) != CallControlTests.run("/uuid", random.bob))
  }

  @Test("modules show what they lost")
  func losses() throws {
    let agents = try SimulatedAgents(codec: nil) { $0.activeModules += ["aufile", "ivf", "vidbridge"] }
    func run(_ line: String) throws -> String { try CallControlTests.run(line, agents.alice) }
    // Recordings count for the process, in which other tests may record.
    #expect(try run("/aufilestat").wholeMatch(of: /recordings lost [0-9]+ samples; [0-9]+ ended early/) != nil)
    #expect(try run("/ivfstat").wholeMatch(of: /recordings lost [0-9]+ frames; [0-9]+ ended early/) != nil)
    #expect(try run("/vidbridgestat") == "frames dropped 0")
  }

  @Test("what recordings lose is counted by the piece and by the file")
  func recordingLosses() {
    let tally = RecordingTally(of: "frames")
    #expect(tally.text == "recordings lost 0 frames; 0 ended early")
    tally.countLost(3)
    tally.countLost(4)
    tally.countFailed()
    #expect(tally.text == "recordings lost 7 frames; 1 ended early")
    #expect(tally.losses.units == 7 && tally.losses.files == 1)
  }

  @Test(
    "a line that is no command says so",
    arguments: ["/nonsense", "%", "hello", "/hold", "x", "/dial", "d", "/uafind nobody", "/line 7", "@7", "/dnd maybe"])
  func refused(line: String) throws {
    let agents = try SimulatedAgents()
    agents.alice.act { $0.accounts = [agents.aliceSettings] }
    let result = agents.alice.act { $0.execute(line: line) }
    #expect(!result.isOK && !result.text.isEmpty)
  }

  @Test(
    "test_cparam_call_decode: a call is named by its number or its Call-ID; none is the current one",
    arguments: RxMode.allCases)
  func callParameter(mode: RxMode) throws {
    let agents = try CallControlTests.agents(mode: mode, isAsked: false)
    for _ in 0..<2 {
      try CallControlTests.run("d sip:bob@10.0.0.2", agents.alice)
      agents.run(milliseconds: 500)
    }
    let ids = agents.alice.act { $0.sortedCalls.map(\.sipCallID) }
    #expect(Set(ids).count == 2)
    let named = agents.alice.act { core in
      ["", "1", ids[0], "nobody"].map { name in (try? core.control.call(named: name))?.id.number }
    }
    #expect(named == [2, 1, 1, nil])
    try CallControlTests.run("/callfind \(ids[0])", agents.alice)
    #expect(agents.alice.act { $0.control.currentCall?.number } == 1)
    // The same call has the same name at its other end.
    #expect(agents.bob.act { $0.sortedCalls.map(\.sipCallID) } == ids)
  }

  @Test("test_cparam_ua_decode: an account is named by its number or its address, with or without sip:")
  func accountParameter() throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/uanew <sip:carol@10.0.0.1>;regint=0", agents.alice)
    for name in ["1", "sip:carol@10.0.0.1", "carol@10.0.0.1", "SIP:Carol@10.0.0.1"] {
      #expect(agents.alice.act { $0.account(name)?.aor } == "sip:carol@10.0.0.1", "\(name)")
    }
    #expect(agents.alice.act { $0.account("nobody@nowhere") } == nil)
  }

  @Test("an account's number is the one that reginfo shows, also when one before it is gone")
  func accountNumber() throws {
    let agents = try CallControlTests.agents()
    try CallControlTests.run("/uanew <sip:carol@10.0.0.1>;regint=0", agents.alice)
    try CallControlTests.run("/uadel sip:alice@10.0.0.1", agents.alice)
    try CallControlTests.run("/uanew <sip:dave@10.0.0.1>;regint=0", agents.alice)
    #expect(try CallControlTests.run("/reginfo", agents.alice).contains("\n0 - sip:carol@10.0.0.1"))
    let found = agents.alice.act { core in ["0", "1", "2", "-1"].map { core.account($0)?.aor } }
    #expect(found == ["sip:carol@10.0.0.1", "sip:dave@10.0.0.1", nil, nil])
  }
}
