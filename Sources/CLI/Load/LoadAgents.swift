internal import AllModules
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// The agents of `apus load`, and what they measure together.
struct LoadAgents {
  let delays: MediaDelays
  private let options: LoadCommand
  private let speech: LoadSpeech
  private let pool: LoopPool?

  init(_ options: LoadCommand) throws {
    self.options = options
    // A prime, so that the transports of each worker are among those that measure.
    self.delays = MediaDelays(stripes: processorCount(), period: options.callCount > 100 ? 7 : 1)
    self.speech = try LoadSpeech(path: try ShippedSpeech.path())
    guard (options.media.rxmode ?? .pool) == .pool else {
      self.pool = nil
      return
    }
    guard let pool = LoopPool(ifPossible: processorCount(), name: "rtp-pool") else {
      throw Failure(.unavailable, "no descriptor or thread is left for a pool: raise ulimit -n or -u")
    }
    self.pool = pool
  }

  /// - Parameters:
  ///   - listen: where SIP listens.
  ///   - side: tells the two agents of a process apart.
  ///   - explain: told the error that the start ended with.
  func start(
    listen: SocketAddress, side: Int, name: String,
    explain: (any Error, Int?) -> Failure = { error, _ in Failure(error) }
  ) async throws -> UserAgent {
    var settings = AgentFactory.settings(self.options.media, listen: listen, mode: .pool)
    settings.configuration.usesSinglePort = self.options.singlePort
    settings.configuration.liftCallLimits()
    settings.delays = self.delays
    settings.decodesAudio = !self.options.skipsDecoding
    settings.programFacets = [self.speech.facet(side: side)]
    if self.options.shareEncoding { try self.shareEncoding(in: &settings) }
    return try await AgentFactory.start(settings, pool: self.pool, name: name, explain: explain)
  }

  /// - Parameter isLocal: whether both ends are ours, so that RTCP may share RTP's socket.
  func account(_ identity: String, isLocal: Bool) -> CallSettings {
    AgentFactory.call(
      self.options.media, identity: identity, encryption: .none, usesRTCPMux: isLocal,
      source: self.options.shareEncoding ? nil : AudioDevice(driver: LoadSpeech.driver, device: ""), player: nil)
  }

  /// After the agents have shut down.
  func stop() { self.pool?.stop() }

  /// The codecs' modules give way to the program's own codecs, which wrap theirs.
  private func shareEncoding(in settings: inout AgentSettings) throws {
    for type in compiledModules where settings.configuration.activeModules.contains(type.name) {
      let facets = try type.init(settings: ModuleSettings(keys: type.configKeys)).facets
      let codecs = facets.compactMap { if case .codec(let codec) = $0.body { codec } else { nil } }
      guard !codecs.isEmpty, codecs.count == facets.count else { continue }
      settings.configuration.activeModules.removeAll { $0 == type.name }
      settings.programFacets += codecs.map { (type.name, .codec(SharedEncoding($0, self.speech))) }
    }
  }
}
