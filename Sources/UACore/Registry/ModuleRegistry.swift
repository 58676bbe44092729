package import ModuleKit

/// The active modules of one user agent, in the config's order; lives on main.
package final class ModuleRegistry {
  /// A driver of PCM, with the module that brings it.
  package struct Driver: Sendable {
    package let module: String
    package let offer: StageOffer
  }

  /// Every active module's facets, in order.
  package private(set) var facets: [(module: String, facet: Facet)] = []
  package private(set) var codecs: [any AudioCodec] = []
  package private(set) var sources: [Driver] = []
  package private(set) var players: [Driver] = []
  package private(set) var filters: [Driver] = []
  package private(set) var encryptions: [any MediaEncryption] = []
  package private(set) var nats: [any MediaNAT] = []
  package private(set) var datagrams: (any DatagramTransport)?
  package private(set) var sipTransports: [any SIPTransportProvider] = []
  package private(set) var nameResolver: (any NameResolverProvider)?
  package private(set) var events: EventPackages?
  /// Whether accounts are registered by `prio`, one after the other.
  package private(set) var registersSerially = false
  package private(set) var videoCodecs: [any VideoCodec] = []
  package private(set) var videoSources: [(module: String, offer: VideoSourceOffer)] = []
  package private(set) var videoSinks: [(module: String, offer: VideoSinkOffer)] = []

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
    for name in active {
      guard let type = available.first(where: { $0.name == name }) else {
        throw ModuleError(.configuration, "module \(name): there is no such module")
      }
      self.facets += try Self.make(type, settings)
    }
    self.facets += programFacets
    self.sort()
  }

  /// Makes one more module, the last in order.
  package func insert(_ type: any Module.Type, settings: [String: String]) throws(ModuleError) {
    self.facets += try Self.make(type, settings)
    self.sort()
  }

  /// Forgets a module; what its facets have made lives on with whoever holds it.
  package func remove(_ module: String) {
    self.facets.removeAll { $0.module == module }
    self.sort()
  }

  /// Puts everything back as it was when `facets` was read.
  package func restore(_ facets: [(module: String, facet: Facet)]) {
    self.facets = facets
    self.sort()
  }

  private static func make(
    _ type: any Module.Type, _ settings: [String: String]
  ) throws(ModuleError) -> [(module: String, facet: Facet)] {
    let module = try type.init(settings: ModuleSettings(keys: type.configKeys, values: settings))
    return module.facets.map { (type.name, $0) }
  }

  private func sort() {
    (self.codecs, self.encryptions, self.sipTransports) = ([], [], [])
    (self.sources, self.players, self.filters) = ([], [], [])
    (self.nats, self.datagrams, self.nameResolver, self.events) = ([], nil, nil, nil)
    (self.videoCodecs, self.videoSources, self.videoSinks) = ([], [], [])
    self.registersSerially = false
    for (module, facet) in self.facets {
      switch facet.body {
      case .codec(let codec): self.codecs.append(codec)
      case .source(let offer): self.sources.append(Driver(module: module, offer: offer))
      case .player(let offer): self.players.append(Driver(module: module, offer: offer))
      case .filter(let offer): self.filters.append(Driver(module: module, offer: offer))
      case .encryption(let one): self.encryptions.append(one)
      case .nat(let one): self.nats.append(one)
      case .sipTransport(let one): self.sipTransports.append(one)
      case .datagrams(let one): self.datagrams = self.datagrams ?? one
      case .nameResolver(let one): self.nameResolver = self.nameResolver ?? one
      case .events(let one): self.events = self.events ?? one
      case .serialRegistration: self.registersSerially = true
      case .videoCodec(let codec): self.videoCodecs.append(codec)
      case .videoSource(let offer): self.videoSources.append((module, offer))
      case .videoSink(let offer): self.videoSinks.append((module, offer))
      case .command, .application: break
      }
    }
  }

  package func commands(of module: String) -> [ModuleCommand] {
    self.facets.compactMap {
      if $0.module == module, case .command(let one) = $0.facet.body { one } else { nil }
    }
  }

  package func applications(of module: String) -> [any ApplicationProvider] {
    self.facets.compactMap {
      if $0.module == module, case .application(let one) = $0.facet.body { one } else { nil }
    }
  }

  package func sipTransports(of module: String) -> [any SIPTransportProvider] {
    self.facets.compactMap {
      if $0.module == module, case .sipTransport(let one) = $0.facet.body { one } else { nil }
    }
  }

  /// Refuses, before any call, a filter that the receive mode can't run.
  package func admitFilters(mode: RxMode, policy: AdmissionPolicy) throws(AdmissionError) {
    for filter in self.filters {
      _ = try filter.offer.safety.admission(of: filter.module, in: mode, policy: policy)
    }
  }

  package func source(_ driver: String) throws(ModuleError) -> Driver {
    try self.sources[Self.find(driver, in: self.sources.map(\.module), "audio_source")]
  }

  package func player(_ driver: String) throws(ModuleError) -> Driver {
    try self.players[Self.find(driver, in: self.players.map(\.module), "audio_player")]
  }

  package func videoSource(_ driver: String) throws(ModuleError) -> VideoSourceOffer {
    try self.videoSources[Self.find(driver, in: self.videoSources.map(\.module), "video_source")].offer
  }

  package func videoSink(_ driver: String) throws(ModuleError) -> VideoSinkOffer {
    try self.videoSinks[Self.find(driver, in: self.videoSinks.map(\.module), "video_display")].offer
  }

  /// - Parameter names: in any case; empty for all that are active.
  package func videoCodecs(_ names: [String]) throws(ModuleError) -> [any VideoCodec] {
    guard !self.videoCodecs.isEmpty else {
      throw ModuleError(.configuration, "no video codec is active: add a module line, for example \"module vp8\"")
    }
    guard !names.isEmpty else { return self.videoCodecs }
    let known = self.videoCodecs.map { $0.encodingName.lowercased() }
    var chosen: [any VideoCodec] = []
    for name in names {
      chosen.append(self.videoCodecs[try Self.find(name.lowercased(), in: known, "video codec")])
    }
    return chosen
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

  private static func find(_ name: String, in all: [String], _ key: String) throws(ModuleError) -> Int {
    if let found = all.firstIndex(of: name) { return found }
    let known = all.isEmpty ? "none" : all.joined(separator: ", ")
    throw ModuleError(.configuration, "\(key) \(name): no active module brings it; there are: \(known)")
  }
}
