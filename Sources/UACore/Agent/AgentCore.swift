internal import Handoff
package import ModuleKit
package import NetBase
package import Runtime
internal import SIPStack

/// A user agent's logic, on its main loop: SIP sessions on one side, media transports on the other.
///
/// An instance, never a global. `UserAgent` is the actor around it; simulations drive it directly.
package final class AgentCore {
  let settings: AgentSettings
  let main: EventLoop
  let context: LoopContext
  let environment: MediaEnvironment
  private let loops: TransportLoops
  private let registry: ModuleRegistry
  private let emit: (AgentEvent) -> Void
  var endpoint: SIPEndpoint
  private var transports: [any SIPTransport] = []
  private var timer: TimerID?
  private var calls: [CallID: Call] = [:]
  private var bySession: [SessionID: CallID] = [:]
  private var lastCall: UInt64 = 0
  private var isDraining = false
  /// Who answers calls that come in; nil refuses them all with 480.
  package var incoming: CallSettings?
  /// Whether the agent takes no new calls: it is about to end.
  package private(set) var isClosing = false

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
      available: settings.available, active: configuration.activeModules, settings: configuration.moduleValues)
    try registry.admitFilters(mode: configuration.rxMode, policy: configuration.rxPolicy)
    var system = SystemRandomNumberGenerator()
    var generator =
      settings.seed.map { SeededGenerator(seed: $0) }
      ?? SeededGenerator(key: (system.next(), system.next(), system.next(), system.next()))
    self.settings = settings
    self.main = main
    self.context = context
    self.loops = loops
    self.registry = registry
    self.emit = emit
    self.environment = try MediaEnvironment(
      settings: settings, registry: registry, main: main, loops: loops, seed: generator.next(),
      wallClockOffset: wallClockOffset)
    self.endpoint = SIPEndpoint(configuration: SIPConfiguration(userAgent: "Apus/\(apusVersion)"), generator: generator)
  }

  /// Opens the SIP transports.
  package func start() throws(ModuleError) {
    let providers = self.settings.sipTransports ?? self.registry.sipTransports
    guard !providers.isEmpty else {
      throw ModuleError(.configuration, "no SIP transport is active: add \"module sip_udp\"")
    }
    for provider in providers {
      let transport = try provider.open(
        self.settings.listen, typeOfService: self.settings.configuration.sipTOS, on: self.context, receiver: self)
      self.transports.append(transport)
    }
    self.timer = self.context.makeTimer { [unowned self] in
      self.endpoint.timeout(now: self.context.now)
      self.drain()
    }
  }

  /// Where SIP listens.
  package var listenAddress: SocketAddress? { self.transports.first?.localAddress }

  package var callCount: Int { self.calls.count }

  package func report(_ id: CallID) -> CallReport? {
    self.calls[id]?.report(now: self.context.now, rxMode: self.settings.configuration.rxMode)
  }

  package var reports: [CallReport] {
    self.calls.keys.sorted { $0.number < $1.number }.compactMap { self.report($0) }
  }

  /// Ends every call, and takes no new one; `ended` comes for each.
  package func hangUpAll() {
    self.isClosing = true
    for id in self.calls.keys.sorted(by: { $0.number < $1.number }) { self.hangUp(id) }
  }

  /// Closes the SIP transports; calls that still exist are forgotten.
  package func close() {
    for transport in self.transports { transport.close() }
    self.transports = []
    if let timer { self.context.remove(timer) }
    self.timer = nil
  }

  // MARK: Making and taking calls

  /// Calls `target`, which is at `destination`.
  ///
  /// - Throws: what is wrong with the settings, before anything is sent.
  package func call(_ target: SIPURI, at destination: SocketAddress, settings: CallSettings) throws -> CallID {
    guard let transport = self.transports.first, let identity = try? SIPURI(settings.identity) else {
      throw ModuleError(.configuration, "account \(settings.identity): it is not a SIP URI")
    }
    let id = self.nextCall()
    let media = try self.makeMedia(id, settings, towards: destination)
    let offer: [UInt8]
    do {
      offer = try media.makeOffer()
    } catch {
      media.stop()
      throw error
    }
    let now = self.context.now
    let local = try self.contactAddress(towards: destination, transport)
    let session = self.endpoint.invite(
      OutgoingInvite(
        requestURI: target, from: NameAddress(displayName: settings.displayName, uri: identity),
        to: NameAddress(uri: target), contact: Self.contact(identity, local), destination: destination, local: local,
        transport: .udp, body: SIPBody(bytes: offer)), now: now)
    let call = Call(
      id: id, session: session, isOutgoing: true, peer: "\(target)", settings: settings, began: now)
    self.add(call, media)
    self.drain()
    return id
  }

  /// Accepts a call that came in.
  package func answer(_ id: CallID) {
    guard let call = self.calls[id], call.state == .incoming || call.state == .ringing, let media = call.media else {
      return
    }
    do {
      let body: [UInt8]
      if let offer = call.pendingOffer {
        body = try media.answer(to: offer)
        call.pendingOffer = nil
      } else {
        call.isLateOffer = true
        body = try media.makeOffer()
      }
      self.endpoint.accept(call.session, body: SIPBody(bytes: body), now: self.context.now)
    } catch {
      call.end("media", failure: Self.failure(error), status: 488)
      self.endpoint.reject(
        call.session, status: 488, reason: nil, headers: [], now: self.context.now)
    }
    self.drain()
  }

  /// Refuses a call that came in.
  package func reject(_ id: CallID, status: Int = 486) {
    guard let call = self.calls[id] else { return }
    call.end("rejected", status: status)
    self.endpoint.reject(call.session, status: status, reason: nil, headers: [], now: self.context.now)
    self.drain()
  }

  /// Ends a call, whatever its state.
  package func hangUp(_ id: CallID) {
    guard let call = self.calls[id], !call.hasSIPEnded else { return }
    call.end("hangup")
    self.endpoint.hangUp(call.session, now: self.context.now)
    self.drain()
  }

  // MARK: In a call

  /// Offers hold or resume.
  package func setHold(_ id: CallID, _ isHeld: Bool) {
    guard let call = self.calls[id], let media = call.media, call.state == .established else { return }
    let previous = media.direction
    media.direction = isHeld ? .sendonly : .sendrecv
    call.wantsHold = isHeld
    if !self.reoffer(call) { media.direction = previous }
  }

  /// Offers new keys; false where the media encryption can't change them, or an offer waits for its answer.
  package func rekey(_ id: CallID) -> Bool {
    guard let call = self.calls[id], let media = call.media, call.state == .established, !media.awaitsAnswer,
      media.requestRekey()
    else { return false }
    return self.reoffer(call)
  }

  package func send(digits: String, on id: CallID) { _ = self.calls[id]?.media?.post(.sendDigits(digits)) }

  package func mute(_ id: CallID, _ isMuted: Bool) { _ = self.calls[id]?.media?.post(.mute(isMuted)) }

  /// Asks the call's transport for its figures; `report` has them a moment later.
  package func refreshStatistics(_ id: CallID) { _ = self.calls[id]?.media?.post(.reportStatistics) }

  private func reoffer(_ call: Call) -> Bool {
    guard let media = call.media, !media.awaitsAnswer else { return false }
    do {
      let offer = try media.makeOffer()
      self.endpoint.reinvite(call.session, body: SIPBody(bytes: offer), now: self.context.now)
      self.drain()
      return true
    } catch {
      media.rollback()
      self.emit(.warning(call.id, "\(error)"))
      return false
    }
  }

  // MARK: Events of SIP

  /// Carries out what the endpoint asks for, and sets its timer.
  func drain() {
    guard !self.isDraining else { return }
    self.isDraining = true
    while let action = self.endpoint.nextAction() {
      switch action {
      case .send(let bytes, let destination, _, _):
        guard let transport = self.transports.first else { continue }
        if let reason = transport.send(bytes, to: destination) {
          self.endpoint.transportFailed(to: destination, error: reason, now: self.context.now)
        }
      case .event(let event): self.handle(event)
      }
    }
    self.isDraining = false
    if let timer, let deadline = self.endpoint.nextDeadline { self.context.arm(timer, at: deadline) }
  }

  private func handle(_ event: SIPEvent) {
    switch event {
    case .incomingCall(let session, let invite): self.incomingCall(session, invite)
    case .progress(let session, let status, _, let body):
      guard let call = self.call(session) else { return }
      if let body { self.take(answer: body, call) }
      if call.state == .calling || call.state == .ringing { call.state = body == nil ? .ringing : .early }
      self.emit(status == 180 ? .ringing(call.id) : .progress(call.id, status: status))
    case .established(let session, let body): self.established(session, body)
    case .reoffer(let session, let body): self.reoffered(session, body)
    case .reofferAnswered(let session, let body): self.reofferAnswered(session, body)
    case .reofferFailed(let session, let status, let reason):
      guard let call = self.call(session), let media = call.media else { return }
      media.rollback()
      if let wantsHold = call.wantsHold { media.direction = wantsHold ? .sendrecv : .sendonly }
      call.wantsHold = nil
      self.emit(.warning(call.id, "the peer refused a change of the call: \(status) \(reason)"))
    case .ended(let session, let reason): self.ended(session, reason)
    case .requestResult: break
    }
  }

  private func incomingCall(_ session: SessionID, _ invite: IncomingInvite) {
    let now = self.context.now
    let limit = self.settings.configuration.callMaxCalls ?? .max
    guard !self.isClosing, let settings = self.incoming, self.calls.count < limit else {
      let isFull = self.calls.count >= limit
      return self.endpoint.reject(
        session, status: isFull ? 486 : 480, reason: isFull ? "Max Calls" : nil, headers: [], now: now)
    }
    let id = self.nextCall()
    let call = Call(
      id: id, session: session, isOutgoing: false, peer: "\(invite.from.uri)", settings: settings, began: now)
    do {
      let media = try self.makeMedia(id, settings, towards: invite.source)
      call.pendingOffer = invite.body?.bytes
      self.add(call, media)
    } catch {
      self.emit(.warning(id, "\(error)"))
      return self.endpoint.reject(session, status: 488, reason: nil, headers: [], now: now)
    }
    self.emit(.incoming(id, from: call.peer))
    switch settings.answerMode {
    case .manual:
      call.state = .ringing
      self.endpoint.ring(session, status: 180, reason: nil, body: nil, now: now)
      if let timeout = self.settings.configuration.callLocalTimeout {
        self.context.schedule(at: now.advanced(by: .seconds(timeout))) { [weak self] in
          guard let self, let call = self.calls[id], call.state == .ringing else { return }
          call.end("timeout")
          self.reject(id, status: 480)
        }
      }
    case .automatic where settings.answerDelay > 0:
      call.state = .ringing
      self.endpoint.ring(session, status: 180, reason: nil, body: nil, now: now)
      self.context.schedule(at: now.advanced(byMilliseconds: Int64(settings.answerDelay))) { [weak self] in
        self?.answer(id)
      }
    case .automatic: self.answer(id)
    }
  }

  private func established(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    if call.isOutgoing || call.isLateOffer {
      guard let body else {
        if media.awaitsAnswer { self.fail(call, MediaRefusal(description: "the answer has no description")) }
        return self.establish(call)
      }
      guard self.take(answer: body, call) else { return }
    } else {
      do { try media.answerConfirmed() } catch { return self.fail(call, error) }
    }
    self.establish(call)
  }

  private func establish(_ call: Call) {
    guard call.state != .established, call.state != .ended else { return }
    call.state = .established
    call.established = self.context.now
    self.emit(.established(call.id))
  }

  @discardableResult
  private func take(answer body: SIPBody, _ call: Call) -> Bool {
    guard let media = call.media else { return false }
    do {
      try media.receive(answer: body.bytes)
      return true
    } catch {
      self.fail(call, error)
      return false
    }
  }

  private func reoffered(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    let now = self.context.now
    do {
      let wasHeld = media.isHeldByPeer
      if let body {
        let answer = try media.answer(to: body.bytes)
        self.endpoint.acceptReinvite(session, body: SIPBody(bytes: answer), now: now)
        if media.isHeldByPeer != wasHeld { self.emit(.held(call.id, media.isHeldByPeer)) }
      } else {
        call.isLateOffer = true
        self.endpoint.acceptReinvite(session, body: SIPBody(bytes: try media.makeOffer()), now: now)
      }
    } catch {
      self.endpoint.rejectReinvite(session, status: 488, now: now)
      self.emit(.warning(call.id, "an offer of the peer's was refused: \(error)"))
    }
  }

  private func reofferAnswered(_ session: SessionID, _ body: SIPBody?) {
    guard let call = self.call(session), let media = call.media else { return }
    call.wantsHold = nil
    if media.awaitsAnswer, let body { self.take(answer: body, call) }
    if !call.isOutgoing || !media.awaitsAnswer { try? media.answerConfirmed() }
  }

  private func ended(_ session: SessionID, _ reason: EndReason) {
    guard let call = self.call(session) else { return }
    switch reason {
    case .localHangup: call.end("hangup")
    case .remoteHangup: call.end("hangup")
    case .cancelled: call.end("cancelled")
    case .rejected(let status, let text):
      let kind: ModuleError.Kind = status == 408 || status == 503 ? .unavailable : .peer
      call.end(
        "rejected", failure: ModuleError(kind, "\(call.peer) refused the call: \(status) \(text)"), status: status)
    case .timeout:
      call.end("timeout", failure: ModuleError(.unavailable, "\(call.peer) does not answer"))
    case .unreachable(let text):
      call.end("unreachable", failure: ModuleError(.unavailable, "\(call.peer) is not there: \(text)"))
    case .redirected(let contacts):
      let targets = contacts.map(\.description).joined(separator: ", ")
      call.end("redirected", failure: ModuleError(.peer, "\(call.peer) redirects to \(targets)"))
    }
    call.ended = self.context.now
    call.hasSIPEnded = true
    call.state = .ended
    if call.media?.transport == nil { call.hasMediaEnded = true } else { call.media?.stop() }
    self.finish(call)
  }

  /// The call can't go on.
  private func fail(_ call: Call, _ error: any Error) {
    call.end("media", failure: Self.failure(error))
    self.endpoint.hangUp(call.session, now: self.context.now)
    self.drain()
  }

  // MARK: Events of transports

  private func makeMedia(_ id: CallID, _ settings: CallSettings, towards peer: SocketAddress) throws -> CallMedia {
    let slot = PortSlot()
    let main = self.main
    let port = self.context.register { [weak self] in self?.transportCalls(id) }
    slot.set(port)
    self.eventPorts[id] = port
    do {
      return try CallMedia(
        environment: self.environment, settings: settings, stream: StreamID(number: id.number), peer: peer,
        announce: { slot.signal(main) },
        failed: { [weak self] error in self?.mediaFailed(id, error) })
    } catch {
      self.context.unregister(port)
      self.eventPorts[id] = nil
      throw error
    }
  }

  private var eventPorts: [CallID: WatchID] = [:]

  private func mediaFailed(_ id: CallID, _ error: ModuleError) {
    guard let call = self.calls[id], !call.hasSIPEnded else { return }
    self.fail(call, error)
  }

  private func transportCalls(_ id: CallID) {
    while let call = self.calls[id], let event = call.media?.transport?.nextEvent() { self.handle(event, call) }
  }

  private func handle(_ event: consuming TransportEvent, _ call: Call) {
    let now = self.context.now
    switch consume event {
    case .secured(let security):
      call.secured = call.secured ?? now
      call.security = security
      self.emit(.secured(call.id, profile: security.profile.rawValue))
    case .established:
      call.firstMedia = call.firstMedia ?? now
      self.emit(.mediaEstablished(call.id))
    case .digit(let digit):
      if let digit { call.digits.append(digit) }
      self.emit(.digit(call.id, digit))
    case .peerLeft: break
    case .timedOut:
      call.end(
        "timeout", failure: ModuleError(.peer, "nothing was heard from \(call.peer) for rtp_timeout seconds"))
      self.hangUp(call.id)
    case .sourceEnded: self.emit(.sourceEnded(call.id))
    case .failed(let error): self.mediaFailed(call.id, error)
    case .statistics(let statistics): call.statistics = statistics
    case .retired(let contexts): _ = consume contexts
    case .closed(let statistics):
      call.statistics = statistics
      call.hasMediaEnded = true
      self.finish(call)
    }
  }

  // MARK: Helpers

  /// Forgets a call when SIP and media are both done with it.
  private func finish(_ call: Call) {
    guard call.hasSIPEnded, call.hasMediaEnded, self.calls[call.id] != nil else { return }
    self.calls[call.id] = nil
    self.bySession[call.session] = nil
    if let port = self.eventPorts.removeValue(forKey: call.id) { self.context.unregister(port) }
    call.media?.transport?.release()
    self.emit(.ended(call.report(now: self.context.now, rxMode: self.settings.configuration.rxMode)))
  }

  private func add(_ call: Call, _ media: CallMedia) {
    call.media = media
    self.calls[call.id] = call
    self.bySession[call.session] = call.id
  }

  private func call(_ session: SessionID) -> Call? { self.bySession[session].flatMap { self.calls[$0] } }

  private func nextCall() -> CallID {
    self.lastCall += 1
    return CallID(number: self.lastCall)
  }

  private func contactAddress(
    towards peer: SocketAddress, _ transport: any SIPTransport
  ) throws(ModuleError) -> SocketAddress {
    let bound = transport.localAddress
    guard bound.isUnspecified else { return bound }
    return try self.environment.localAddress(towards: peer).with(port: bound.port)
  }

  private static func contact(_ identity: SIPURI, _ local: SocketAddress) -> SIPURI {
    SIPURI(user: identity.user, host: local.uriHost, port: local.port)
  }

  private static func failure(_ error: any Error) -> ModuleError {
    error as? ModuleError ?? ModuleError(.peer, "\(error)")
  }
}

extension AgentCore: SIPTransportReceiver {
  package func received(_ bytes: RawSpan, from source: SocketAddress, on transport: any SIPTransport) {
    let local = (try? self.contactAddress(towards: source, transport)) ?? transport.localAddress
    self.endpoint.receive(bytes, from: source, on: local, transport: .udp, now: self.context.now)
    self.drain()
  }

  package func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {
    self.endpoint.transportFailed(to: address, error: reason, now: self.context.now)
    self.drain()
  }
}
