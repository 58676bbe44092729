public import ModuleKit

/// Presence and calls of contacts are watched, and contacts may watch ours (RFC 3856, RFC 4235).
public struct Presence: Module {
  public static let name = "presence"
  public static let summary = "presence and calls of contacts, and ours for them"
  public static let configKeys = [
    ConfigKey(
      "presence_watchers", .integer(0...10_000), default: "100",
      help: "How many subscriptions of contacts to our presence and calls there may be; 0 tells nobody.")
  ]

  private let maximumWatchers: Int

  public init(settings: ModuleSettings) throws(ModuleError) {
    self.maximumWatchers = settings.integer("presence_watchers")
  }

  public var facets: [Facet] {
    [Facet(.events(EventPackages(names: ["presence", "dialog"], maximumWatchers: self.maximumWatchers)))]
  }
}
