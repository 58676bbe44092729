internal import ModuleKit

extension AccountParameters {
  /// The table of `Docs/accounts.md`, a line each.
  static var documentation: [String] {
    ["| parameter | takes | default | what it does |", "|---|---|---|---|"]
      + self.all.map { parameter in
        let key = parameter.key
        let effect =
          switch parameter.effect {
          case .used: key.help
          case .ignored(_, let why), .kept(_, let why): "not done: \(why)"
          }
        return "| `\(key.name)` | \(key.kind.allowed) | \(key.defaultValue) | \(effect) |"
      }
  }
}
