internal import AllModules
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import UACore

/// A SIP user agent: makes calls, takes calls, carries their media.
///
/// Every method may be called from any task. Several agents live in one process, each with a main loop of its own.
/// A call keeps its agent until it has ended; one that nothing keeps shuts down by itself.
public final class UserAgent: Sendable {
  /// Calls that come in; for one reader. A reader that is cancelled ends it: calls that come in after that are refused with
  /// 480, and what was on its way to the reader is hung up. So is what comes while 32 wait for the reader, ended ones
  /// counted: with 486, where it was not answered at once. `warnings` tells of each.
  public let incomingCalls: AsyncStream<Call>
  /// Messages that come in (RFC 3428), in calls and outside; for one reader. While 100 wait for it, a new one takes the place
  /// of the oldest.
  public let messages: AsyncStream<Message>
  /// How the configuration's `account` stands at its registrar, whenever that changes; for one reader, the last 16 wait for
  /// it.
  public let registrations: AsyncStream<Registration>
  /// What went wrong and nothing ended by: a sentence for people each; for one reader, the last 100 wait for it.
  public let warnings: AsyncStream<String>
  private let announceCall: AsyncStream<Call>.Continuation
  private let announceMessage: AsyncStream<Message>.Continuation
  private let announceRegistration: AsyncStream<Registration>.Continuation
  private let announceWarning: AsyncStream<String>.Continuation
  private let core: UACore.UserAgent
  private let audio: ProgramAudio
  private let video = ProgramVideo()
  private let callSettings: CallSettings
  private let tricklesCandidates: Bool
  private let state = Locked(State())
  /// Tells the calls what happens to them, until the agent has ended.
  private let telling = Locked<Task<Void, Never>?>(nil)

  private struct State {
    var known: [CallID: Call] = [:]
    /// What happened to calls of ours before the program had them.
    var early: [CallID: [AgentEvent]] = [:]
  }

  /// Makes an agent that listens.
  ///
  /// - Throws: what is wrong with the configuration, with code `configuration`; what could not be opened.
  public init(_ configuration: Configuration = Configuration()) async throws(ApusError) {
    let checked = try CoreSettings(configuration)
    let audio = ProgramAudio(format: AudioFormat(sampleRate: configuration.sampleRate, channels: 1))
    var settings = AgentSettings(available: allModules, configuration: checked.core, listen: checked.listen)
    let acceptsCalls = Locked(configuration.acceptsCalls)
    settings.acceptsCalls = { acceptsCalls.withLock { $0 } }
    settings.programFacets = audio.facets.map { (ProgramAudio.name, $0) }
    settings.programFacets += self.video.facets.map { (ProgramVideo.name, $0) }
    self.callSettings = checked.calls
    self.tricklesCandidates = configuration.tricklesCandidates
    self.audio = audio
    do { self.core = try UACore.UserAgent(ifPossible: settings) } catch { throw ApusError(error) }
    (self.incomingCalls, self.announceCall) = AsyncStream.makeStream(
      of: Call.self, bufferingPolicy: .bufferingOldest(32))
    (self.messages, self.announceMessage) = AsyncStream.makeStream(
      of: Message.self, bufferingPolicy: .bufferingNewest(100))
    (self.registrations, self.announceRegistration) = AsyncStream.makeStream(
      of: Registration.self, bufferingPolicy: .bufferingNewest(16))
    (self.warnings, self.announceWarning) = AsyncStream.makeStream(
      of: String.self, bufferingPolicy: .bufferingNewest(100))
    self.announceCall.onTermination = { _ in acceptsCalls.withLock { $0 = false } }
    for warning in checked.warnings { self.announceWarning.yield(warning) }
    do { try await self.core.start(accounts: [checked.calls]) } catch {
      await self.core.shutDown()
      throw ApusError(error)
    }
    let events = self.core.events
    let telling = Task { [weak self] in
      for await event in events { self?.take(event) }
    }
    self.telling.withLock { $0 = telling }
  }

  /// Where SIP listens, for example `127.0.0.1:5060`.
  public var address: String {
    get async { await self.core.listenAddress?.description ?? "" }
  }

  /// The calls under way, connections' too, in the order in which they began. One of a connection does not keep the
  /// connection open.
  public var calls: [Call] {
    self.state.withLock { Array($0.known.values) }.sorted { $0.id < $1.id }
  }

  /// Calls `target`, for example `sip:bob@192.0.2.1`; returns before it is answered. A lone word is a host.
  ///
  /// - Throws: what is wrong with the settings or the address, before anything is sent.
  public func call(_ target: String) async throws(ApusError) -> Call {
    do {
      let id = try await self.core.call(target)
      await self.core.holdOthers(than: id)
      return self.known(id, peer: target)
    } catch { throw ApusError(error) }
  }

  /// Sends a text to `target`, for example `sip:bob@192.0.2.1`, outside a call (RFC 3428), and waits until the peer or its
  /// server has taken it: 32 seconds at most for each address that the target has, and a little for a name's look-up.
  ///
  /// - Throws: what is wrong with the address, or why it was not taken; code `cancelled` where the task that waits was
  ///   cancelled before, and the message may be taken all the same.
  public func send(message: String, to target: String) async throws(ApusError) {
    do { try await self.core.send(message: message, to: target) } catch { throw ApusError(error) }
  }

  /// A connection whose descriptions the program carries to `peer` and back; the name is for the program's own use.
  ///
  /// - Throws: what is wrong with the settings. The agent's `encryption` does not matter here.
  public func connection(to peer: String) async throws(ApusError) -> PeerConnection {
    var settings = self.callSettings
    (settings.mediaEncryption, settings.mediaNAT) = (Encryption.dtls.rawValue, "ice")
    (settings.usesRTCPMux, settings.usesBundle) = (true, true)
    settings.tricklesCandidates = self.tricklesCandidates
    do {
      let id = try await self.core.connect(peer, settings: settings)
      return PeerConnection(id: id, call: self.known(id, peer: peer), agent: self.core)
    } catch { throw ApusError(error) }
  }

  /// Ends every call, waits two seconds at most for the peers, and frees everything.
  ///
  /// Whoever waits for a call's end has it by then. What is called later, of the agent, its calls and its connections,
  /// throws or does nothing.
  public func shutDown() async {
    await self.core.shutDown()
    // Whoever else does the same at the same time waits as well.
    await self.telling.withLock { $0 }?.value
    self.telling.withLock { $0 = nil }
    self.finishStreams()
  }

  deinit {
    guard self.telling.withLock({ $0.take() }) != nil else { return }
    self.finishStreams()
    let core = self.core
    Task { await core.shutDown() }
  }

  private func finishStreams() {
    self.announceCall.finish()
    self.announceMessage.finish()
    self.announceRegistration.finish()
    self.announceWarning.finish()
  }

  private func known(_ id: CallID, peer: String) -> Call {
    let stream = StreamID(number: id.number)
    let (pipes, videoPipes) = (self.audio.pipes(of: stream), self.video.pipes(of: stream))
    return self.state.withLock { state in
      if let call = state.known[id] { return call }
      let call = Call(id: id, peer: peer, owner: self, agent: self.core, pipes: pipes, videoPipes: videoPipes)
      state.known[id] = call
      for event in state.early.removeValue(forKey: id) ?? [] {
        call.take(event)
        if case .ended = event { self.forget(id, &state) }
      }
      return call
    }
  }

  private func forget(_ id: CallID, _ state: inout State) {
    state.known[id] = nil
    self.audio.forget(StreamID(number: id.number))
    self.video.forget(StreamID(number: id.number))
  }

  private func take(_ event: AgentEvent) {
    switch event {
    case .incoming(let id, let from, _): self.announce(self.known(id, peer: from), id)
    case .ended(let report): self.tell(report.id, event, isLast: true)
    case .ringing(let id), .established(let id), .secured(let id, _), .digit(let id, _), .held(let id, _),
      .lateCandidates(let id, _, _), .transferFailed(let id, _):
      self.tell(id, event)
    case .message(_, let sender, let contentType, let text):
      self.announceMessage.yield(Message(sender: sender, contentType: contentType, text: text))
    case .registration(_, let state): self.announceRegistration.yield(Registration(state))
    case .warning(let id, let text): self.announceWarning.yield("call \(id): \(text)")
    default: break
    }
  }

  /// Hands a call to the program. One that the program will not have must not ring on.
  private func announce(_ call: Call, _ id: CallID) {
    if case .enqueued = self.announceCall.yield(call) { return }
    self.announceWarning.yield("call \(id): nobody reads incomingCalls, so it is refused")
    let core = self.core
    Task { await core.hangUp(id) }
  }

  private func tell(_ id: CallID, _ event: AgentEvent, isLast: Bool = false) {
    self.state.withLock { state in
      guard let call = state.known[id] else {
        state.early[id, default: []].append(event)
        return
      }
      call.take(event)
      if isLast { self.forget(id, &state) }
    }
  }
}
