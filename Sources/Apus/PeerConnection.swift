internal import ModuleKit
internal import UACore

/// A call without SIP: the program carries its descriptions to the peer and back, as the page of a browser does, by
/// whatever way it has. An offer and its answer (RFC 3264), each a text of SDP (RFC 8866), make one; later ones change it.
///
/// Media is encrypted by DTLS-SRTP, on one transport with its RTCP, and goes where ICE has checked that the peer is; a peer
/// without ICE gets it where its description says. Our descriptions have every candidate of ours, but for
/// `Configuration.tricklesCandidates`. The peer's may come after its description (`add(candidate:)`).
///
/// Every method may be called from any task. A connection that the program no longer keeps is closed, unless it keeps its
/// `call`; the streams of that alone are not enough.
public final class PeerConnection: Sendable {
  /// What happens, what the peer says, and the figures at the end.
  public let call: Call
  private let id: CallID
  private let agent: UACore.UserAgent

  init(id: CallID, call: Call, agent: UACore.UserAgent) {
    (self.id, self.call, self.agent) = (id, Call(endingWhenDropped: call), agent)
  }

  /// An offer for the peer; `accept(answer:)` takes what it answers.
  ///
  /// - Throws: when an offer waits for its answer already, or the connection is over.
  public func offer() async throws(ApusError) -> String {
    do {
      return String(decoding: try await self.agent.makeOffer(self.id), as: UTF8.self)
    } catch { throw ApusError(error) }
  }

  /// The answer to the peer's offer.
  ///
  /// - Throws: when the offer can't be used; what was agreed before stands.
  public func answer(to offer: String) async throws(ApusError) -> String {
    do {
      return String(decoding: try await self.agent.makeAnswer(self.id, to: Array(offer.utf8)), as: UTF8.self)
    } catch { throw ApusError(error) }
  }

  /// Takes the peer's answer to the last offer.
  ///
  /// - Throws: when the answer can't be used; the offer still waits then.
  public func accept(answer: String) async throws(ApusError) {
    do { try await self.agent.takeAnswer(self.id, Array(answer.utf8)) } catch { throw ApusError(error) }
  }

  /// Takes a candidate that the peer has found since its last description (RFC 8838), as a browser's `onicecandidate` tells it.
  ///
  /// What can't be used is passed over: TCP, a name instead of an address, an empty text.
  ///
  /// - Parameters:
  ///   - candidate: `candidate:` and the rest of the line (RFC 8839 §5.1), with or without `a=` before it.
  ///   - mediaID: the line's `mid`, a browser's `sdpMid`; nil for the audio's.
  /// - Throws: when the peer has described nothing yet, or has no ICE; when the candidate says that it belongs to another
  ///   description than the last; when the connection is over.
  public func add(candidate: String, mediaID: String? = nil) async throws(ApusError) {
    var value = candidate[...]
    for prefix in ["a=", "candidate:"] where value.hasPrefix(prefix) { value = value.dropFirst(prefix.count) }
    let words = value.split(separator: " ")
    let fragment = words.firstIndex(of: "ufrag").flatMap { $0 + 1 < words.count ? String(words[$0 + 1]) : nil }
    do {
      try await self.agent.add(candidates: [String(value)], of: fragment, for: mediaID, to: self.id)
    } catch { throw ApusError(error) }
  }

  /// Drops the last offer, for the peer refused it; what was agreed before stands.
  public func rollBack() async throws(ApusError) {
    do { try await self.agent.rollback(self.id) } catch { throw ApusError(error) }
  }

  /// Makes the next offer begin ICE anew (RFC 8445 §9); media goes on as before until another way is found,
  /// over an address that the connection has had from the start: one of a network that came later is none.
  ///
  /// - Returns: false before the peer's first description, and with a peer that has no ICE.
  public func restartICE() async throws(ApusError) -> Bool {
    do { return try await self.agent.restartConnectivity(of: self.id) } catch { throw ApusError(error) }
  }

  /// Says good-bye to the peer (RTCP BYE, DTLS close-notify) and frees the sockets; the call's `ended` event follows.
  public func close() async { await self.agent.hangUp(self.id) }
}
