internal import AllModules
internal import ModuleKit
internal import NetBase
internal import UACore

/// What the core is made with, as a program's configuration says it.
struct CoreSettings: Sendable {
  let listen: SocketAddress
  let core: UACore.Configuration
  /// How calls are made and taken.
  let calls: CallSettings
  /// What has no effect, a sentence each.
  let warnings: [String]

  /// - Throws: what is wrong, in one sentence without a password.
  init(_ configuration: UserAgent.Configuration) throws(ApusError) {
    guard let listen = SocketAddress(configuration.listen, defaultPort: 0) else {
      throw ApusError(
        .configuration, "listen \(configuration.listen): it takes an address and a port, for example 127.0.0.1:5060")
    }
    guard (8000...48_000).contains(configuration.sampleRate) else {
      throw ApusError(.configuration, "sampleRate \(configuration.sampleRate): it takes 8000 to 48000")
    }
    if let maximum = configuration.maximumCalls, maximum < 0 {
      throw ApusError(.configuration, "maximumCalls \(maximum): it takes a number, or 0 for no limit")
    }
    (self.core, self.warnings) = try Self.core(configuration)
    self.listen = self.core.listenAddress(listen)
    self.calls = try Self.calls(configuration)
  }

  // MARK: The core

  /// Keys of a config file that properties, or the program itself, stand for.
  private static let heirs = [
    "sip_listen": "listen", "rtp_rxmode": "receiveMode", "call_max_calls": "maximumCalls",
    "ice_policy": "usesRelaysOnly", "audio_source": "Call.play", "audio_player": "Call.audio",
    "video_source": "Call.send", "video_display": "Call.video", "redial_attempts": "UserAgent.call, again",
    "redial_delay": "UserAgent.call, again",
  ]

  /// Keys that only a person at the controls, or a process that ends, has a use for.
  private static let keysOfPeople: Set<String> = [
    "drain_timeout", "statmode_default", "menu_clean_number", "sip_autoanswer_method", "module_path", "toll_prefixes",
    "call_max_transfers",
  ]

  /// Keys that only modules have which a program has not.
  private static let keysOfOtherModules: Set<String> = {
    let usual = allModules.filter { usualModuleNames.contains($0.name) }.flatMap { $0.configKeys.map(\.name) }
    return Set(allModules.flatMap { $0.configKeys.map(\.name) }).subtracting(usual)
  }()

  /// Keys that switch modules on.
  private static let moduleKeys = ["module", "module_tmp", "module_app"]

  private static func core(
    _ configuration: UserAgent.Configuration
  ) throws(ApusError) -> (UACore.Configuration, [String]) {
    let text = try self.configFile(configuration.settings)
    let present = usualModuleNames.filter { name in allModules.contains { $0.name == name && $0.absence == nil } }
    var problems: [ConfigProblem] = []
    var core = UACore.Configuration.load(
      text: text, file: "settings", modules: allModules, preloaded: present, problems: &problems)
    if let problem = problems.first(where: { $0.severity == .error }) {
      throw ApusError(.configuration, "settings, \(problem.key): \(problem.message)")
    }
    core.activeModules = usualModuleNames
    core.rxMode = configuration.receiveMode.core
    core.callMaxCalls = configuration.maximumCalls == 0 ? nil : configuration.maximumCalls
    if configuration.settings["call_hold_other_calls"] == nil { core.callHoldOtherCalls = false }
    if configuration.usesRelaysOnly { core.moduleValues["ice_policy"] = "relay" }
    let idle = self.idleKeys(of: configuration).map { "settings, \($0): it has no effect in a program" }
    return (core, problems.map { "settings, \($0.key): \($0.message)" } + idle)
  }

  /// Which keys of `settings` change nothing here.
  private static func idleKeys(of configuration: UserAgent.Configuration) -> [String] {
    let settings = configuration.settings
    return settings.keys.sorted().filter { key in
      if self.keysOfPeople.contains(key) || self.keysOfOtherModules.contains(key) { return true }
      return switch key {
      case "rtp_single_port": configuration.receiveMode == .thread
      case "rtp_rx_workers": configuration.receiveMode != .pool
      // Only alert tones are looked for there.
      case "audio_path": settings["audio_alert"] == nil
      default: false
      }
    }
  }

  /// The settings as lines of a config file.
  private static func configFile(_ settings: [String: String]) throws(ApusError) -> String {
    var text = ""
    for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
      guard !key.isEmpty, key.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }) else {
        throw ApusError(.configuration, "settings: a key has letters, digits and _ only, for example rtp_ports")
      }
      guard !self.moduleKeys.contains(key) else {
        throw ApusError(.configuration, "settings, \(key): a program has the same modules always; leave it out")
      }
      if let heir = self.heirs[key] {
        throw ApusError(.configuration, "settings, \(key): in a program that is \(heir)")
      }
      guard !value.contains(where: { $0 == "\"" || $0.isNewline }) else {
        throw ApusError(.configuration, "settings, \(key): a value is one line without quotes")
      }
      text += "\(key) \"\(value)\"\n"
    }
    return text
  }

  // MARK: Calls

  private static func calls(_ configuration: UserAgent.Configuration) throws(ApusError) -> CallSettings {
    var calls = try self.caller(configuration)
    calls.mediaEncryption = configuration.encryption == .none ? nil : configuration.encryption.rawValue
    for (place, name) in configuration.codecs.enumerated() {
      guard let codec = CodecPreference(name) else {
        throw ApusError(
          .configuration,
          "codecs, number \(place + 1): \"\(name)\" is not allowed: a codec is NAME, NAME/RATE or NAME/RATE/CHANNELS")
      }
      calls.codecs.append(codec)
    }
    calls.usesRTCPMux = configuration.multiplexesRTCP
    calls.answersAtOnce = configuration.answersAtOnce
    if configuration.hasVideo {
      let screen = VideoDevice(driver: ProgramVideo.name, device: "")
      (calls.videoSource, calls.videoDisplay) = (screen, screen)
      calls.videoCodecs = configuration.videoCodecs
    }
    for (place, text) in configuration.iceServers.enumerated() {
      do throws(STUNServerURI.Refusal) { calls.natServers.append(try STUNServerURI(text)) } catch {
        // Without the text: it may have a password in it.
        throw ApusError(.configuration, "iceServers, number \(place + 1): \(error.message)")
      }
    }
    return calls
  }

  /// Who calls; audio is the program's.
  private static func caller(_ configuration: UserAgent.Configuration) throws(ApusError) -> CallSettings {
    let device = AudioDevice(driver: ProgramAudio.name, device: "")
    if let account = configuration.account {
      let line = try account.line()
      var calls = CallSettings(identity: line.address.aor, source: device, player: device)
      (calls.account, calls.displayName) = (line, line.displayName)
      return calls
    }
    guard let address = UACore.Account(uri: configuration.identity)?.address else {
      // Without the text, for the same reason.
      throw ApusError(.configuration, "identity: it takes a SIP URI, for example sip:alice@example.com")
    }
    return CallSettings(identity: "\(address)", source: device, player: device)
  }
}

extension UserAgent.ReceiveMode {
  fileprivate var core: RxMode {
    switch self {
    case .main: .main
    case .thread: .thread
    case .pool: .pool
    }
  }
}
