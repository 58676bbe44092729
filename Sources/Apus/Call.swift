internal import Handoff
internal import ModuleKit
internal import Synchronization
internal import UACore

/// One call of a `UserAgent`.
///
/// Every method may be called from any task, and in any state: what makes no sense in that state does nothing, if nothing
/// else is said. A call lives until it has ended, whether the program keeps it or not; one that is no longer wanted is
/// hung up. Only that of a `PeerConnection` ends by itself when the program keeps neither of the two.
public final class Call: Sendable, Identifiable {
  /// What became of something that was handed over for the peer.
  public enum QueueResult: Sendable {
    /// It waits for its turn.
    case accepted
    /// As much waits already as may wait; try again later.
    case full
    /// The call is over; so will it be for whatever comes later.
    case ended
  }

  /// What an INVITE that came in says.
  public struct Invitation: Sendable, Hashable {
    /// The URI that was called, the Request-URI (RFC 3261 §8.1.1.1), without a password.
    public let target: String
    /// What the caller calls itself, which anybody may be; nil without a name.
    public let displayName: String?
  }

  private struct State {
    /// Who tells what happens; until the end, for the program may have let go of it.
    var owner: UserAgent?
    var isEstablished = false
    var report: CallReport?
    var summary: Summary?
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// How many events wait for a slow reader: the peer makes them. The last one always finds room.
  private static let maximumEvents = 256

  /// Counts from 1 within an agent.
  public let id: UInt64
  /// Whom it is with: the caller's URI; what was given to `call(_:)`, word for word, with a password that stands in it;
  /// or the name of a `PeerConnection`.
  public let peer: String
  /// What happens to the call, in order, up to `ended`; for one reader, and a reader that is cancelled ends the stream.
  /// Of more than 256 that nobody has read the oldest are dropped.
  public let events: AsyncStream<Event>
  /// What the peer says: frames of 16-bit mono at the agent's sample rate; for one reader, and a reader that is
  /// cancelled ends the stream. Of more than 50 that nobody has read, a second of the usual 20 ms, the oldest are
  /// dropped (`Summary.unreadAudioFrames`).
  public let audio: AsyncStream<[Int16]>
  /// What the peer shows, frame by frame as it is encoded, each to be decoded after those before it; for one reader,
  /// and a reader that is cancelled ends the stream. Nothing without `Configuration.hasVideo`, or where the peer has no
  /// video. Of more than 60 that nobody has read the oldest are dropped, and the peer is asked for a key frame
  /// (`Summary.unreadVideoFrames`).
  public let video: AsyncStream<EncodedVideoFrame>
  /// An element each time that the peer can't decode what it has, and the next frame should be a key frame; for one reader.
  public let keyFrameRequests: AsyncStream<Void>
  private let continuation: AsyncStream<Event>.Continuation
  private let callID: CallID
  private let agent: UACore.UserAgent
  private let pipes: ProgramAudio.Pipes
  private let videoPipes: ProgramVideo.Pipes
  private let state: Locked<State>
  private let endsWhenDropped: Bool

  convenience init(
    id: CallID, peer: String, owner: UserAgent, agent: UACore.UserAgent, pipes: ProgramAudio.Pipes,
    videoPipes: ProgramVideo.Pipes
  ) {
    self.init(
      id: id, peer: peer, agent: agent, pipes: pipes, videoPipes: videoPipes, state: Locked(State(owner: owner)),
      events: AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(Self.maximumEvents)),
      endsWhenDropped: false)
  }

  /// The same call, which ends when nothing keeps this object any more: the agent keeps the other one until then.
  convenience init(endingWhenDropped call: Call) {
    self.init(
      id: call.callID, peer: call.peer, agent: call.agent, pipes: call.pipes, videoPipes: call.videoPipes,
      state: call.state, events: (call.events, call.continuation), endsWhenDropped: true)
  }

  private init(
    id: CallID, peer: String, agent: UACore.UserAgent, pipes: ProgramAudio.Pipes, videoPipes: ProgramVideo.Pipes,
    state: Locked<State>, events: (stream: AsyncStream<Event>, continuation: AsyncStream<Event>.Continuation),
    endsWhenDropped: Bool
  ) {
    (self.id, self.callID, self.peer, self.agent) = (id.number, id, peer, agent)
    (self.pipes, self.audio) = (pipes, pipes.heard)
    self.videoPipes = videoPipes
    (self.video, self.keyFrameRequests) = (videoPipes.seen, videoPipes.wishes)
    self.state = state
    (self.events, self.continuation) = events
    self.endsWhenDropped = endsWhenDropped
  }

  deinit {
    guard self.endsWhenDropped, self.report == nil else { return }
    let (agent, id) = (self.agent, self.callID)
    Task { await agent.hangUp(id) }
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

  /// Waits until the call is over, and tells how it was.
  ///
  /// - Throws: code `cancelled` where the task that waits was cancelled before; the call goes on.
  public func waitUntilEnded() async throws(ApusError) -> Summary {
    await self.wait { $0.summary != nil }
    guard let summary = self.state.withLock({ $0.summary }) else {
      throw ApusError(.cancelled, "the task that waited for the call's end was cancelled")
    }
    return summary
  }

  /// Asks what was sent and heard until now; how the call was, once it is over.
  ///
  /// - Throws: code `cancelled` where the task was cancelled before, and the call ends in that moment.
  public func statistics() async throws(ApusError) -> Summary {
    if let report = await self.agent.measuredReport(self.callID) {
      return Summary(report, audio: self.pipes, video: self.videoPipes)
    }
    // Where the agent knows it no more, it tells the end in a moment.
    return try await self.waitUntilEnded()
  }

  /// What the INVITE of a call that came in says; nil for every other call, and where the task is cancelled while the call
  /// ends.
  public func invitation() async -> Invitation? {
    let report = await self.agent.report(self.callID)
    // Where the agent knows it no more, it tells the end in a moment.
    if report == nil { await self.wait { $0.report != nil } }
    guard let known = report ?? self.report, !known.isOutgoing else { return nil }
    return Invitation(target: known.target, displayName: known.peerName)
  }

  /// Accepts a call that came in and waits for an answer.
  public func answer() async {
    await self.agent.holdOthers(than: self.callID)
    await self.agent.answer(self.callID)
  }

  /// Refuses a call that came in and waits for an answer.
  ///
  /// - Parameter status: 400 to 699 (RFC 3261 §21), for example 486, busy here, or 603, decline.
  /// - Throws: where it is another one.
  public func reject(status: Int = 486) async throws(ApusError) {
    guard (400...699).contains(status) else {
      throw ApusError(.configuration, "reject with status \(status): it takes 400 to 699")
    }
    await self.agent.reject(self.callID, status: status)
  }

  /// Ends the call, whatever its state: one that came in and was not answered is refused with 486, one of ours is cancelled.
  public func hangUp() async { await self.agent.hangUp(self.callID) }

  /// Asks the peer to call somebody else instead (REFER, RFC 5589 §6.1), for example `sip:carol@192.0.2.3`; it is held
  /// meanwhile. The call ends when the peer has reached them; otherwise `Event.transferFailed` tells why not, and
  /// it goes on.
  ///
  /// A lone word is a host.
  ///
  /// - Throws: where `target` is no SIP URI, or the call is not established or has no SIP.
  public func transfer(to target: String) async throws(ApusError) {
    do { try await self.agent.transfer(self.callID, to: target) } catch { throw ApusError(error) }
  }

  /// Holds the peer of an established call, or resumes: by an offer of ours, or in the next offer or answer of a call
  /// without SIP. While an offer is under way it waits for its turn.
  public func setHold(_ isHeld: Bool) async { await self.agent.setHold(self.callID, isHeld) }

  /// Sends silence, or sound again; nothing before the first description of a `PeerConnection`.
  public func setMuted(_ isMuted: Bool) async { await self.agent.mute(self.callID, isMuted) }

  /// Sends digits as telephone events (RFC 4733), where the peer takes them. Those for which there is no room or no audio
  /// yet are not sent.
  ///
  /// - Throws: where one is none of 0-9, *, # and A-D, before any is sent.
  public func send(digits: String) async throws(ApusError) {
    if let wrong = digits.first(where: { !"0123456789*#ABCDabcd".contains($0) }) {
      throw ApusError(.configuration, "\(wrong) can't be sent as a digit: there are 0-9, *, # and A-D")
    }
    await self.agent.send(digits: digits, on: self.callID)
  }

  /// Changes the SRTP keys while media flows.
  ///
  /// - Returns: false where the encryption can't, the call is not established, a change is under way, or there is no SIP.
  public func rekey() async -> Bool { await self.agent.rekey(self.callID) }

  /// Plays 16-bit mono samples at the agent's sample rate to the peer, after those handed over before.
  ///
  /// At most 256 blocks wait, of any length; the peer hears a block of 20 ms every 20 ms. Blocks wait from the start, also
  /// before the call is answered, and silence is sent while there is none. While the peer holds the call with music of its
  /// own, nothing is sent and they wait: for a live source call `stopPlaying` at `heldByPeer(false)`.
  @discardableResult
  public func play(_ samples: [Int16]) -> QueueResult { self.result(self.pipes.play(samples)) }

  /// Drops what `play` was given and the peer has not heard: what comes next is played at once, but for what is on its
  /// way already.
  public func stopPlaying() { self.pipes.stopPlaying() }

  /// Sends a frame to the peer, after those handed over before. At most 64 wait; after one that was not accepted the next
  /// should be a key frame.
  @discardableResult
  public func send(_ frame: EncodedVideoFrame) -> QueueResult { self.result(self.videoPipes.toPeer.post(frame)) }

  /// The video codec that was agreed on last, `VP8` or `H264`: what `video` has, and what `send` takes. It is known by
  /// `Event.established`; nil while there was no video.
  public var videoCodec: String? { self.videoPipes.encodingName.withLock { $0 } }

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
    case .transferFailed(_, let reason): self.continuation.yield(.transferFailed(reason))
    case .ended(let report):
      let summary = Summary(report, audio: self.pipes, video: self.videoPipes)
      self.change { ($0.report, $0.summary, $0.owner) = (report, summary, nil) }
      self.continuation.yield(.ended(report.reason))
      self.continuation.finish()
    default: break
    }
  }

  private var report: CallReport? { self.state.withLock { $0.report } }

  private func result(_ isTaken: Bool) -> QueueResult {
    if isTaken { return .accepted }
    // The lanes are closed after the report is there.
    return self.report == nil ? .full : .ended
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
