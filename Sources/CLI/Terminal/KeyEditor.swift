/// What a person types key by key: a key that is a command of its own, or a line until Enter.
struct KeyEditor {
  enum Step: Equatable {
    case nothing
    /// A key outside a line.
    case key(Character)
    /// A line is complete.
    case line(String)
  }

  /// The line that is being written; nil while keys are commands.
  private(set) var line: String?

  private static let escape: Character = "\u{1B}"
  private static let erasing: Set<Character> = ["\u{7F}", "\u{08}"]

  /// Begins a line with `text`.
  mutating func begin(_ text: String) { self.line = text }

  /// Takes one of the `keys`.
  mutating func take(_ key: Character) -> Step {
    guard let line else {
      if key == "/" { self.line = "/" }
      return key == "/" || key.isNewline ? .nothing : .key(key)
    }
    switch key {
    case _ where key.isNewline:
      self.line = nil
      return .line(line)
    case Self.escape: self.line = nil
    case "\u{15}": self.line = ""
    case _ where Self.erasing.contains(key): self.line = line.isEmpty ? nil : String(line.dropLast())
    case _ where key >= " ": self.line = line + String(key)
    default: break
    }
    return .nothing
  }

  /// The keys in what a terminal sent at once; those that it sends as a sequence (arrows, function keys) are left out.
  static func keys(in text: String) -> [Character] {
    var keys: [Character] = []
    var rest = Substring(text)
    while let key = rest.popFirst() {
      if key == self.escape, let next = rest.first, next == "[" || next == "O" {
        rest = rest.dropFirst().drop { !$0.isLetter && $0 != "~" }.dropFirst()
      } else {
        keys.append(key)
      }
    }
    return keys
  }
}
