internal import AllModules
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

/// Turns the command line's options into agents.
enum AgentFactory {
  /// - Parameters:
  ///   - options: what `call`, `demo` and `load` share.
  ///   - listen: where SIP listens.
  static func settings(_ options: MediaOptions, listen: SocketAddress, mode: RxMode) -> AgentSettings {
    if let warning = options.medianat?.warning { StandardError.write("apus: warning: \(warning)\n") }
    var configuration = Configuration()
    configuration.activeModules = usualModuleNames
    configuration.rxMode = options.rxmode ?? mode
    configuration.rxPolicy = options.rxmodePolicy ?? .lock
    configuration.rekeyMethod = options.rekeyMethod ?? .invite
    configuration.callMaxCalls = nil
    configuration.callHoldOtherCalls = false
    configuration.rtpPorts = 10_000...59_998
    var settings = AgentSettings(available: compiledModules, configuration: configuration, listen: listen)
    settings.loss = options.loss
    return settings
  }

  /// How an agent of `call`, `demo` and `load` makes and takes calls.
  static func call(
    _ options: MediaOptions, identity: String, encryption: MediaEncryptionChoice, usesRTCPMux: Bool,
    source: AudioDevice?, player: AudioDevice?
  ) -> CallSettings {
    var call = CallSettings(identity: identity, source: source, player: player)
    call.mediaEncryption = (options.mediaenc ?? encryption).id
    call.mediaNAT = options.medianat?.id
    call.natServers = options.natServers
    call.codecs = options.codec.map { [$0] } ?? []
    call.usesRTCPMux = options.rtcpMux ?? usesRTCPMux
    call.answersAtOnce = true
    return call
  }

  /// Starts an agent, or says in one sentence why it can't.
  ///
  /// - Parameter explain: told the error, and which of the accounts it is of.
  static func start(
    _ settings: AgentSettings, accounts: [CallSettings] = [], pool: LoopPool? = nil, name: String,
    explain: (any Error, Int?) -> Failure = { error, _ in Failure(error) }
  ) async throws -> UserAgent {
    let agent: UserAgent
    do { agent = try UserAgent(ifPossible: settings, pool: pool, name: name) } catch { throw Failure(error) }
    do {
      try await agent.start(accounts: accounts)
      return agent
    } catch {
      await agent.shutDown()
      throw explain(error, await agent.refusedAccount)
    }
  }
}

extension Failure {
  /// The exit status that goes with an error of the core's.
  init(_ error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as ModuleError:
      let status: ExitStatus =
        switch error.kind {
        case .configuration: .configuration
        case .noInput: .noInput
        case .cannotCreate: .cannotCreate
        case .unavailable, .exhausted: .unavailable
        case .peer: .callFailed
        }
      self.init(status, error.message)
    case let error as AdmissionError: self.init(.configuration, error.description)
    default: self.init(.callFailed, "\(error)")
    }
  }
}
