package import ModuleKit

/// The commands of one agent, by name and by key; lives on main.
package final class CommandRegistry {
  package typealias Body = (_ parameters: String) throws(CommandFailure) -> String

  private var order: [String] = []
  private var commands: [String: (description: CommandDescription, run: Body)] = [:]
  private var keys: [Character: String] = [:]

  package init() {}

  /// - Throws: when its name or key is taken.
  package func add(_ description: CommandDescription, _ run: @escaping Body) throws(ModuleError) {
    guard self.commands[description.name] == nil else {
      throw ModuleError(.configuration, "command \(description.name): there is one of this name already")
    }
    if let key = description.key {
      if let other = self.keys[key] {
        throw ModuleError(.configuration, "command \(description.name): its key \(key) belongs to \(other)")
      }
      self.keys[key] = description.name
    }
    self.order.append(description.name)
    self.commands[description.name] = (description, run)
  }

  package func remove(_ name: String) {
    guard let removed = self.commands.removeValue(forKey: name) else { return }
    if let key = removed.description.key { self.keys[key] = nil }
    self.order.removeAll { $0 == name }
  }

  /// All of them, by name.
  package var descriptions: [CommandDescription] {
    self.order.sorted().compactMap { self.commands[$0]?.description }
  }

  package func has(_ name: String) -> Bool { self.commands[name] != nil }

  /// Carries out a command by its long name.
  package func execute(_ name: String, _ parameters: String) -> CommandResult {
    guard let command = self.commands[name] else {
      let question = NearestName.question(name, in: self.commands.keys.sorted())
      return CommandResult(isOK: false, text: "there is no command /\(name)\(question); /help lists them")
    }
    do throws(CommandFailure) {
      return CommandResult(isOK: true, text: try command.run(parameters))
    } catch {
      return CommandResult(isOK: false, text: error.description)
    }
  }

  package func description(forKey key: Character) -> CommandDescription? {
    self.keys[key].flatMap { self.commands[$0]?.description }
  }

  /// The name of the command with this key, where what follows the key can be its parameters.
  package func name(forKey key: Character, parameters: String) -> String? {
    guard let name = self.keys[key], let command = self.commands[name] else { return nil }
    return parameters.isEmpty || !command.description.parameters.isEmpty ? name : nil
  }
}
