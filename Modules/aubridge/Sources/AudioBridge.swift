package import ModuleKit

/// Joins streams: what one plays, the others on the same device record.
package struct AudioBridge: Module {
  package static let name = "aubridge"
  package static let summary = "Audio source and player: streams on one device hear each other"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  /// Both facets offer the same kind of object; the core makes one for each device and gives it to sources and players.
  package var facets: [Facet] { [.source(.lockable(bridge)), .player(.lockable(bridge))] }
}

@Sendable private func bridge(_ request: AudioRequest) throws(ModuleError) -> StageFactory {
  { () throws(ModuleError) in Bridge() }
}
