internal import ModuleKit

extension AccountParameters {
  /// The table of `Docs/accounts.md`, a line each.
  static var documentation: [String] {
    ["| parameter | takes | default | what it does |", "|---|---|---|---|"]
      + self.all.map { key in
        "| `\(key.name)` | \(key.kind.allowed) | \(key.defaultValue) | \(key.help) |"
      }
  }
}
