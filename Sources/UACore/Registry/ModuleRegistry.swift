package import ModuleKit

/// The active modules of one user agent, in the config's order; lives on main.
package final class ModuleRegistry {
  /// A driver of PCM, with the module that brings it.
  package struct Driver: Sendable {
    package let module: String
    package let offer: StageOffer
  }

  /// Every active module's facets, in order.
  package let facets: [(module: String, facet: Facet)]
  package let codecs: [any AudioCodec]
  package let sources: [Driver]
  package let players: [Driver]
  package let filters: [Driver]
  package let encryptions: [any MediaEncryption]
  package let nats: [any MediaNAT]
  package let datagrams: (any DatagramTransport)?
  package let sipTransports: [any SIPTransportProvider]
  package let commands: [ModuleCommand]
  package let applications: [any ApplicationProvider]
  package let nameResolver: (any NameResolverProvider)?

  /// Makes the active modules.
  ///
  /// - Parameters:
  ///   - available: the static list.
  ///   - active: names from the config, in order; each is in `available`.
  ///   - settings: values from the config, by key.
  ///   - programFacets: what the embedding program brings.
  /// - Throws: the first module's error; the modules made before it are released.
  package init(
    available: [any Module.Type], active: [String], settings: [String: String],
    programFacets: [(module: String, facet: Facet)] = []
  ) throws(ModuleError) {
    var facets: [(module: String, facet: Facet)] = []
    for name in active {
      guard let type = available.first(where: { $0.name == name }) else {
        throw ModuleError(.configuration, "module \(name): there is no such module")
      }
      let module = try type.init(settings: ModuleSettings(keys: type.configKeys, values: settings))
      facets += module.facets.map { (name, $0) }
    }
    facets += programFacets
    self.facets = facets
    self.codecs = facets.compactMap { if case .codec(let codec) = $0.facet.body { codec } else { nil } }
    self.sources = facets.compactMap {
      if case .source(let offer) = $0.facet.body { Driver(module: $0.module, offer: offer) } else { nil }
    }
    self.players = facets.compactMap {
      if case .player(let offer) = $0.facet.body { Driver(module: $0.module, offer: offer) } else { nil }
    }
    self.filters = facets.compactMap {
      if case .filter(let offer) = $0.facet.body { Driver(module: $0.module, offer: offer) } else { nil }
    }
    self.encryptions = facets.compactMap { if case .encryption(let one) = $0.facet.body { one } else { nil } }
    self.nats = facets.compactMap { if case .nat(let one) = $0.facet.body { one } else { nil } }
    self.datagrams = facets.lazy.compactMap { if case .datagrams(let one) = $0.facet.body { one } else { nil } }.first
    self.commands = facets.compactMap { if case .command(let one) = $0.facet.body { one } else { nil } }
    self.applications = facets.compactMap { if case .application(let one) = $0.facet.body { one } else { nil } }
    self.nameResolver =
      facets.lazy.compactMap { if case .nameResolver(let one) = $0.facet.body { one } else { nil } }.first
    self.sipTransports = facets.compactMap { if case .sipTransport(let one) = $0.facet.body { one } else { nil } }
  }

  /// Refuses, before any call, a filter that the receive mode can't run.
  package func admitFilters(mode: RxMode, policy: AdmissionPolicy) throws(AdmissionError) {
    for filter in self.filters {
      _ = try filter.offer.safety.admission(of: filter.module, in: mode, policy: policy)
    }
  }

  package func source(_ driver: String) throws(ModuleError) -> Driver {
    try Self.find(driver, in: self.sources, "audio_source")
  }

  package func player(_ driver: String) throws(ModuleError) -> Driver {
    try Self.find(driver, in: self.players, "audio_player")
  }

  /// - Parameter id: the account's `mediaenc`.
  package func encryption(_ id: String) throws(ModuleError) -> any MediaEncryption {
    if let found = self.encryptions.first(where: { $0.id == id }) { return found }
    let known = self.encryptions.map(\.id).joined(separator: ", ")
    throw ModuleError(.configuration, "mediaenc \(id): no active module brings it; there are: none, \(known)")
  }

  /// - Parameter id: the account's `medianat`.
  package func nat(_ id: String) throws(ModuleError) -> any MediaNAT {
    if let found = self.nats.first(where: { $0.id == id }) { return found }
    let known = (["none"] + self.nats.map(\.id)).joined(separator: ", ")
    throw ModuleError(.configuration, "medianat \(id): no active module brings it; there are: \(known)")
  }

  private static func find(_ driver: String, in all: [Driver], _ key: String) throws(ModuleError) -> Driver {
    if let found = all.first(where: { $0.module == driver }) { return found }
    let known = all.map(\.module).joined(separator: ", ")
    throw ModuleError(.configuration, "\(key) \(driver): no active module brings it; there are: \(known)")
  }
}
