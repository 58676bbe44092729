package import ModuleKit

extension AgentCore {
  /// Registers the core's commands and those of the modules, and starts the modules' applications.
  func startApplications() throws(ModuleError) {
    for group in [
      self.programCommands, self.menuCommands, self.callCommands, self.contactCommands, self.presenceCommands,
      self.debugCommands,
    ] {
      for command in group { try self.commands.add(command.description, command.run) }
    }
    for (module, facet) in self.registry.facets {
      switch facet.body {
      case .command(let command): try self.add(command)
      case .application(let provider):
        try self.start(provider, of: module)
      default: continue
      }
    }
  }

  func start(_ provider: any ApplicationProvider, of module: String) throws(ModuleError) {
    self.applications.append((module, try provider.start(on: self.context, host: self)))
    if let warning = provider.warning { self.warn(warning) }
  }

  /// Carries out a line as people type it: `/name parameters`, a key with its parameters behind it, or digits.
  ///
  /// Digits go to the current call, or are dialled where there is none.
  package func execute(line: String) -> CommandResult {
    var text = line.drop(while: \.isBlank)
    while text.last?.isBlank == true || text.last?.isNewline == true { text.removeLast() }
    guard let first = text.first else { return CommandResult(isOK: true, text: "") }
    if first == "/" {
      let name = text.dropFirst().prefix { !$0.isBlank }
      let parameters = text.dropFirst(name.count + 1).drop(while: \.isBlank)
      return self.commands.execute(String(name), String(parameters))
    }
    if first == Self.escape { return self.commands.execute("hangup", "") }
    if text.allSatisfy(Self.dialKeys.contains) {
      return self.commands.execute(self.control.currentCall == nil ? "dial" : "sndcode", String(text))
    }
    let word = String(text.prefix { !$0.isBlank })
    if word.utf8.count > 1, self.commands.has(word) {
      return CommandResult(isOK: false, text: "\(word) is the name of a command: write /\(word)")
    }
    let parameters = String(text.dropFirst().drop(while: \.isBlank))
    guard let name = self.commands.name(forKey: first, parameters: parameters) else {
      return CommandResult(isOK: false, text: "there is no key \(first); /help lists them")
    }
    return self.commands.execute(name, parameters)
  }
}

extension AgentCore: CommandHost {
  /// Adds a module's command.
  func add(_ command: ModuleCommand) throws(ModuleError) {
    try self.commands.add(command.description) { [unowned self] text throws(CommandFailure) in
      try command.run(text, self)
    }
  }

  package var security: SIPSecurity { self.settings.configuration.sipSecurity }

  package var currentStream: StreamID? { self.control.currentCall.flatMap { self.calls[$0]?.media?.stream } }

  package func source(_ device: AudioDevice, for stream: StreamID) throws(CommandFailure) -> StageFactory {
    guard let media = self.calls.values.first(where: { $0.media?.stream == stream })?.media else {
      throw CommandFailure("there is no such call")
    }
    do { return try media.anotherSource(device) } catch { throw CommandFailure("\(error)") }
  }
}

extension AgentCore: ApplicationHost {
  package func execute(command name: String, parameters: String) -> CommandResult {
    self.commands.execute(name, parameters)
  }

  package func warn(_ text: String) { self.emit(.output(text)) }

  package func tell(_ kind: AgentNotice.Kind, of stream: StreamID, parameter: String) {
    self.notice(kind, CallID(number: stream.number), parameter: parameter)
  }

  package var hasCalls: Bool { !self.calls.isEmpty }
}

/// A command of the core's own.
struct CoreCommand {
  let description: CommandDescription
  let run: CommandRegistry.Body

  init(
    _ name: String, key: Character? = nil, _ parameters: String, scope: CommandDescription.Scope = .always,
    _ help: String, run: @escaping CommandRegistry.Body
  ) {
    self.description = CommandDescription(name, key: key, parameters: parameters, scope: scope, help: help)
    self.run = run
  }

  /// One that takes no parameters.
  init(
    _ name: String, key: Character? = nil, scope: CommandDescription.Scope = .always, _ help: String,
    run: @escaping CommandRegistry.Body
  ) { self.init(name, key: key, "", scope: scope, help, run: run) }
}
