internal import Glibc
package import ModuleKit
internal import NetBase

extension ConfigFolder {
  /// What only shows when the modules are made: settings that one refuses, devices and files that are not there. Opens
  /// nothing.
  ///
  /// - Parameter modules: all that are compiled in.
  package func rehearse(modules: [any Module.Type]) async -> [ConfigProblem] {
    let listen = self.configuration.sipListen ?? SocketAddress(ipv4: 0, port: 0)
    let agent = UserAgent(
      AgentSettings(available: modules, configuration: self.configuration, listen: listen), name: "check")
    let found = await agent.rehearse(
      accounts: self.accounts.map { CallSettings(account: $0, configuration: self.configuration) })
    await agent.shutDown()
    var problems = self.missingFiles
    for (account, error) in found {
      let problem = self.problem(error, of: account.map { self.accounts[$0] })
      // What the config says of all accounts is said once.
      if !problems.contains(problem) { problems.append(problem) }
    }
    return problems
  }

  /// Where the words of an error came from: the first of them that is a key of the file.
  ///
  /// - Parameter account: whose settings are meant.
  package func problem(_ error: any Error, of account: Account? = nil) -> ConfigProblem {
    let text = (error as? ModuleError)?.message ?? "\(error)"
    let words = text.split { $0 == " " || $0 == ":" }.map(String.init)
    let key = words.first { $0 != CoreKeys.module.name && self.configuration.places[$0] != nil }
    if let key, let place = self.configuration.places[key], !(account.map { Self.sets(key, $0) } ?? false) {
      return place.error(key, key == words.first ? String(text.dropFirst(key.count + 1)) : text)
    }
    if let account, account.line > 0 {
      return ConfigLocation(file: "\(self.path)/accounts", line: account.line).error("account", text)
    }
    return ConfigLocation(file: "\(self.path)/config", line: 0).error("config", text)
  }

  private static func sets(_ key: String, _ account: Account) -> Bool {
    switch key {
    case CoreKeys.audioSource.name: account.audioSource != nil
    case CoreKeys.audioPlayer.name: account.audioPlayer != nil
    case CoreKeys.videoSource.name: account.videoSource != nil
    case CoreKeys.videoDisplay.name: account.videoDisplay != nil
    default: false
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
