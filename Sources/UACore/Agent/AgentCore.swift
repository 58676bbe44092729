internal import Handoff
package import ModuleKit
package import NetBase
package import Runtime
internal import SIPStack
internal import SRTPEngine

/// A user agent's logic, on its main loop: SIP sessions on one side, media transports on the other.
///
/// An instance, never a global. `UserAgent` is the actor around it; simulations drive it directly.
package final class AgentCore {
  var settings: AgentSettings
  package let main: EventLoop
  let context: LoopContext
  let environment: MediaEnvironment
  let loops: TransportLoops
  let registry: ModuleRegistry
  /// The agent's owner, told of every event.
  let sink: (AgentEvent) -> Void
  var endpoint: SIPEndpoint
  /// The SIP transports and their connections.
  package private(set) lazy var transports = SIPTransports(
    owner: self, on: self.main, webSocketHost: self.endpoint.configuration.webSocketHost ?? "",
    interface: self.settings.configuration.interfaceName)
  /// Finds where requests go.
  let locations: SIPLocations
  var networkWatch: NetworkWatch?
  /// The addresses that this host has, as far as a change has told of them.
  var hostAddresses: Set<String>?
  /// Whether `moveCalls` is about to be called again.
  var movesLater = false
  /// Told when an address that the agent may use has come or gone; connections from one that is gone are closed by then.
  package var onNetworkChange: ((NetworkChange) -> Void)?
  /// Told when signalling has gone on: something was received, sent or given up.
  package var onProgress: (() -> Void)?
  var timer: TimerID?
  var calls: [CallID: Call] = [:]
  var bySession: [SessionID: CallID] = [:]
  var lastCall: UInt64 = 0
  var isDraining = false
  var eventPorts: [CallID: WatchID] = [:]
  /// Media of calls that never came to be, until their transports have closed.
  var abandoned: [CallID: CallMedia] = [:]
  /// For closures that leave main and come back.
  private(set) lazy var reference = LoopBound(WeakCore(core: self), on: self.main)
  package internal(set) var localAccounts: [LocalAccount] = []
  var nextAccount = 0
  /// Accounts that are being taken from their registrars.
  var leaving: [RegistrationID: LocalAccount] = [:]
  /// Whether SIP messages are shown; to `traceSIP`, or as output where there is none.
  var isTracing: Bool
  /// Names this agent to registrars (RFC 5626 §4.1).
  let instanceID: String
  /// Calls whose peers were asked to call someone else.
  var refers: [ReferID: CallID] = [:]
  /// Peers without SIP that are being told that their calls are over.
  var farewells = 0
  /// REFERs outside calls, and whom they went to.
  var looseRefers: [ReferID: String] = [:]
  /// Who waits for the outcome of a request.
  var requests: [RequestID: (RequestOutcome) -> Void] = [:]
  /// What modules that give commands and hear what happens have started.
  var applications: [(module: String, running: any Application)] = []
  /// What `play` plays.
  var localSound: LocalSound?
  /// What is heard here of calls that ring, or can't be made.
  private(set) lazy var tones = CallTones(core: self)
  /// The current call's figures, every second (`statmode`).
  private(set) lazy var statusLine = CallStatusLine(core: self)
  /// How much of what happens is shown.
  package internal(set) var logLevel: LogLevel
  /// Commands, by name and by key.
  package private(set) lazy var commands = CommandRegistry()
  /// What a person or a program at the controls has chosen.
  package private(set) lazy var control = CallControl(core: self)
  /// Which accounts are registered, where their `prio` decides it.
  private(set) lazy var serialRegistration = SerialRegistration(core: self)
  /// What contacts show us.
  private(set) lazy var contactWatches = ContactWatches(core: self)
  /// What compositors know of our presence.
  private(set) lazy var publications = Publications(core: self)
  /// Who watches us.
  private(set) lazy var watchers = Watchers(core: self)
  /// Whether the agent takes no new calls: it is about to end.
  package private(set) var isClosing = false
  private var isClosed = false

  /// Makes the modules and decides the plan of every filter; opens nothing yet.
  ///
  /// - Parameters:
  ///   - main: the loop that the caller is on.
  ///   - emit: told, on main, of what happens.
  /// - Throws: `ModuleError` or `AdmissionError`.
  package init(
    settings: AgentSettings, main: EventLoop, context: LoopContext, loops: TransportLoops, wallClockOffset: Int64,
    emit: @escaping (AgentEvent) -> Void
  ) throws {
    let configuration = settings.configuration
    let registry = try ModuleRegistry(
      available: settings.available, active: configuration.activeModules, settings: configuration.moduleValues,
      programFacets: settings.programFacets)
    try registry.admitFilters(mode: configuration.rxMode, policy: configuration.rxPolicy)
    try configuration.srtpTransform.start()
    var system = SystemRandomNumberGenerator()
    var generator =
      settings.seed.map { SeededGenerator(seed: $0) }
      ?? SeededGenerator(key: (system.next(), system.next(), system.next(), system.next()))
    self.settings = settings
    self.main = main
    self.context = context
    self.loops = loops
    self.registry = registry
    self.sink = emit
    self.isTracing = settings.traceSIP != nil
    self.logLevel = settings.logLevel
    let randomID = InstanceIdentifier.make(generator.next(), generator.next())
    self.instanceID = settings.instanceID ?? randomID
    let resolver: any NameResolver =
      try settings.nameResolver
      ?? registry.nameResolver?.makeResolver(
        servers: configuration.dnsServers, fallbacks: configuration.dnsFallbacks) ?? SystemNameResolver()
    self.locations = SIPLocations(resolver: resolver, on: main)
    self.environment = try MediaEnvironment(
      settings: settings, registry: registry, main: main, loops: loops, seed: generator.next(),
      wallClockOffset: wallClockOffset)
    var sip = SIPConfiguration(userAgent: "Apus/\(apusVersion)")
    sip.webSocketHost = "\(String(generator.next(), radix: 36)).invalid"
    let kinds = Self.transportProviders(settings, registry).map(\.kind)
    sip.usesTCPForLargeRequests = kinds.contains(.tcp)
    sip.digest = DigestAlgorithm.openSSL
    sip.limits = configuration.sipLimits
    sip.tollNumbers = configuration.tollNumbers
    sip.messagesAwaitAnswer = true
    self.endpoint = SIPEndpoint(configuration: sip, generator: generator)
  }

  /// Opens the SIP transports.
  package func start() throws(ModuleError) {
    try self.openTransports()
    self.watchNetwork()
    self.timer = self.context.makeTimer { [unowned self] in
      self.endpoint.timeout(now: self.context.now)
      self.drain()
    }
    self.endpoint.accountOfRequest = { [unowned self] _, uri, to, path in
      self.account(for: uri, to: to, from: path.peer, flow: path.flow)?.signalling
    }
    self.onNetworkChange = { [unowned self] _ in
      for account in self.localAccounts where account.registrationID != nil { self.register(account) }
      self.updatePresence(retries: true)
    }
    self.endpoint.policyForCall = { [unowned self] invite in
      self.account(of: invite).map { Self.policy(of: $0.settings) } ?? CallPolicy()
    }
    self.serveEventPackages()
    try self.startApplications()
    self.statusLine.isOn = settings.showsStatus
  }

  /// Checks what can be checked of an account before its first call: codecs, encryption, and the drivers of audio and video.
  ///
  /// - Throws: `ModuleError` or `AdmissionError`.
  package func validate(_ account: CallSettings) throws {
    _ = try CodecSelection(
      account.codecs, from: self.registry.codecs,
      eventPayloadType: self.settings.configuration.telephoneEventPayloadType)
    if let encryption = account.mediaEncryption { _ = try self.registry.encryption(encryption) }
    if let nat = account.mediaNAT { _ = try self.registry.nat(nat) }
    if let player = account.player { _ = try self.registry.player(player.driver) }
    if let source = account.videoSource { _ = try self.registry.videoSource(source.driver) }
    if let display = account.videoDisplay { _ = try self.registry.videoSink(display.driver) }
    if account.videoSource != nil || account.videoDisplay != nil {
      _ = try self.registry.videoCodecs(account.videoCodecs)
    }
    _ = try self.environment.planner.plan(
      source: account.source, player: nil, format: AudioFormat(sampleRate: 8000, channels: 1), packetTime: 20,
      stream: StreamID(number: 0), failed: { _ in })
  }

  /// Where SIP listens.
  package var listenAddress: SocketAddress? { self.transports.all.first?.localAddress }

  /// Whether no call is left, and no registrar knows us any more.
  package var isIdle: Bool { self.calls.isEmpty && self.leaving.isEmpty }

  /// Whether, beyond that, every BYE and CANCEL, every DELETE of a call without SIP, and the end of what was published, was
  /// answered or given up: one that was lost is sent again until then. After `close`, whether the media of every call is
  /// over.
  package var isSettled: Bool {
    if self.isClosed { return self.abandoned.isEmpty }
    return self.isIdle && self.endpoint.census.sessions == 0 && self.farewells == 0 && self.publications.isSettled
  }

  package var callCount: Int { self.calls.count }

  package func report(_ id: CallID) -> CallReport? {
    self.calls[id]?.report(now: self.context.now, rxMode: self.settings.configuration.rxMode)
  }

  package var reports: [CallReport] {
    self.calls.keys.sorted { $0.number < $1.number }.compactMap { self.report($0) }
  }

  /// Takes no new calls from now on, and leaves the registrars. Calls that ring here are sent elsewhere; the others go
  /// on.
  package func stopTakingCalls() {
    guard !self.isClosing else { return }
    self.isClosing = true
    self.updatePresence()
    self.watchers.end()
    for account in self.localAccounts { self.leaveRegistrar(account) }
    for call in self.sortedCalls where call.isWaiting {
      call.end("hangup")
      if let session = call.session {
        self.endpoint.hangUp(session, status: 503, headers: self.retryLater, now: self.context.now)
      }
    }
    self.drain()
  }

  /// Takes no new calls, and lets those that stand go on.
  ///
  /// - Returns: seconds after which they end; nil when that is at once.
  package func beginDrain() -> Int? {
    guard let seconds = self.settings.configuration.drainTimeout else { return nil }
    self.stopTakingCalls()
    let left = self.calls.values.count { $0.state != .ended }
    if left > 0 {
      self.emit(.output("no new calls are taken; \(left) may go on for \(seconds) s (drain_timeout)"))
    }
    return seconds
  }

  /// Ends every call, and takes no new one; `ended` comes for each call.
  package func hangUpAll() {
    self.stopTakingCalls()
    for call in self.sortedCalls { self.hangUp(call.id) }
    for account in self.localAccounts { self.retire(account) }
  }

  /// Closes the SIP transports. Whoever waits for a name is told that there is no answer; calls that still exist are
  /// over, `ended` comes for each, and their media ends.
  package func close() {
    self.isClosed = true
    self.networkWatch?.close()
    self.networkWatch = nil
    self.transports.close()
    self.locations.close()
    for call in self.sortedCalls {
      if !call.hasSIPEnded {
        call.end("hangup")
        self.conclude(call)
      }
      if self.calls[call.id] != nil { self.forget(call) }
    }
    // Only now, for they hear of all that.
    for application in self.applications {
      application.running.take(AgentNotice(.exit))
      application.running.stop()
    }
    self.applications = []
    self.stopLocalSound()
    self.tones.stop()
    self.statusLine.isOn = false
    if let timer { self.context.remove(timer) }
    self.timer = nil
  }

  // MARK: Helpers

  /// Forgets a call when SIP and media are both done with it.
  func finish(_ call: Call) {
    guard call.hasSIPEnded, call.hasMediaEnded, self.calls[call.id] != nil else { return }
    self.forget(call)
  }

  /// Tells that a call is over. Media that is not yet goes on without it until its transports have closed.
  private func forget(_ call: Call) {
    self.notice(.callClosed, call: call, parameter: call.closing)
    self.calls[call.id] = nil
    if let session = call.session { self.bySession[session] = nil }
    if call.hasMediaEnded {
      if let port = self.eventPorts.removeValue(forKey: call.id) { self.context.unregister(port) }
      call.media?.release()
    } else {
      self.abandoned[call.id] = call.media
    }
    call.tellMeasured()
    self.emit(.ended(call.report(now: self.context.now, rxMode: self.settings.configuration.rxMode)))
  }

  func add(_ call: Call, _ media: CallMedia) {
    call.media = media
    self.calls[call.id] = call
    if let session = call.session { self.begin(call, session) }
    guard !self.applications.isEmpty else { return }
    media.onDescription = { [unowned self, unowned call] isOurs, isOffer in
      self.notice(
        isOurs ? .localDescription : .remoteDescription, call: call, parameter: isOffer ? "offer" : "answer")
    }
    if media.awaitsAnswer { media.onDescription(true, true) }
  }

  /// SIP has a session for the call.
  func begin(_ call: Call, _ session: SessionID) {
    call.session = session
    call.sipCallID = self.endpoint.callID(of: session) ?? ""
    self.bySession[session] = call.id
  }

  func call(_ session: SessionID) -> Call? { self.bySession[session].flatMap { self.calls[$0] } }

  func nextCall() -> CallID {
    self.lastCall += 1
    return CallID(number: self.lastCall)
  }

  /// 100rel, as the account has it; and whether candidates may come late.
  static func policy(of settings: CallSettings) -> CallPolicy {
    let reliable: CallPolicy.ReliableProvisional =
      switch settings.reliableProvisionals {
      case .no: .no
      case .yes: .yes
      case .required: .required
      }
    return CallPolicy(
      reliableProvisional: reliable, infoPackages: settings.mediaNAT == nil ? [] : [.trickleICE])
  }

  static func failure(_ error: any Error) -> ModuleError {
    error as? ModuleError ?? ModuleError(.peer, "\(error)")
  }
}

/// A reference that does not keep the core alive.
struct WeakCore {
  weak var core: AgentCore?
}
