internal import AllModules
internal import Handoff
public import ModuleKit
internal import NetBase
internal import UACore

/// A SIP user agent: makes calls, takes calls, carries their media.
///
/// Every method may be called from any task. Several agents live in one process, each with a main loop of its own.
/// A call keeps its agent until it has ended; one that nothing keeps shuts down by itself.
public final class UserAgent: Sendable {
  /// How media is encrypted.
  public enum Encryption: String, Sendable, CaseIterable {
    case none
    /// SDES keys where the peer takes them (RFC 4568).
    case srtp
    /// SDES keys or no call.
    case srtpMandatory = "srtp-mand"
    /// DTLS-SRTP or no call (RFC 5763).
    case dtls = "dtls_srtp"
  }

  /// What an agent is made with.
  public struct Configuration: Sendable {
    /// Who calls, for example `sip:alice@example.com`.
    public var identity = "sip:apus@localhost"
    /// Address and port for SIP; port 0 is any free one.
    public var listen = "0.0.0.0:0"
    public var encryption = Encryption.dtls
    /// Names, in order of preference; empty for all.
    public var codecs: [String] = []
    /// Where media is received.
    public var receiveMode = RxMode.pool
    /// Whether RTCP shares the RTP socket where the peer agrees.
    public var multiplexesRTCP = true
    /// Whether calls that come in are answered at once; otherwise `Call.answer` does it.
    public var answersAtOnce = false
    /// Samples a second of `Call.audio` and `Call.play`, which are 16-bit mono.
    public var sampleRate = 16_000
    /// Whether calls have video (`Call.video`, `Call.send`): VP8 or H.264, which the program encodes and decodes.
    public var hasVideo = false
    /// STUN and TURN servers that a `PeerConnection` asks for candidates, for example
    /// `turn:user:password@turn.example.com?transport=tcp`.
    public var iceServers: [String] = []
    /// Whether a `PeerConnection` describes itself before these have answered; `Call.Event.lateCandidates` then tells what
    /// they said (RFC 8838).
    public var tricklesCandidates = false
    /// Whether a `PeerConnection` names and uses nothing but relays of these servers.
    public var usesRelaysOnly = false

    public init() {}
  }

  /// Calls that come in.
  public let incomingCalls: AsyncStream<Call>
  private let announceCall: AsyncStream<Call>.Continuation
  private let core: UACore.UserAgent
  private let audio: ProgramAudio
  private let video = ProgramVideo()
  private let account: CallSettings
  private let tricklesCandidates: Bool
  private let calls = Locked(Calls())
  /// Tells the calls what happens to them, until the agent has ended.
  private let telling = Locked<Task<Void, Never>?>(nil)

  private struct Calls {
    var known: [CallID: Call] = [:]
    /// What happened to calls of ours before the program had them.
    var early: [CallID: [AgentEvent]] = [:]
  }

  /// Makes an agent that listens.
  public init(_ configuration: Configuration = Configuration()) async throws(ApusError) {
    guard let listen = SocketAddress(configuration.listen, defaultPort: 0) else {
      throw ApusError(
        .configuration, "listen \(configuration.listen): it takes an address and a port, for example 127.0.0.1:5060")
    }
    var core = UACore.Configuration()
    core.activeModules = usualModuleNames
    core.rxMode = configuration.receiveMode
    core.callMaxCalls = nil
    core.callHoldOtherCalls = false
    if configuration.usesRelaysOnly { core.moduleValues["ice_policy"] = "relay" }
    let audio = ProgramAudio(format: AudioFormat(sampleRate: configuration.sampleRate, channels: 1))
    var settings = AgentSettings(available: allModules, configuration: core, listen: listen)
    settings.programFacets = audio.facets.map { (ProgramAudio.name, $0) }
    settings.programFacets += self.video.facets.map { (ProgramVideo.name, $0) }
    let device = AudioDevice(driver: ProgramAudio.name, device: "")
    var account = CallSettings(identity: configuration.identity, source: device, player: device)
    account.mediaEncryption = configuration.encryption == .none ? nil : configuration.encryption.rawValue
    account.codecs = configuration.codecs.compactMap { CodecPreference($0) }
    account.usesRTCPMux = configuration.multiplexesRTCP
    account.answersAtOnce = configuration.answersAtOnce
    if configuration.hasVideo {
      let screen = VideoDevice(driver: ProgramVideo.name, device: "")
      (account.videoSource, account.videoDisplay) = (screen, screen)
    }
    for (place, text) in configuration.iceServers.enumerated() {
      do throws(STUNServerURI.Refusal) { account.natServers.append(try STUNServerURI(text)) } catch {
        // Without the text: it may have a password in it.
        throw ApusError(.configuration, "iceServers, number \(place + 1): \(error.message)")
      }
    }
    self.account = account
    self.tricklesCandidates = configuration.tricklesCandidates
    self.audio = audio
    self.core = UACore.UserAgent(settings)
    (self.incomingCalls, self.announceCall) = AsyncStream.makeStream(of: Call.self)
    do {
      try await self.core.start()
      try await self.core.setAccounts([account])
    } catch {
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

  /// Calls `target`, for example `sip:bob@192.0.2.1`; returns before it is answered.
  ///
  /// - Throws: what is wrong with the settings or the address, before anything is sent.
  public func call(_ target: String) async throws(ApusError) -> Call {
    do {
      let id = try await self.core.call(target, settings: self.account)
      return self.known(id, peer: target)
    } catch { throw ApusError(error) }
  }

  /// A connection whose descriptions the program carries to `peer` and back; the name is for the program's own use.
  ///
  /// - Throws: what is wrong with the settings. The agent's `encryption` does not matter here.
  public func connection(to peer: String) async throws(ApusError) -> PeerConnection {
    var settings = self.account
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
    await self.telling.withLock { $0.take() }?.value
    self.announceCall.finish()
  }

  deinit {
    guard self.telling.withLock({ $0.take() }) != nil else { return }
    self.announceCall.finish()
    let core = self.core
    Task { await core.shutDown() }
  }

  private func known(_ id: CallID, peer: String) -> Call {
    let stream = StreamID(number: id.number)
    let (pipes, videoPipes) = (self.audio.pipes(of: stream), self.video.pipes(of: stream))
    return self.calls.withLock { calls in
      if let call = calls.known[id] { return call }
      let call = Call(id: id, peer: peer, owner: self, agent: self.core, pipes: pipes, videoPipes: videoPipes)
      calls.known[id] = call
      for event in calls.early.removeValue(forKey: id) ?? [] {
        call.take(event)
        if case .ended = event { self.forget(id, &calls) }
      }
      return call
    }
  }

  private func forget(_ id: CallID, _ calls: inout Calls) {
    calls.known[id] = nil
    self.audio.forget(StreamID(number: id.number))
    self.video.forget(StreamID(number: id.number))
  }

  private func take(_ event: AgentEvent) {
    switch event {
    case .incoming(let id, let from): self.announceCall.yield(self.known(id, peer: from))
    case .ended(let report): self.tell(report.id, event, isLast: true)
    case .ringing(let id), .established(let id), .secured(let id, _), .digit(let id, _), .held(let id, _),
      .lateCandidates(let id, _, _):
      self.tell(id, event)
    default: break
    }
  }

  private func tell(_ id: CallID, _ event: AgentEvent, isLast: Bool = false) {
    self.calls.withLock { calls in
      guard let call = calls.known[id] else {
        calls.early[id, default: []].append(event)
        return
      }
      call.take(event)
      if isLast { self.forget(id, &calls) }
    }
  }
}
