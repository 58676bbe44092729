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
      case .command(let command): try self.commands.add(command.description, command.run)
      case .application(let provider):
        self.applications.append((module, try provider.start(on: self.context, host: self)))
      default: continue
      }
    }
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
    if first == "\u{1B}" { return self.commands.execute("hangup", "") }
    if text.allSatisfy({ "0123456789*#".contains($0) }) {
      return self.commands.execute(self.control.currentCall == nil ? "dial" : "sndcode", String(text))
    }
    let parameters = String(text.dropFirst().drop(while: \.isBlank))
    guard let name = self.commands.name(forKey: first, parameters: parameters) else {
      return CommandResult(isOK: false, text: "there is no key \(first); /help lists them")
    }
    return self.commands.execute(name, parameters)
  }
}

/// What a key does where no Enter is needed.
package enum KeyMeaning: Sendable, Equatable {
  /// It is a whole line.
  case line(String)
  /// A line begins with it.
  case start(String)
  case nothing
}

extension AgentCore {
  /// What pressing a key means now: a command that needs nothing more is carried out, another one's line begins; digits
  /// are sent in a call, and begin a number outside.
  package func meaning(ofKey key: Character) -> KeyMeaning {
    if "0123456789*#".contains(key) {
      return self.control.currentCall == nil ? .start(String(key)) : .line(String(key))
    }
    if key == "\u{1B}" { return .line(String(key)) }
    guard let command = self.commands.description(forKey: key) else { return .nothing }
    return command.parameters.isEmpty || command.parameters.hasPrefix("[") ? .line(String(key)) : .start("\(key) ")
  }
}

extension AgentCore: ApplicationHost {
  package func execute(command name: String, parameters: String) -> CommandResult {
    self.commands.execute(name, parameters)
  }

  package func warn(_ text: String) { self.emit(.output(text)) }
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
