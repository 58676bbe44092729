import Apus
import Testing

@Suite struct ConfigurationTests {
  /// A mistake, and how the sentence about it begins.
  struct Mistake: Sendable, CustomTestStringConvertible {
    let sentence: String
    let make: @Sendable (inout UserAgent.Configuration) -> Void

    init(_ sentence: String, _ make: @escaping @Sendable (inout UserAgent.Configuration) -> Void) {
      (self.sentence, self.make) = (sentence, make)
    }

    var testDescription: String { self.sentence }
  }

  static let mistakes = [
    Mistake("listen nowhere: ") { $0.listen = "nowhere" },
    Mistake("identity: ") { $0.identity = "garbage" },
    Mistake("sampleRate 7999: ") { $0.sampleRate = 7999 },
    Mistake("sampleRate 48001: ") { $0.sampleRate = 48_001 },
    Mistake("maximumCalls -1: ") { $0.maximumCalls = -1 },
    Mistake("codecs, number 2: ") { $0.codecs = ["opus", "opus/fast"] },
    Mistake("codec nosuch: ") { $0.codecs = ["nosuch"] },
    Mistake("video codec nosuch") { ($0.hasVideo, $0.videoCodecs) = (true, ["nosuch"]) },
    Mistake("account, address: ") { $0.account = UserAgent.Account(address: "garbage") },
    Mistake("account, outboundProxy: ") { $0.account?.outboundProxy = "garbage" },
    Mistake("account, registrationInterval -1: ") { $0.account?.registrationInterval = -1 },
    Mistake("account, displayName: ") { $0.account?.displayName = "Alice\r\nVia: x" },
    Mistake("settings, rtp_timeout: ") { $0.settings["rtp_timeout"] = "soon" },
    Mistake("settings, rtp_timeuot: ") { $0.settings["rtp_timeuot"] = "30" },
    Mistake("settings, sip_listen: ") { $0.settings["sip_listen"] = "0.0.0.0:5060" },
    Mistake("settings, redial_attempts: ") { $0.settings["redial_attempts"] = "3" },
    Mistake("settings, redial_delay: ") { $0.settings["redial_delay"] = "1" },
    Mistake("settings, module: ") { $0.settings["module"] = "httpd" },
    Mistake("settings, sip_cafile: ") { $0.settings["sip_cafile"] = "x\"\nrtp_timeout \"30" },
    Mistake("settings: ") { $0.settings["rtp_timeout 30\nsip_cafile"] = "x" },
  ]

  @Test("a mistake is one sentence, without a password", arguments: mistakes)
  func refuses(mistake: Mistake) async throws {
    var configuration = UserAgent.Configuration()
    configuration.listen = "127.0.0.1:0"
    configuration.account = UserAgent.Account(address: "sip:alice@127.0.0.1", password: "swordfish")
    if mistake.sentence.hasPrefix("identity") { configuration.account = nil }
    configuration.account?.registrationInterval = 0
    mistake.make(&configuration)
    let error = await #expect(throws: ApusError.self) { _ = try await UserAgent(configuration) }
    #expect(error?.code == .configuration)
    #expect(error?.message.hasPrefix(mistake.sentence) == true, "\(String(describing: error))")
    #expect(error?.message.contains("swordfish") == false)
  }

  @Test("what is printed of a configuration has no password in it")
  func printed() {
    var configuration = UserAgent.Configuration()
    configuration.identity = "sip:alice:swordfish@example.com"
    configuration.iceServers = ["turn:alice:swordfish@turn.example.com", "alice:swordfish"]
    configuration.settings = ["whip_client_token": "swordfish"]
    configuration.account = UserAgent.Account(address: "sip:alice:swordfish@example.com", password: "swordfish")
    configuration.account?.outboundProxy = "sip:alice:swordfish@proxy.example.com"
    var dumped = ""
    dump(configuration, to: &dumped)
    dump(configuration.account, to: &dumped)
    for text in ["\(configuration)", String(reflecting: configuration), dumped] {
      #expect(!text.contains("swordfish"), "\(text)")
      #expect(text.contains("turn.example.com") && text.contains("proxy.example.com") && text.contains("whip_client"))
    }
  }

  @Test("a setting that means nothing to a program is a warning", .timeLimit(.minutes(1)))
  func idleSettings() async throws {
    let idle = [
      "drain_timeout": "5", "statmode_default": "call", "menu_clean_number": "yes", "audio_path": "/tmp",
      "http_listen": "127.0.0.1:0", "toll_prefixes": "0900", "call_max_transfers": "2",
      "rtp_single_port": "yes", "rtp_rx_workers": "2",
    ]
    let agent = try await testAgent("alice") { ($0.settings, $0.receiveMode) = (idle, .thread) }
    await agent.shutDown()
    var warnings: [String] = []
    for await warning in agent.warnings { warnings.append(warning) }
    #expect(warnings == idle.keys.sorted().map { "settings, \($0): it has no effect in a program" })
    let alerted = try await testAgent("alice") {
      $0.settings = ["audio_alert": "aubridge,alert", "audio_path": "/tmp", "sip_tcp_keepalive": "0"]
    }
    await alerted.shutDown()
    for await warning in alerted.warnings { Issue.record("\(warning)") }
  }

  @Test("an agent that can't start listens nowhere", .timeLimit(.minutes(1)))
  func startFails() async throws {
    // An address of its own: on another's the port may be the next test's as soon as it is free.
    let first = try await testAgent("alice") { $0.listen = "127.0.7.3:0" }
    let address = await first.address
    await first.shutDown()
    let failure = await #expect(throws: ApusError.self) {
      try await testAgent("alice") { ($0.listen, $0.settings) = (address, ["sip_certificate": "/missing.pem"]) }
    }
    #expect(failure?.message.contains("/missing.pem") == true, "\(String(describing: failure))")
    let second = try await testAgent("alice") { $0.listen = address }
    #expect(await second.address == address)
    await second.shutDown()
  }

  @Test("settings of a config file hold, and one that has no effect gives a warning", .timeLimit(.minutes(1)))
  func settings() async throws {
    var configuration = UserAgent.Configuration()
    configuration.listen = "127.0.0.1:0"
    configuration.settings = ["rtp_ports": "21000-21999", "audio_buffer": "20-160"]
    let agent = try await UserAgent(configuration)
    let offer = try await agent.connection(to: "bob").offer()
    let candidates = offer.split(separator: "\r\n").filter { $0.hasPrefix("a=candidate:") }
    #expect(!candidates.isEmpty)
    for candidate in candidates {
      let port = Int(candidate.split(separator: " ")[5])
      #expect(port.map { (21_000...21_999).contains($0) } == true, "\(candidate)")
    }
    var warnings = agent.warnings.makeAsyncIterator()
    #expect(await warnings.next()?.hasPrefix("settings, audio_buffer: ") == true)
    await agent.shutDown()
  }
}
