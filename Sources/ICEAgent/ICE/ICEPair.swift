internal import NetBase

/// A base of ours and a candidate of the peer's (RFC 8445 §6.1.2.2).
///
/// Server-reflexive candidates are paired by their base, so no pair has one (§6.1.2.4); what a check finds to be the
/// mapped address changes nothing of where data leaves and goes, so the pair that was checked is the valid one itself.
struct ICEPair {
  enum State { case frozen, waiting, inProgress, succeeded, failed }

  let id: Int
  let base: Int
  var remote: ICECandidate
  let localFoundation: String
  let localPriority: UInt32
  var state = State.frozen
  var priority: UInt64 = 0
  /// When its last check left.
  var startedAt = Instant(nanoseconds: 0)
  /// Both sides can be heard over it.
  var isValid: Bool { self.state == .succeeded }
  var isNominated = false
  /// The peer has nominated it, and our own check is not through.
  var isNominatedByPeer = false

  var component: Int { self.remote.component }
  var foundation: String { "\(self.localFoundation):\(self.remote.foundation)" }

  /// RFC 8445 §6.1.2.3.
  mutating func setPriority(_ role: ICERole) {
    let (ours, theirs) = (UInt64(self.localPriority), UInt64(self.remote.priority))
    let (controlling, controlled) = role == .controlling ? (ours, theirs) : (theirs, ours)
    self.priority = min(ours, theirs) << 32 + 2 * max(ours, theirs) + (controlling > controlled ? 1 : 0)
  }
}

/// A request that waits for its response.
struct ICETransaction {
  enum Purpose: Hashable {
    case check(pair: Int, nominates: Bool, role: ICERole)
    case consent(component: Int)
    case gathering(Int)
  }

  let id: STUNTransactionID
  let purpose: Purpose
  let bytes: [UInt8]
  let base: Int
  let destination: SocketAddress
  /// What a response is authenticated with; nil for a server that asked for nothing.
  let key: STUNKey?
  /// When it goes again, or is given up.
  var due: Instant
  /// Milliseconds.
  var timeout: Int64
  var sends = 1
  /// It is not sent again, and its end says nothing; a response still counts (RFC 8445 §7.3.1.4).
  var isCancelled = false
  /// Its answer has come, or is not wanted any more: another changes nothing.
  var isAnswered = false

  /// RFC 8489 §6.2.1.
  static let maximumSends = 7
  static let lastWait: Int64 = 8_000
  static let initialTimeout: Int64 = 500
}

/// One question to one server from one base.
struct ICEGatheringTask {
  enum State { case waiting, inProgress, done, failed }

  let server: Int
  let base: Int
  /// Whether a description waits for the answer.
  var isAwaited: Bool
  /// What a TURN server is asked for, which knows its own way.
  var allocation: Int?
  var state = State.waiting
  /// Why it has failed, a sentence for the user.
  var failure: String?
  var credentials: LongTermCredentials?
  var attempts = 0
  /// When the binding is refreshed, until a pair is selected.
  var keepalive: Instant?

  var isOver: Bool { self.state == .done || self.state == .failed }
}

/// The peer's continued consent on the pair in use (RFC 7675).
struct ICEConsent {
  let pair: ICESelectedPair
  let local: ICECredentials
  let remote: ICECredentials
  var lastAnswer: Instant
  var next: Instant

  static let expiry: Int64 = 30_000
}
