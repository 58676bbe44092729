import ModuleKit
import Testing

@testable import presence

/// What the module switches on; what comes of it is in Tests/UACoreTests/Presence.
@Suite struct PresenceTests {
  @Test("presence and dialog are switched on, for as many watchers as the config says", arguments: [nil, "3"])
  func facets(watchers: String?) throws {
    let values = watchers.map { ["presence_watchers": $0] } ?? [:]
    let module = try Presence(settings: ModuleSettings(keys: Presence.configKeys, values: values))
    let packages = module.facets.compactMap { facet in
      if case .events(let packages) = facet.body { packages } else { nil }
    }
    #expect(packages.map(\.names) == [["presence", "dialog"]])
    #expect(packages.map(\.maximumWatchers) == [watchers == nil ? 100 : 3])
    #expect(module.facets.allSatisfy { !$0.isOnMediaPath })
  }
}
