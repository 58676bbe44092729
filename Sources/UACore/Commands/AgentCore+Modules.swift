internal import ModuleKit
internal import Runtime
internal import SIPStack

/// Modules that are switched on and off while the agent runs. They are compiled in, so nothing is loaded: a module is
/// made, and its facets stand beside the others'. A call keeps what it was set up with.
extension AgentCore {
  /// Switches a module on (`insmod`).
  ///
  /// - Parameter name: as in the config; a path before it and `.so` behind it don't count.
  func load(module written: String) throws(CommandFailure) {
    let name = Self.moduleName(written)
    let type = try self.loadable(name)
    let before = self.registry.facets
    do throws(ModuleError) {
      try self.registry.insert(type, settings: self.settings.configuration.moduleValues)
    } catch { throw CommandFailure(error.message) }
    var added: [String] = []
    do {
      try self.refuseWhatIsFixed(name)
      try self.registry.admitFilters(
        mode: self.settings.configuration.rxMode, policy: self.settings.configuration.rxPolicy)
      for command in self.registry.commands(of: name) {
        try self.add(command)
        added.append(command.description.name)
      }
      try self.openTransports(of: name)
      for provider in self.registry.applications(of: name) {
        try self.start(provider, of: name)
      }
    } catch {
      for command in added { self.commands.remove(command) }
      self.stopApplications(of: name)
      self.registry.restore(before)
      throw CommandFailure("\(error)")
    }
    self.settings.configuration.activeModules.append(name)
    self.serveEventPackages()
  }

  /// Switches a module off (`rmmod`), unless an account or the agent itself needs it.
  func unload(module written: String) throws(CommandFailure) {
    let name = Self.moduleName(written)
    guard self.settings.configuration.activeModules.contains(name) else {
      if KnownElsewhere.builtIn.contains(name) { throw CommandFailure("module \(name) is a part of Apus: it stays") }
      throw CommandFailure("module \(name) is not switched on; /modules lists those that are")
    }
    for provider in self.registry.sipTransports(of: name) {
      throw CommandFailure("module \(name) stays; /entransp \(provider.kind.name) no switches SIP over it off")
    }
    try self.refuseWhatIsFixed(name)
    let before = self.registry.facets
    let commands = self.registry.commands(of: name)
    self.registry.remove(name)
    for account in self.localAccounts {
      do { try self.validate(account.settings) } catch {
        self.registry.restore(before)
        throw CommandFailure("module \(name): the account \(account.aor) needs it: \(error)")
      }
    }
    for command in commands { self.commands.remove(command.description.name) }
    self.serveEventPackages()
    // It may be the one through which the command came: it has its answer first.
    self.context.schedule(at: self.context.now) { [weak self] in
      if self?.settings.configuration.activeModules.contains(name) == false { self?.stopApplications(of: name) }
    }
    self.settings.configuration.activeModules.removeAll { $0 == name }
  }

  /// `/usr/lib/baresip/modules/opus.so` is `opus`.
  static func moduleName(_ written: String) -> String {
    let file = written.split(separator: "/").last.map(String.init) ?? written
    return file.hasSuffix(".so") ? String(file.dropLast(3)) : file
  }

  private func loadable(_ name: String) throws(CommandFailure) -> any Module.Type {
    let active = self.settings.configuration.activeModules
    if name.isEmpty { throw CommandFailure("/insmod takes a module's name") }
    if KnownElsewhere.builtIn.contains(name) {
      throw CommandFailure("module \(name) is a part of Apus: it is always on")
    }
    if active.contains(name) { throw CommandFailure("module \(name) is switched on already") }
    if let type = self.settings.available.first(where: { $0.name == name }) {
      if let absence = type.absence { throw CommandFailure("module \(name): \(absence)") }
      return type
    }
    if KnownElsewhere.modules.contains(name) {
      throw CommandFailure("module \(name): this module of baresip is not part of Apus")
    }
    let off = self.settings.available.map { $0.name }.filter { !active.contains($0) }
    let question = NearestName.question(name, in: off)
    throw CommandFailure(
      "module \(name): there is no such module\(question); those that are off: \(off.joined(separator: ", "))")
  }

  /// Names and media travel by what was there at the start.
  private func refuseWhatIsFixed(_ name: String) throws(CommandFailure) {
    for (module, facet) in self.registry.facets where module == name {
      switch facet.body {
      case .nameResolver, .datagrams:
        throw CommandFailure(
          "module \(name), a \(facet.kind), is chosen at the start: change its line in the config, and start again")
      default: continue
      }
    }
  }

  /// SIP listens over what a new module brings, where the config has not left it out.
  private func openTransports(of name: String) throws(CommandFailure) {
    let wanted = self.settings.configuration.sipTransports
    for provider in self.registry.sipTransports(of: name) where wanted?.contains(provider.kind) ?? true {
      try self.switchTransport(provider.kind, isOn: true)
    }
  }

  private func stopApplications(of name: String) {
    let stopped = self.applications.filter { $0.module == name }
    self.applications.removeAll { $0.module == name }
    for application in stopped { application.running.stop() }
  }
}
