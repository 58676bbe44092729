internal import AllModules
internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Testing

@testable internal import UACore

/// The modules of this build, in their order.
private let shippedModules = allModules

@Suite("config folders")
struct ConfigFolderTests {
  private static let root = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }

  @Test("who has no HOME has his folder by the user database")
  func noHome() async {
    await #expect(processExitsWith: .success) {
      _ = unsafe unsetenv("HOME")
      let unset = ConfigFolder.defaultPath
      _ = unsafe setenv("HOME", "", 1)
      let isSound = unset.hasPrefix("/") && unset.hasSuffix("/.apus") && unset != "/.apus"
      exit(isSound && ConfigFolder.defaultPath == unset ? 0 : 1)
    }
  }

  @Test("Config/default is what the core and the modules declare (APUS_WRITE_CONFIG=1 writes it anew)")
  func drift() throws {
    let folder = "\(Self.root)/Config/default"
    if unsafe getenv("APUS_WRITE_CONFIG") != nil {
      for name in ["config", "accounts", "contacts"] { unsafe unlink("\(folder)/\(name)") }
      try ConfigFolder.create(at: folder, modules: shippedModules)
    }
    #expect(try ConfigFolder.readText("\(folder)/config") == DefaultConfig.text(modules: shippedModules))
    #expect(try ConfigFolder.readText("\(folder)/accounts") == DefaultConfig.accounts)
    #expect(try ConfigFolder.readText("\(folder)/contacts") == DefaultConfig.contacts)
    var problems: [ConfigProblem] = []
    _ = try ConfigFolder.load(path: folder, modules: shippedModules, problems: &problems)
    #expect(problems == [])
  }

  @Test("a generated config has no problems, and its commented-out lines are the defaults")
  func generated() {
    let text = DefaultConfig.text(modules: ConfigModules.all)
    var problems: [ConfigProblem] = []
    let configuration = Configuration.load(
      text: text, file: "config", modules: ConfigModules.all, problems: &problems)
    #expect(problems == [])
    #expect(configuration.activeModules == ConfigModules.all.map { $0.name })

    let keys = CoreKeys.all + ConfigModules.all.flatMap { $0.configKeys }
    let shown = text.split(separator: "\n").filter { $0.hasPrefix("#") && !$0.hasPrefix("# ") && !$0.hasPrefix("#-") }
    #expect(shown.count > 20)
    for line in shown {
      let entry = ConfigFile.parse(String(line.dropFirst()), path: "", problems: &problems).entries.first
      let key = keys.first { $0.name == entry?.key }
      let value = entry?.value ?? ""
      #expect(key?.defaultValue == "" || key?.defaultValue == value, "\(line)")
      #expect(key?.kind.normalised(value) != nil, "\(line)")
    }
    #expect(problems == [])
  }

  @Test("every key is in the generated config, with its help")
  func complete() {
    let text = DefaultConfig.text(modules: ConfigModules.all)
    for key in CoreKeys.sections.flatMap(\.keys) + ConfigModules.Opus.configKeys {
      #expect(text.contains("\n# \(key.help)"), "\(key.name)")
      #expect(text.contains("\(key.name) "), "\(key.name)")
    }
  }

  @Test("the shipped folders have no problems", arguments: ["demo-alice", "demo-bob", "echo"])
  func shipped(name: String) throws {
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(
      path: "\(Self.root)/Config/\(name)", modules: shippedModules, problems: &problems)
    #expect(problems == [])
    #expect(folder.accounts.count == 1)
    #expect(folder.accounts.first?.registrationInterval == 0)
    #expect(folder.accounts.first?.address.port == folder.configuration.sipListen?.port)
    #expect(folder.contacts.count == 2)
  }

  @Test("the demonstration's two sides are encrypted and know each other")
  func demo() throws {
    var problems: [ConfigProblem] = []
    let alice = try ConfigFolder.load(
      path: "\(Self.root)/Config/demo-alice", modules: shippedModules, problems: &problems)
    let bob = try ConfigFolder.load(
      path: "\(Self.root)/Config/demo-bob", modules: shippedModules, problems: &problems)
    #expect(alice.accounts.first?.mediaEncryption == "dtls_srtp")
    #expect(bob.accounts.first?.mediaEncryption == "dtls_srtp")
    #expect(bob.accounts.first?.answerMode == .auto)
    #expect(alice.contacts.first?.address.aor == bob.accounts.first?.address.aor)
    #expect(bob.contacts.first?.address.aor == alice.accounts.first?.address.aor)
    #expect(!alice.configuration.rtpPorts.overlaps(bob.configuration.rtpPorts))
  }

  @Test("a new folder loads without problems, and its accounts are for the owner's eyes only")
  func create() throws {
    let path = try TemporaryFolder()
    let folder = "\(path.path)/new"
    try ConfigFolder.create(at: folder, modules: ConfigModules.all)
    var problems: [ConfigProblem] = []
    let loaded = try ConfigFolder.load(path: folder, modules: ConfigModules.all, problems: &problems)
    #expect(problems == [])
    #expect(loaded.accounts.isEmpty)
    var status = stat()
    #expect(unsafe stat("\(folder)/accounts", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)

    try path.write("# mine", to: "new/config")
    try ConfigFolder.create(at: folder, modules: ConfigModules.all)
    #expect(try ConfigFolder.readText("\(folder)/config") == "# mine")
  }

  @Test("a sound file beside the config is found there for a source; the device for alerts is written to, not read")
  func soundFiles() throws {
    let path = try TemporaryFolder()
    try path.write(
      "module aufile\naudio_source aufile,a.wav\naudio_alert aufile,b.wav\nvideo_source aufile,a.wav\n", to: "config")
    try path.write("<sip:a@b>;audio_source=aufile,a.wav;video_source=aufile,a.wav\n", to: "accounts")
    for name in ["a.wav", "b.wav"] { try path.write("x", to: name) }
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: ConfigModules.all, problems: &problems)
    #expect(problems == [])
    #expect(folder.configuration.audioSource?.device == "\(path.path)/a.wav")
    #expect(folder.configuration.audioAlert?.device == "b.wav")
    #expect(folder.accounts.first?.audioSource?.device == "\(path.path)/a.wav")
    #expect(folder.configuration.videoSource?.device == "\(path.path)/a.wav")
    #expect(folder.accounts.first?.videoSource?.device == "\(path.path)/a.wav")
  }

  @Test(
    "passwords that everybody can read are a warning at the first line that has one",
    arguments: ["auth_pass", "uas_pass"])
  func readablePasswords(_ parameter: String) throws {
    let path = try TemporaryFolder()
    try path.write("", to: "config")
    try path.write("# auth_pass=none\n\n<sip:a@b>\n<sip:c@d>;\(parameter)=x\n<sip:e@f>;auth_pass=y\n", to: "accounts")
    func warnings() throws -> [String] {
      var problems: [ConfigProblem] = []
      _ = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
      return problems.filter { $0.message.contains("passwords") }.map(\.description)
    }
    let file = "\(path.path)/accounts"
    #expect(unsafe chmod(file, 0o644) == 0)
    #expect(
      try warnings() == [
        "\(file):4: warning: account: every user of this machine can read the passwords in it: chmod 600 \(file)"
      ])
    #expect(unsafe chmod(file, 0o600) == 0)
    #expect(try warnings() == [])
  }

  /// A module of baresip's that this build has without its library.
  private struct Lacking: Module {
    static let name = "alsa"
    static let summary = "nothing"
    static let absence: String? = "not in this build, it needs a trait"
    init(settings: ModuleSettings) throws(ModuleError) {}
    var facets: [Facet] { [] }
  }

  @Test("what this build lacks of a baresip folder is one warning for each line that names it")
  func lacking() {
    var problems: [ConfigProblem] = []
    let text = "module alsa.so\nmodule alsa\naudio_source alsa,default\naudio_player alsa,default\n"
    let configuration = Configuration.load(text: text, file: "config", modules: [Lacking.self], problems: &problems)
    #expect(
      problems.map(\.description) == [
        "config:1: warning: module: alsa: not in this build, it needs a trait; the line is ignored",
        "config:3: warning: audio_source: alsa: not in this build, it needs a trait; calls go without it",
        "config:4: warning: audio_player: alsa: not in this build, it needs a trait; calls go without it",
      ])
    #expect(configuration.audioSource == nil && !configuration.activeModules.contains("alsa"))
  }

  @Test("an agent's identifier is made once and stays; baresip's is taken, and what is none is a warning")
  func identifier() throws {
    let path = try TemporaryFolder()
    try path.write("", to: "config")
    func load() throws -> (folder: ConfigFolder, problems: [String]) {
      var problems: [ConfigProblem] = []
      let folder = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
      return (folder, problems.filter { $0.key == "uuid" }.map(\.description))
    }
    let file = "\(path.path)/uuid"
    let made = try load().folder.persistentInstanceID()
    #expect(try ConfigFolder.readText(file) == made && made.utf8.count == 36)
    let again = try load()
    #expect(again.folder.persistentInstanceID() == made && again.problems == [])

    for blanks in ["\n", " \t\r\n"] {
      try path.write("\(blanks)3F2504E0-4f89-11d3-9a0c-0305e82c3301\(blanks)", to: "uuid")
      let found = try load()
      #expect(found.folder.persistentInstanceID() == "3f2504e0-4f89-11d3-9a0c-0305e82c3301" && found.problems == [])
    }
    let malformed = [
      "apus", "\n", "3f2504e0-4f89-11d3-9a0c-0305e82c330g", "3f2504e04f8911d39a0c0305e82c3301", String(made.dropLast()),
      "\(made) \(made)",
    ]
    for text in malformed {
      try path.write(text, to: "uuid")
      let found = try load()
      #expect(
        found.problems == [
          "\(file):1: warning: uuid: it takes one line with a UUID; a new one is made for this start"
        ])
      // What somebody wrote there stays.
      #expect(found.folder.persistentInstanceID().utf8.count == 36)
      #expect(try ConfigFolder.readText(file) == text)
    }
    unsafe unlink(file)
    #expect(unsafe mkdir(file, 0o700) == 0)
    let unreadable = try load()
    #expect(unreadable.problems == ["\(file): warning: uuid: Is a directory; a new one is made for this start"])
    #expect(unreadable.folder.persistentInstanceID().utf8.count == 36)
  }

  @Test("an empty file is no identifier and gives way to one, which is all that is left in the folder")
  func emptyIdentifier() throws {
    let path = try TemporaryFolder()
    try path.write("", to: "config")
    try path.write("", to: "uuid")
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    let made = folder.persistentInstanceID()
    #expect(problems.allSatisfy { $0.key != "uuid" })
    #expect(try ConfigFolder.readText("\(path.path)/uuid") == made)
    #expect(unsafe access("\(path.path)/uuid.\(made)", F_OK) != 0)
  }

  @Test("of two starts in one new folder both have the identifier that was written first")
  func twoStarts() throws {
    let path = try TemporaryFolder()
    try path.write("", to: "config")
    var problems: [ConfigProblem] = []
    let first = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    let second = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    #expect(first.persistentInstanceID() == second.persistentInstanceID())
  }

  @Test("in a folder that is not there to be written the identifier is for this start only")
  func unwritable() throws {
    let folder: ConfigFolder
    do {
      let path = try TemporaryFolder()
      try path.write("", to: "config")
      var problems: [ConfigProblem] = []
      folder = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    }
    #expect(folder.persistentInstanceID() != folder.persistentInstanceID())
  }

  @Test("without accounts there is a warning, without a config nothing")
  func missing() throws {
    let path = try TemporaryFolder()
    var problems: [ConfigProblem] = []
    let error = #expect(throws: ConfigFileError.self) {
      try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    }
    #expect(error?.isMissing == true)
    #expect(error?.description == "\(path.path)/config: No such file or directory")
    try path.write("", to: "config")
    _ = try ConfigFolder.load(path: path.path, modules: [], problems: &problems)
    #expect(problems.map(\.severity) == [.warning])
  }

  @Test("what only shows when modules are made is found without opening anything, each with its line")
  func rehearsal() async throws {
    let path = try TemporaryFolder()
    try path.write(
      "module g711\nmodule aufile\nmodule dtls_srtp\nsip_cafile nothere.pem\nctrl_tcp_listen foo\nmodule ctrl_tcp\n",
      to: "config")
    try path.write(
      "<sip:a@x>;audio_codecs=opus,pcmu\n<sip:b@x>;audio_source=aufile,nothere.wav;audio_codecs=pcmu\n", to: "accounts")
    var problems: [ConfigProblem] = []
    var folder = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
    #expect(
      problems.map(\.description) == [
        "\(path.path)/accounts:1: warning: audio_codecs: opus: no module that is switched on brings it; calls go without it"
      ])
    #expect(folder.accounts.map { $0.audioCodecs.map(\.name) } == [["pcmu"], ["pcmu"]])
    var found = await folder.rehearse(modules: shippedModules)
    #expect(found.map(\.line) == [4, 5] && found.map(\.key) == ["sip_cafile", "ctrl_tcp_listen"], "\(found)")
    folder.configuration.moduleValues["ctrl_tcp_listen"] = "127.0.0.1:0"
    found = await folder.rehearse(modules: shippedModules)
    #expect(found.map(\.line) == [4, 2] && found.last?.file == "\(path.path)/accounts", "\(found)")
    #expect(found.last?.key == "audio_source" && found.last?.severity == .error, "\(found)")
    #expect(found.last?.message.hasPrefix("aufile: \(path.path)/nothere.wav") == true, "\(found)")
  }

  @Test("a source's file that is nowhere has the folder in its path in which it was missed; another device has none")
  func missingSource() throws {
    let path = try TemporaryFolder()
    try path.write(
      "module aufile\nmodule ausine\naudio_path \(path.path)/sounds\naudio_source aufile,none.wav\n", to: "config")
    try path.write("<sip:a@b>;audio_source=aufile,neither.wav\n<sip:c@d>;audio_source=ausine,440.5\n", to: "accounts")
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: ConfigModules.all, problems: &problems)
    #expect(problems == [])
    #expect(folder.configuration.audioSource?.device == "\(path.path)/sounds/none.wav")
    #expect(folder.accounts.map { $0.audioSource?.device } == ["\(path.path)/sounds/neither.wav", "440.5"])
  }

  @Test("what this machine lacks is told before the start, with its file, line and key")
  func lackingHere() throws {
    let path = try TemporaryFolder()
    try path.write(
      "module aufile\nnet_interface zz0\naudio_player aufile,/nope/a.wav\naudio_alert aufile,/nope/d.wav\n",
      to: "config")
    try path.write(
      "<sip:a@x>;cert=/nope.pem\n<sip:b@x>;audio_player=aufile,/nope/b.wav\n"
        + "<sip:c@x>;audio_player=aufile,\(path.path)/c.wav\n<sip:d@x>;audio_player=aufile,\(path.path)\n",
      to: "accounts")
    var problems: [ConfigProblem] = []
    var folder = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
    #expect(problems == [])
    let found = folder.lacking.map(\.description)
    let interface = "error: net_interface: there is no network interface"
    #expect(found.first?.hasPrefix("\(path.path)/config:2: \(interface) \"zz0\": it takes one of ") == true, "\(found)")
    #expect(found.first?.hasSuffix(", or an address") == true, "\(found)")
    #expect(
      Array(found.dropFirst()) == [
        "\(path.path)/accounts:1: error: cert: /nope.pem: No such file or directory",
        "\(path.path)/config:3: error: audio_player: aufile: /nope/a.wav: No such file or directory",
        "\(path.path)/accounts:2: error: audio_player: aufile: /nope/b.wav: No such file or directory",
        "\(path.path)/accounts:4: error: audio_player: aufile: \(path.path): Is a directory",
      ])
    // The check looks, and makes nothing.
    let recording = "\(path.path)/c.wav"
    #expect(unsafe access(recording, F_OK) != 0)
    folder.configuration.override(netInterface: "zz1")
    #expect(folder.lacking.first?.description.hasPrefix("-n: \(interface) \"zz1\"") == true)
    folder.configuration.override(netInterface: "127.0.0.1")
    #expect(folder.lacking.count == found.count - 1)
  }

  @Test(
    "an address of ours must be of the family that calls are limited to",
    arguments: [
      ("sip_listen 127.0.0.1:5080", true), ("sip_listen 0.0.0.0:5080", false), ("sip_listen [::1]:5080", false),
      ("net_interface 127.0.0.1", true), ("net_interface lo", false),
    ] as [(String, Bool)])
  func otherFamily(line: String, isRefused: Bool) throws {
    let path = try TemporaryFolder()
    try path.write("module g711\n\(line)\n", to: "config")
    var problems: [ConfigProblem] = []
    var folder = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
    #expect(folder.lacking.isEmpty)
    folder.configuration.override(netAf: .ipv6)
    #expect(folder.lacking.count == (isRefused ? 1 : 0), "\(folder.lacking)")
    let key = line.prefix { $0 != " " }
    let told = "\(path.path)/config:2: error: \(key): 127.0.0.1 is no IPv6 address"
    #expect(folder.lacking.first.map { $0.description.hasPrefix(told) } ?? !isRefused)
  }

  @Test("a file of the config's that can't be recorded in is no error where each account has one of its own")
  func replacedPlayer() throws {
    let path = try TemporaryFolder()
    try path.write("module aufile\naudio_player aufile,/nope/a.wav\n", to: "config")
    let own = "<sip:a@x>;audio_player=aufile,\(path.path)/a.wav\n"
    for (accounts, count) in [(own, 0), (own + "<sip:b@x>\n", 1), ("", 1)] {
      try path.write(accounts, to: "accounts")
      var problems: [ConfigProblem] = []
      let folder = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
      #expect(folder.lacking.count == count, "\(accounts)")
    }
  }

  @Test("a folder that switches no codec on is warned of in the words of a call that fails for it")
  func noCodec() async throws {
    let path = try TemporaryFolder()
    let sentence =
      "\(path.path)/config: warning: module: no codec is active: add a module line, for example \"module g711\""
    let cases: [(config: String, expected: [String])] = [("module aufile\n", [sentence]), ("module g711\n", [])]
    for (config, expected) in cases {
      try path.write(config, to: "config")
      var problems: [ConfigProblem] = []
      let folder = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
      #expect(await folder.rehearse(modules: shippedModules).map(\.description) == expected)
    }
  }

  @Test("an account that an agent refuses at its start is named by its line and its parameter")
  func refusedAccount() async throws {
    let path = try TemporaryFolder()
    try path.write("module g711\nmodule ausine\naudio_source ausine,440\n", to: "config")
    try path.write("<sip:a@x>;regint=0\n<sip:b@x>;regint=0;audio_source=ausine,abc\n", to: "accounts")
    var problems: [ConfigProblem] = []
    let folder = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
    let agent = UserAgent(
      AgentSettings(
        available: shippedModules, configuration: folder.configuration,
        listen: SocketAddress(ipv4: 0x7F00_0001, port: 0)))
    let accounts = folder.accounts.map { CallSettings(account: $0, configuration: folder.configuration) }
    let thrown = await #expect(throws: ModuleError.self) { try await agent.start(accounts: accounts) }
    #expect(await agent.refusedAccount == 1)
    await agent.shutDown()
    let problem = folder.problem(try #require(thrown), of: folder.accounts[1]).description
    #expect(problem.hasPrefix("\(path.path)/accounts:2: error: audio_source: ausine: \"abc\" is no "), "\(problem)")
  }

  @Test(
    "passwords that everybody can read are warned of, wherever they stand",
    arguments: ["auth_pass=x", "stunpass=x", "stunserver=turn:u:p@192.0.2.1", "stunserver=turn:192.0.2.1"])
  func readable(parameter: String) throws {
    let path = try TemporaryFolder()
    try path.write("module ice\n", to: "config")
    try path.write("<sip:a@x>;\(parameter)\n", to: "accounts")
    var problems: [ConfigProblem] = []
    _ = try ConfigFolder.load(path: path.path, modules: shippedModules, problems: &problems)
    #expect(problems.count { $0.message.contains("chmod 600") } == (parameter.hasSuffix("turn:192.0.2.1") ? 0 : 1))
  }
}
