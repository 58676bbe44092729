internal import Glibc
package import ModuleKit
internal import NetBase
internal import Runtime

extension ConfigFolder {
  /// What only shows when the modules are made: settings that one refuses, devices and files that are not there. Opens
  /// nothing.
  ///
  /// - Parameters:
  ///   - modules: all that are compiled in.
  ///   - hasErrors: whether the files themselves have errors, which keep the modules from being made.
  package func rehearse(modules: [any Module.Type], hasErrors: Bool = false) async -> [ConfigProblem] {
    var problems = self.lacking + self.missingFiles + self.missingSounds
    guard !hasErrors else { return problems }
    let listen = self.configuration.sipListen ?? SocketAddress(ipv4: 0, port: 0)
    let agent = UserAgent(
      AgentSettings(available: modules, configuration: self.configuration, listen: listen), name: "check")
    let found = await agent.rehearse(
      accounts: self.accounts.map { CallSettings(account: $0, configuration: self.configuration) })
    await agent.shutDown()
    if !found.hasCodec { problems.append(self.noCodec) }
    for (account, error) in found.refusals {
      let problem = self.problem(error, of: account.map { self.accounts[$0] })
      // What the config says of all accounts is said once, and so is that a file can't be read.
      if !problems.contains(where: { $0.isSameSetting(as: problem) }) { problems.append(problem) }
    }
    return problems + found.warnings.map { self.problem($0, .warning) }
  }

  /// What this machine lacks of what the files name, where nothing else would tell of it before a call: a network
  /// interface, an address that may be used, certificates of accounts, and folders for recordings.
  package var lacking: [ConfigProblem] {
    [self.unknownInterface, self.otherFamily].compactMap(\.self) + self.missingCertificates + self.unwritableRecordings
  }

  /// Without a codec the agent starts, and no call can be made.
  package var noCodec: ConfigProblem {
    ConfigLocation(file: "\(self.path)/config", line: 0).warning(CoreKeys.module.name, ModuleError.noCodec.message)
  }

  /// Where the words of an error came from: the first of them that is a key of the file, or a parameter of the account.
  ///
  /// - Parameter account: whose settings are meant.
  package func problem(_ error: any Error, of account: Account? = nil) -> ConfigProblem {
    self.problem((error as? ModuleError)?.message ?? "\(error)", .error, of: account)
  }

  private func problem(
    _ text: String, _ severity: ConfigProblem.Severity, of account: Account? = nil
  ) -> ConfigProblem {
    let words = text.split { $0 == " " || $0 == ":" }.map(String.init)
    let line = account.flatMap { $0.line > 0 ? self.location(of: $0) : nil }
    for key in words where key != CoreKeys.module.name {
      let isAccounts = account.map { Self.sets(key, $0) } ?? false
      guard let place = isAccounts ? line : self.configuration.places[key] else { continue }
      let isFirst = key == words.first
      return place.problem(
        severity, key, isFirst ? String(text.dropFirst(key.count).drop { $0 == ":" || $0 == " " }) : text)
    }
    if let line { return line.problem(severity, "account", text) }
    return ConfigLocation(file: "\(self.path)/config", line: 0).problem(severity, "config", text)
  }

  private static func sets(_ key: String, _ account: Account) -> Bool {
    switch key {
    case CoreKeys.audioSource.name: account.audioSource != nil
    case CoreKeys.audioPlayer.name: account.audioPlayer != nil
    case CoreKeys.videoSource.name: account.videoSource != nil
    case CoreKeys.videoDisplay.name: account.videoDisplay != nil
    case "mediaenc": account.mediaEncryption != nil
    case "medianat": account.mediaNAT != nil
    case "video_codecs": !account.videoCodecs.isEmpty
    default: false
    }
  }

  /// An address of ours that the family does not have which calls are limited to.
  private var otherFamily: ConfigProblem? {
    guard let family = self.configuration.netAf else { return nil }
    let listen = self.configuration.sipListen
    let interface = self.configuration.netInterface.flatMap { SocketAddress(host: $0, port: 0) }
    let named = [(CoreKeys.sipListen.name, listen), (CoreKeys.netInterface.name, interface)]
    for case (let key, let address?) in named where !address.isUnspecified && address.family != family {
      let place = self.configuration.places[key] ?? ConfigLocation(file: "\(self.path)/config", line: 0)
      return place.error(
        key, "\(address.host) is no \(family == .ipv6 ? "IPv6" : "IPv4") address, to which net_af (-4, -6) limits calls"
      )
    }
    return nil
  }

  private var unknownInterface: ConfigProblem? {
    let key = CoreKeys.netInterface.name
    guard let name = self.configuration.interfaceName, let place = self.configuration.places[key],
      unsafe if_nametoindex(name) == 0
    else { return nil }
    let known = Set((InterfaceAddress.current(withLoopback: true) ?? []).map(\.interface)).sorted()
    return place.error(
      key, "there is no network interface \"\(name)\": it takes one of \(known.joined(separator: ", ")), or an address")
  }

  private var missingCertificates: [ConfigProblem] {
    self.accounts.compactMap { account in
      guard let path = account.certificate, unsafe access(path, R_OK) != 0 else { return nil }
      return self.location(of: account).error("cert", "\(ConfigFileError(path: path, code: errno))")
    }
  }

  /// Files that calls are to be recorded in, and that can't be made or are played.
  private var unwritableRecordings: [ConfigProblem] {
    let configuration = self.configuration
    // No call is recorded in one that each account replaces by its own.
    let usesPlayer = self.accounts.isEmpty || self.accounts.contains { $0.audioPlayer == nil }
    let usesDisplay = self.accounts.isEmpty || self.accounts.contains { $0.videoDisplay == nil }
    let devices: [(key: ConfigKey, device: AudioDevice?)] = [
      (CoreKeys.audioPlayer, usesPlayer ? configuration.audioPlayer : nil),
      (CoreKeys.videoDisplay, usesDisplay ? configuration.videoDisplay : nil),
    ]
    var problems = devices.compactMap { key, device in
      configuration.places[key.name].flatMap {
        Self.unwritable(device, key, played: [configuration.audioSource, configuration.videoSource], at: $0)
      }
    }
    for account in self.accounts {
      let place = self.location(of: account)
      let played = [
        account.audioSource ?? configuration.audioSource, account.videoSource ?? configuration.videoSource,
      ]
      problems += [
        Self.unwritable(account.audioPlayer, CoreKeys.audioPlayer, played: played, at: place),
        Self.unwritable(account.videoDisplay, CoreKeys.videoDisplay, played: played, at: place),
      ].compactMap(\.self)
    }
    return problems
  }

  private static func unwritable(
    _ device: AudioDevice?, _ key: ConfigKey, played: [AudioDevice?], at place: ConfigLocation
  ) -> ConfigProblem? {
    guard let device, device.isFile, !device.device.isEmpty else { return nil }
    if let refusal = ConfigFileError(writing: device.device) {
      return place.error(key.name, "\(device.driver): \(refusal)")
    }
    guard played.contains(where: { $0.map { $0.isFile && isSameFile($0.device, device.device) } ?? false }) else {
      return nil
    }
    return place.error(
      key.name, "\(device.driver): \(device.device) is played too, and would be lost: name another file")
  }

  private func location(of account: Account) -> ConfigLocation {
    ConfigLocation(file: "\(self.path)/accounts", line: account.line)
  }

  /// Files of tones; without one a built-in tone is heard.
  private var missingSounds: [ConfigProblem] {
    CallTone.allCases.compactMap { tone in
      let key = "\(tone.rawValue)_aufile"
      guard let file = self.configuration.toneFiles[tone], file != "none", let place = self.configuration.places[key]
      else { return nil }
      let path = self.configuration.soundPath(file)
      guard unsafe access(path, R_OK) != 0 else { return nil }
      return place.warning(key, "\(ConfigFileError(path: path, code: errno)); a tone is heard instead")
    }
  }

  /// Files that SIP's connections need.
  private var missingFiles: [ConfigProblem] {
    let security = self.configuration.sipSecurity
    let files = [
      (CoreKeys.sipCertificate.name, security.certificate), (CoreKeys.sipCAFile.name, security.authorityFile),
      (CoreKeys.sipCAPath.name, security.authorityPath),
    ]
    return files.compactMap { key, path in
      guard let path, let place = self.configuration.places[key], unsafe access(path, R_OK) != 0 else { return nil }
      return place.error(key, "\(ConfigFileError(path: path, code: errno))")
    }
  }
}
