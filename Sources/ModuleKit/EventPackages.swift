/// Event packages (RFC 6665) that a module switches on: the agent watches them at its contacts, and tells its own to those
/// who may watch it.
package struct EventPackages: Sendable {
  /// `presence`, `dialog`.
  package var names: [String]
  /// How many subscriptions of others there may be at a time.
  package var maximumWatchers: Int

  package init(names: [String], maximumWatchers: Int) {
    (self.names, self.maximumWatchers) = (names, maximumWatchers)
  }
}
