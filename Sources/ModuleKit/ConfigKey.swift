/// A setting that a module or the core declares: parsed, validated and documented from this one value.
public struct ConfigKey: Sendable {
  /// What a value may be.
  public enum Kind: Sendable {
    case bool
    case integer(ClosedRange<Int>)
    case decimal(ClosedRange<Double>)
    /// One of these words.
    case choice([String])
    case string
    /// Two numbers with a hyphen, for example `10000-20000`.
    case range(ClosedRange<Int>)
  }

  /// As in the config file.
  public let name: String
  /// What a value may be.
  public let kind: Kind
  /// The value when the file has none, in the file's syntax.
  public let defaultValue: String
  /// One line, with the unit.
  public let help: String
  /// Whether the key may stand more than once.
  public let isRepeatable: Bool
  /// Whether nobody is to be shown the value.
  public let isSecret: Bool

  public init(
    _ name: String, _ kind: Kind, default value: String, isRepeatable: Bool = false, isSecret: Bool = false,
    help: String
  ) {
    self.name = name
    self.kind = kind
    self.defaultValue = value
    self.isRepeatable = isRepeatable
    self.isSecret = isSecret
    self.help = help
  }
}

/// The values of a module's keys, already validated against their kinds; a key that the file lacks has its default.
public struct ModuleSettings: Sendable {
  private let values: [String: String]

  /// - Parameter values: from the file, validated.
  public init(keys: [ConfigKey], values: [String: String] = [:]) {
    self.values = Dictionary(keys.map { ($0.name, values[$0.name] ?? $0.defaultValue) }) { _, last in last }
  }

  /// The value as text; empty for a key that was not declared.
  public func string(_ name: String) -> String { self.values[name] ?? "" }

  /// True for `yes`, `true`, `on` and `1`.
  public func bool(_ name: String) -> Bool { ["yes", "true", "on", "1"].contains(self.string(name)) }

  /// The value of an integer key.
  public func integer(_ name: String) -> Int { Int(self.string(name)) ?? 0 }

  /// The value of a decimal key.
  public func decimal(_ name: String) -> Double { Double(self.string(name)) ?? 0 }
}
