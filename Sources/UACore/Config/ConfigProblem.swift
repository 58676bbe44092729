/// Something wrong in a config folder: where, what, and what is allowed.
package struct ConfigProblem: Hashable, Sendable, CustomStringConvertible {
  /// How bad it is.
  package enum Severity: String, Sendable {
    /// Apus doesn't start.
    case error
    /// Apus starts; the line has no effect, or not the one that was meant.
    case warning
  }

  package let severity: Severity
  /// The file's path as the caller named it.
  package let file: String
  /// Counts from 1; 0 where the whole file is meant.
  package let line: Int
  /// The config key, account parameter or word that is wrong.
  package let key: String
  /// One sentence; never holds a password.
  package let message: String

  package init(_ severity: Severity, file: String, line: Int, key: String, _ message: String) {
    self.severity = severity
    self.file = file
    self.line = line
    self.key = key
    self.message = message
  }

  /// Whether it is about one setting with another, in whatever words.
  func isSameSetting(as other: ConfigProblem) -> Bool {
    (self.severity, self.file, self.line, self.key) == (other.severity, other.file, other.line, other.key)
  }

  /// `file:line: severity: key: message`; without the line where there is none.
  package var description: String {
    let place = self.line > 0 ? "\(self.file):\(self.line)" : self.file
    return "\(place): \(self.severity.rawValue): \(self.key): \(self.message)"
  }
}

extension [ConfigProblem] {
  /// Whether Apus must not start.
  package var hasErrors: Bool { self.contains { $0.severity == .error } }
}

/// Where a problem is found, to report several from one place.
struct ConfigLocation: Sendable {
  let file: String
  let line: Int

  func error(_ key: String, _ message: String) -> ConfigProblem { self.problem(.error, key, message) }

  func warning(_ key: String, _ message: String) -> ConfigProblem { self.problem(.warning, key, message) }

  func problem(_ severity: ConfigProblem.Severity, _ key: String, _ message: String) -> ConfigProblem {
    ConfigProblem(severity, file: self.file, line: self.line, key: key, message)
  }
}
