package import ModuleKit
internal import NetBase
internal import SIPStack

extension Configuration {
  /// Reads a config file's text against the core's keys and those of `modules`.
  ///
  /// Every problem is reported, and a value that isn't allowed is replaced by its default.
  ///
  /// - Parameters:
  ///   - modules: all that are compiled in; their keys are valid whether they are switched on or not.
  ///   - preloaded: names that are switched on before the file's (`-m`).
  package static func load(
    text: String, file: String, modules: [any Module.Type], preloaded: [String] = [],
    problems: inout [ConfigProblem]
  ) -> Configuration {
    var reading = Reading(modules: modules)
    for name in preloaded {
      reading.switchOn(name, at: ConfigLocation(file: "-m", line: 0), key: "module", problems: &problems)
    }
    let parsed = ConfigFile.parse(text, path: file, problems: &problems)
    for entry in parsed.entries { reading.take(entry, at: parsed.location(of: entry), problems: &problems) }
    let configuration = reading.finish(problems: &problems)
    problems.sortLines(of: file)
    return configuration
  }
}

extension [ConfigProblem] {
  /// Brings one file's problems, which are the last ones, into the order of their lines.
  fileprivate mutating func sortLines(of file: String) {
    let start = self.firstIndex { $0.file == file } ?? self.endIndex
    self[start...].sort { $0.line < $1.line }
  }
}

/// One pass over a config file.
private struct Reading {
  private let modules: [any Module.Type]
  private let moduleKeys: [String: ConfigKey]
  private var values = CoreValues()
  private var moduleValues: [String: String] = [:]
  private var active: [String] = []
  private var dnsServers: [SocketAddress] = []
  private var dnsFallbacks: [SocketAddress] = []
  /// Where each key stood first.
  private var seen: [String: ConfigLocation] = [:]

  private static let coreKeys = Dictionary(CoreKeys.all.map { ($0.name, $0) }) { first, _ in first }

  /// Keys whose values are drivers and their devices.
  private static let devices = [
    CoreKeys.audioPlayer, CoreKeys.audioSource, CoreKeys.audioAlert, CoreKeys.videoSource, CoreKeys.videoDisplay,
  ]

  init(modules: [any Module.Type]) {
    self.modules = modules
    self.moduleKeys = Dictionary(modules.flatMap { $0.configKeys }.map { ($0.name, $0) }) { first, _ in first }
  }

  mutating func take(_ entry: ConfigFile.Entry, at location: ConfigLocation, problems: inout [ConfigProblem]) {
    guard let key = Self.coreKeys[entry.key] ?? self.moduleKeys[entry.key] else {
      self.takeUnknown(entry.key, at: location, problems: &problems)
      return
    }
    guard let value = entry.value else {
      let hint = key.purpose ?? "It takes \(key.kind.allowed)"
      problems.append(location.warning(key.name, "it has no value; the line is ignored. \(hint)"))
      return
    }
    if !key.isRepeatable, let first = self.seen[key.name] {
      problems.append(location.warning(key.name, "it stands in line \(first.line) too; this one is ignored"))
      return
    }
    self.seen[key.name] = location
    guard let plain = key.kind.normalised(value) else {
      problems.append(location.error(key.name, key.refusal(of: value)))
      return
    }
    switch key.name {
    case CoreKeys.module.name, CoreKeys.moduleTmp.name, CoreKeys.moduleApp.name:
      self.switchOn(plain, at: location, key: key.name, problems: &problems)
    case CoreKeys.sipListen.name where Configuration.listenAddress(plain) == nil:
      problems.append(
        location.error(
          key.name, "\"\(plain)\" is not allowed: it takes an address and a port, for example 0.0.0.0:5060"))
    case CoreKeys.redialAttempts.name where plain != "inf" && !(0...1_000_000).contains(Int(plain) ?? -1):
      problems.append(
        location.error(key.name, "\"\(plain)\" is not allowed: it takes a number from 0 to 1000000, or inf"))
    case CoreKeys.tollPrefixes.name where TollNumbers(plain) == nil:
      problems.append(
        location.error(
          key.name, "\"\(plain)\" is not allowed: it takes beginnings of numbers, for example +,00,0900, or none"))
    case CoreKeys.sipTransports.name where Configuration.transports(plain) == nil:
      problems.append(
        location.error(key.name, "\"\(plain)\" is not allowed: it takes a list of udp, tcp, tls, ws, wss"))
    case CoreKeys.dnsServer.name, CoreKeys.dnsFallback.name:
      guard let server = Configuration.dnsServer(plain) else {
        problems.append(
          location.error(
            key.name, "\"\(plain)\" is not allowed: it takes an address and a port, for example 192.0.2.53:53"))
        return
      }
      if key.name == CoreKeys.dnsServer.name {
        self.dnsServers.append(server)
      } else {
        self.dnsFallbacks.append(server)
      }
    case _ where Self.devices.contains { $0.name == key.name }:
      guard AudioDevice(plain) != nil else {
        problems.append(location.error(key.name, "\"\(plain)\" is not allowed: it takes MODULE,DEVICE"))
        return
      }
      self.values[key] = plain
    default:
      if Self.coreKeys[key.name] == nil { self.moduleValues[key.name] = plain } else { self.values[key] = plain }
    }
  }

  private mutating func takeUnknown(_ name: String, at location: ConfigLocation, problems: inout [ConfigProblem]) {
    guard let warning = KnownElsewhere.warning(forKey: name) else {
      let names = CoreKeys.all.map(\.name) + self.moduleKeys.keys.sorted() + KnownElsewhere.keys.sorted()
      problems.append(
        location.error(
          name, "neither Apus nor baresip has such a key\(NearestName.question(name, in: names))"))
      return
    }
    guard self.seen[name] == nil else { return }
    self.seen[name] = location
    problems.append(location.warning(name, warning))
  }

  mutating func switchOn(
    _ value: String, at location: ConfigLocation, key: String, problems: inout [ConfigProblem]
  ) {
    var name = String(value.split(separator: "/").last ?? "")
    if name.hasSuffix(".so") { name.removeLast(3) }
    if let absence = KnownElsewhere.absence(of: name, in: self.modules) {
      if self.seen["module \(name)"] == nil {
        problems.append(location.warning(key, "\(name): \(absence); the line is ignored"))
      }
      self.seen["module \(name)"] = location
    } else if self.modules.contains(where: { $0.name == name }) {
      if !self.active.contains(name) { self.active.append(name) }
    } else if KnownElsewhere.builtIn.contains(name) {
      return
    } else if let warning = KnownElsewhere.warning(forModule: name) {
      if self.seen["module \(name)"] == nil { problems.append(location.warning(key, "\(name): \(warning)")) }
      self.seen["module \(name)"] = location
    } else {
      let names = self.modules.map { $0.name } + KnownElsewhere.modules.sorted()
      let question = NearestName.question(name, in: names)
      problems.append(location.error(key, "neither Apus nor baresip has a module \"\(name)\"\(question)"))
    }
  }

  consuming func finish(problems: inout [ConfigProblem]) -> Configuration {
    let implied = CoreKeys.impliedModules.filter { name in
      !self.active.contains(name) && self.modules.contains { $0.name == name }
    }
    let active = implied + self.active
    let check = DriverCheck(active: active, modules: self.modules)
    for key in Self.devices {
      guard let location = self.seen[key.name], let device = AudioDevice(self.values[key]) else { continue }
      check.check(device, key: key.name, at: location, problems: &problems)
      if !check.isThere(device) { self.values[key] = "" }
    }
    var configuration = Configuration(self.values, modules: active)
    configuration.moduleValues = self.moduleValues
    configuration.places = self.seen
    if let absence = self.modules.first(where: { $0.name == "dns" })?.absence {
      for key in [CoreKeys.dnsServer.name, CoreKeys.dnsFallback.name] {
        guard let location = self.seen[key] else { continue }
        problems.append(location.warning(key, "module dns: \(absence); the system's servers are asked"))
      }
    }
    (configuration.dnsServers, configuration.dnsFallbacks) = (self.dnsServers, self.dnsFallbacks)
    if configuration.usesSinglePort, configuration.rxMode == .thread,
      let location = self.seen[CoreKeys.singlePort.name]
    {
      problems.append(
        location.warning(
          CoreKeys.singlePort.name,
          "it has no effect with \"rtp_rxmode thread\", where each call has a loop of its own: "
            + "set \"rtp_rxmode pool\" or \"rtp_rxmode main\""))
    }
    return configuration
  }
}

/// Holds the module that something names against those that are switched on.
struct DriverCheck: Sendable {
  /// Names of the modules that are switched on.
  let active: [String]
  /// All modules of this build.
  let modules: [any Module.Type]

  func isCompiledIn(_ name: String) -> Bool { self.modules.contains { $0.name == name } }

  func isThere(_ device: AudioDevice) -> Bool { self.active.contains(device.driver) }

  func check(_ device: AudioDevice, key: String, at location: ConfigLocation, problems: inout [ConfigProblem]) {
    let name = device.driver
    if self.active.contains(name) { return }
    if let absence = KnownElsewhere.absence(of: name, in: self.modules) {
      problems.append(location.warning(key, "\(name): \(absence); calls go without it"))
    } else if self.isCompiledIn(name) {
      problems.append(
        location.error(key, "the module \(name) is not switched on: add the line \"module \(name)\" to the config"))
    } else if KnownElsewhere.modules.contains(name) {
      problems.append(
        location.warning(key, "\(name): this module of baresip is not part of Apus; calls go without it"))
    } else {
      let question = NearestName.question(name, in: self.modules.map { $0.name })
      problems.append(location.error(key, "neither Apus nor baresip has a module \"\(name)\"\(question)"))
    }
  }
}
