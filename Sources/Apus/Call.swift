internal import Handoff
internal import ModuleKit
internal import Synchronization
internal import UACore

/// One call of a `UserAgent`.
public final class Call: Sendable, Identifiable {
  /// What happens to a call.
  public enum Event: Sendable {
    case ringing
    case established
    /// Media is encrypted both ways, with this SRTP profile.
    case secured(String)
    /// A key of the peer's was pressed.
    case digit(Character)
    case heldByPeer(Bool)
    /// What ICE servers said after a description of a `PeerConnection` had left, each for the peer's `add(candidate:)`, a
    /// browser's `addIceCandidate`; the last ones of that description, none where they said nothing new.
    case lateCandidates([String], mediaID: String?)
    /// The last event; the reason is `hangup`, `rejected`, `timeout`, `unreachable`, `media` …
    case ended(String)
  }

  /// The figures of a call that is over.
  public struct Summary: Sendable {
    public let reason: String
    /// Seconds from answer to end.
    public let duration: Double
    public let codec: String?
    public let srtpProfile: String?
    public let sentPackets: Int
    public let receivedPackets: Int
    public let lostPackets: Int
    /// Milliseconds.
    public let jitter: Double
    /// Datagrams dropped, whatever the reason.
    public let dropped: Int
  }

  private struct State {
    /// Who tells what happens; until the end, for the program may have let go of it.
    var owner: UserAgent?
    var isEstablished = false
    var report: CallReport?
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// Counts from 1 within an agent.
  public let id: UInt64
  /// Whom it is with.
  public let peer: String
  /// What happens to the call, in order; for one reader.
  public let events: AsyncStream<Event>
  /// What the peer says: frames of 16-bit mono at the agent's sample rate; for one reader.
  public let audio: AsyncStream<[Int16]>
  /// What the peer shows, frame by frame as it is encoded, each to be decoded after those before it; for one reader. Nothing
  /// without `Configuration.hasVideo`, or where the peer has no video.
  public let video: AsyncStream<EncodedVideoFrame>
  /// An element each time that the peer can't decode what it has, and the next frame should be a key frame; for one reader.
  public let keyFrameRequests: AsyncStream<Void>
  private let continuation: AsyncStream<Event>.Continuation
  private let callID: CallID
  private let agent: UACore.UserAgent
  private let pipes: ProgramAudio.Pipes
  private let videoPipes: ProgramVideo.Pipes
  private let state: Locked<State>

  init(
    id: CallID, peer: String, owner: UserAgent, agent: UACore.UserAgent, pipes: ProgramAudio.Pipes,
    videoPipes: ProgramVideo.Pipes
  ) {
    self.state = Locked(State(owner: owner))
    self.id = id.number
    self.callID = id
    self.peer = peer
    self.agent = agent
    self.pipes = pipes
    self.audio = pipes.heard
    self.videoPipes = videoPipes
    (self.video, self.keyFrameRequests) = (videoPipes.seen, videoPipes.wishes)
    (self.events, self.continuation) = AsyncStream.makeStream(of: Event.self)
  }

  /// Waits until the call is answered.
  ///
  /// - Throws: why it was not; code `cancelled` where the task that waits was cancelled before.
  public func waitUntilEstablished() async throws(ApusError) {
    await self.wait { $0.isEstablished || $0.report != nil }
    let (isEstablished, report) = self.state.withLock { ($0.isEstablished, $0.report) }
    guard !isEstablished else { return }
    guard let report else { throw ApusError(.cancelled, "the task that waited for the answer was cancelled") }
    throw report.failure.map { ApusError($0) } ?? ApusError(.refused, "the call ended: \(report.reason)")
  }

  /// Waits until the call is over, and tells how it was; without reason and figures where the task that waits was
  /// cancelled before.
  public func waitUntilEnded() async -> Summary {
    await self.wait { $0.report != nil }
    let report = self.state.withLock { $0.report }
    let media = report?.media ?? TransportStatistics()
    return Summary(
      reason: report?.reason ?? "", duration: report?.duration ?? 0, codec: report?.codec, srtpProfile: report?.profile,
      sentPackets: media.sentPackets, receivedPackets: media.receivedPackets, lostPackets: media.lost,
      jitter: media.jitter, dropped: media.drops.total)
  }

  /// Accepts a call that came in.
  public func answer() async { await self.agent.answer(self.callID) }

  /// Ends the call, whatever its state.
  public func hangUp() async { await self.agent.hangUp(self.callID) }

  /// Holds the peer, or resumes: by an offer of ours, or in the next offer or answer of a call without SIP.
  public func setHold(_ isHeld: Bool) async { await self.agent.setHold(self.callID, isHeld) }

  /// Sends silence, or sound again.
  public func mute(_ isMuted: Bool) async { await self.agent.mute(self.callID, isMuted) }

  /// Sends digits (0-9 * # A-D) as telephone events.
  public func send(digits: String) async { await self.agent.send(digits: digits, on: self.callID) }

  /// Changes the SRTP keys while media flows; false where the encryption can't, a change is under way, or there is no SIP.
  public func rekey() async -> Bool { await self.agent.rekey(self.callID) }

  /// Plays 16-bit mono samples at the agent's sample rate to the peer, after those handed over before.
  ///
  /// - Returns: false when 256 blocks wait already; try again later.
  @discardableResult
  public func play(_ samples: [Int16]) -> Bool { self.pipes.toPeer.post(samples) }

  /// Sends a frame to the peer, after those handed over before.
  ///
  /// - Returns: false when 64 frames wait already; the next one should be a key frame then.
  @discardableResult
  public func send(_ frame: EncodedVideoFrame) -> Bool { self.videoPipes.toPeer.post(frame) }

  /// Asks the peer for a key frame (RFC 4585 §6.3.1).
  public func requestKeyFrame() {
    self.videoPipes.wantsKeyFrame.store(true, ordering: .relaxed)
    self.videoPipes.wake.withLock { $0 }()
  }

  func take(_ event: AgentEvent) {
    switch event {
    case .ringing: self.continuation.yield(.ringing)
    case .established:
      self.change { $0.isEstablished = true }
      self.continuation.yield(.established)
    case .secured(_, let profile): self.continuation.yield(.secured(profile))
    case .digit(_, let digit): if let digit { self.continuation.yield(.digit(digit)) }
    case .held(_, let isHeld): self.continuation.yield(.heldByPeer(isHeld))
    case .lateCandidates(_, let candidates, let mediaID):
      self.continuation.yield(.lateCandidates(candidates, mediaID: mediaID))
    case .ended(let report):
      self.change { ($0.report, $0.owner) = (report, nil) }
      self.continuation.yield(.ended(report.reason))
      self.continuation.finish()
    default: break
    }
  }

  private func change(_ body: (inout State) -> Void) {
    let waiters = self.state.withLock { state in
      body(&state)
      let all = state.waiters
      state.waiters = []
      return all
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Until then, or until the task that waits is cancelled.
  private func wait(until condition: @Sendable (State) -> Bool) async {
    await withTaskCancellationHandler {
      while !Task.isCancelled, !self.state.withLock({ condition($0) }) {
        await withCheckedContinuation { continuation in
          let isDone = self.state.withLock { state in
            // A task is cancelled before its handler below takes the lock, so no waiter is overlooked.
            if Task.isCancelled || condition(state) { return true }
            state.waiters.append(continuation)
            return false
          }
          if isDone { continuation.resume() }
        }
      }
    } onCancel: {
      // All look again; those who are not cancelled wait on.
      self.change { _ in }
    }
  }
}
