package import ModuleKit

extension ConfigKey.Kind {
  /// What a value may be, to end a sentence.
  package var allowed: String {
    switch self {
    case .bool: "yes or no"
    case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .decimal(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
    case .choice(let words): words.count == 1 ? "only \(words[0])" : "one of \(words.joined(separator: ", "))"
    case .string: "any text"
    case .range(let range):
      "two numbers with a hyphen, the smaller first, from \(range.lowerBound) to \(range.upperBound)"
    }
  }

  /// The value in its plain form (`yes` or `no`, digits, lower-case words); nil when it isn't allowed.
  package func normalised(_ value: String) -> String? {
    switch self {
    case .bool:
      switch value.lowercased() {
      case "yes", "true", "on", "enable", "1": return "yes"
      case "no", "false", "off", "disable", "0": return "no"
      default: return nil
      }
    case .integer(let allowed):
      guard let number = Int(value), allowed.contains(number) else { return nil }
      return String(number)
    case .decimal(let allowed):
      guard let number = Double(value), allowed.contains(number) else { return nil }
      return String(number)
    case .choice(let words):
      return words.first { $0.lowercased() == value.lowercased() }
    case .string:
      return value
    case .range(let allowed):
      guard let range = ConfigKey.range(value), allowed.contains(range.lowerBound), allowed.contains(range.upperBound)
      else { return nil }
      return "\(range.lowerBound)-\(range.upperBound)"
    }
  }
}

extension ConfigKey {
  /// `20-160` as a range; nil when it isn't one, or the smaller number isn't first.
  package static func range(_ value: String) -> ClosedRange<Int>? {
    let parts = value.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let lower = Int(parts[0]), let upper = Int(parts[1]), lower <= upper else { return nil }
    return lower...upper
  }

  /// What it is for, where any text is allowed and the kind says nothing; else nil.
  package var purpose: String? { if case .string = self.kind { self.help } else { nil } }

  /// The sentence for a value that isn't allowed.
  package func refusal(of value: String) -> String { "\"\(value)\" is not allowed: it takes \(self.kind.allowed)" }
}
