internal import ModuleKit

/// What a key does where no Enter is needed.
package enum KeyMeaning: Sendable, Equatable {
  /// It is a whole line.
  case line(String)
  /// A line begins with it.
  case start(String)
  case nothing
}

extension AgentCore {
  static let dialKeys = Set("0123456789*#")
  /// Hangs up.
  static let escape: Character = "\u{1B}"

  /// What pressing a key means now: a command that needs nothing more is carried out, another one's line begins; digits
  /// are sent in a call, and begin a number outside.
  package func meaning(ofKey key: Character) -> KeyMeaning {
    if Self.dialKeys.contains(key) {
      return self.control.currentCall == nil ? .start(String(key)) : .line(String(key))
    }
    if key == Self.escape { return .line(String(key)) }
    guard let command = self.commands.description(forKey: key) else { return .nothing }
    return command.parameters.isEmpty || command.parameters.hasPrefix("[") ? .line(String(key)) : .start("\(key) ")
  }
}
