internal import NetBase

/// One call at this end: the INVITE's usage of its dialogs (RFC 3261 §13, §14, §15). The endpoint drives it.
final class InviteSession {
  enum State {
    /// Our INVITE has no final response yet.
    case calling(ClientTransaction, HangUp)
    /// The 2xx brought an offer; its ACK waits for the user's answer.
    case owingAcknowledgement(ClientTransaction)
    /// The peer's INVITE has no final response yet.
    case incoming(ServerTransaction)
    /// Our 2xx is sent, its ACK has not come.
    case answered
    case confirmed
    /// Over for the user: a BYE is in flight, or waits for the ACK of our 2xx (RFC 3261 §15).
    case leaving
  }

  /// How far the user's hang-up of an unanswered INVITE is.
  enum HangUp {
    case no
    /// CANCEL must wait for the first provisional response (RFC 3261 §9.1).
    case deferred
    case cancelSent
  }

  /// A 2xx that is repeated until its ACK comes (RFC 3261 §13.3.1.4).
  struct UnacknowledgedAnswer {
    var sequence: UInt32
    var bytes: [UInt8]
    var path: SIPPath
    /// The port that it goes to when its connection is gone (RFC 3261 §18.2.2).
    let viaPort: UInt16
    var backoff: Backoff
    var limit: Instant
    /// When it is taken for acknowledged, since we have moved and its ACK may have gone where we were.
    var isTakenAt: Instant?
    /// Whether it carries the offer, so that the ACK brings the answer.
    var isOffer: Bool
    var isReoffer: Bool
  }

  /// A re-INVITE or an UPDATE of ours.
  struct Reoffer {
    enum Purpose { case user, refresh }

    var method: SIPMethod
    var body: SIPBody?
    var purpose: Purpose
    var record: DialogRecord
    var headers: [(String, String)] = []
    var attempt = 1
    /// Whether it left before the session stood, so that it asked for no session timer.
    var wasEarly = false

    /// Whether it is an offer, or asks for one; an UPDATE without a body is neither.
    var hasOffer: Bool { self.method == .invite || self.body != nil }
  }

  enum OutgoingReoffer {
    case sent(ClientTransaction, Reoffer)
    /// 491 came: again at that time (RFC 3261 §14.1).
    case backingOff(until: Instant, Reoffer)
  }

  /// The peer's re-INVITE, UPDATE or PRACK that the user has not answered.
  struct IncomingReoffer {
    var transaction: ServerTransaction
    var record: DialogRecord
    /// Whether it came before the session stood.
    var wasEarly = false
  }

  let id: SessionID
  let timer: DeadlineHeap.Slot
  /// Whether the INVITE was ours, and with it the Call-ID.
  let isCaller: Bool
  /// Where the peer reaches us.
  var contact: NameAddress
  let policy: CallPolicy
  var state: State
  /// The dialog, from the INVITE on at the callee, from the 2xx on at the caller.
  var dialog: DialogRecord?
  /// The caller's dialogs before the 2xx, one for each fork that answered so far.
  var earlyDialogs: [DialogRecord] = []
  var answer: UnacknowledgedAnswer?
  var outgoingReoffer: OutgoingReoffer?
  var incomingReoffer: IncomingReoffer?
  /// Reliable provisional responses; nil when they are not used.
  var reliable: ReliableProvisionals?
  /// When the session is refreshed and when it expires; nil without an agreement (RFC 4028).
  var sessionTimer: SessionTimer?
  /// The number of the peer's INVITE; nil at the caller.
  var inviteSequence: CSeq?
  /// The largest Min-SE that a 422 has named, in seconds.
  var minimumInterval: Int?
  /// What the peer's messages said that it can do.
  var peer = PeerCapabilities()
  /// The last offer or answer of ours, for a refresh by re-INVITE.
  var localDescription: SIPBody?
  /// The call that ends when this one is accepted (RFC 3891).
  var replaces: SessionID?
  /// Header fields of the BYE, which may have to wait for its ACK, or to be sent again.
  var byeHeaders: [(String, String)] = []
  /// How many BYEs of ours came too late to have their number taken.
  var lateByes = 0
  /// When the last provisional response is repeated, lest proxies give up (RFC 3261 §13.3.1.1).
  var provisionalRefresh: Instant?
  var hasEnded = false
  /// Whose credentials its requests carry.
  var account: SIPAccountID?

  init(
    id: SessionID, timer: DeadlineHeap.Slot, isCaller: Bool, contact: NameAddress, policy: CallPolicy,
    state: State, dialog: DialogRecord? = nil
  ) {
    (self.id, self.timer, self.isCaller, self.contact) = (id, timer, isCaller, contact)
    (self.policy, self.state, self.dialog) = (policy, state, dialog)
  }

  /// Whether the INVITE has no final response yet.
  var isEarly: Bool {
    switch self.state {
    case .calling, .incoming: true
    case .owingAcknowledgement, .answered, .confirmed, .leaving: false
    }
  }

  /// The dialog of our own open offer.
  var outgoingRecord: DialogRecord? {
    switch self.outgoingReoffer {
    case .sent(_, let reoffer)?, .backingOff(_, let reoffer)?: reoffer.record
    case nil: nil
    }
  }

  /// The dialog with this name.
  func record(_ id: DialogID) -> DialogRecord? {
    self.dialog?.id == id ? self.dialog : self.earlyDialogs.first { $0.id == id }
  }

  /// Interval between copies of a provisional response.
  static let provisionalInterval = Duration.seconds(60)
  /// How often one re-INVITE is tried before its 491 counts as a refusal.
  static let maximumReofferAttempts = 8
  /// How often a BYE that was overtaken is sent again.
  static let maximumLateByes = 2
  /// How many forks of one INVITE are followed; more are ignored.
  static let maximumForks = 32

  var nextDeadline: Instant? {
    var deadlines = [
      self.provisionalRefresh, self.answer.map { min($0.backoff.next, $0.limit, $0.isTakenAt ?? $0.limit) },
      self.reliable?.nextDeadline,
      self.sessionTimer?.nextDeadline,
    ]
    if case .backingOff(let until, _)? = self.outgoingReoffer { deadlines.append(until) }
    return deadlines.compactMap(\.self).min()
  }

}

extension Dialog {
  /// Where the next request goes: the address in its next hop, else where the call began.
  func path(from start: SIPPath) -> SIPPath {
    // Nobody can be called at an address of his but over the WebSocket that there is, or to the server that was called;
    // what a server names of itself may be an address behind its proxy (RFC 7118 §5).
    if start.transport.isWebSocket { return start }
    var path = start
    if var hop = self.nextHop {
      // A Contact names no scope; a link-local peer is reached over the interface that it came from.
      if hop.isSameHost(as: start.peer) { hop.scope = start.peer.scope }
      // Who keeps a connection with us is reached over it, whatever port his Contact names.
      if path.flow != nil, hop.isSameHost(as: start.peer) { return path }
      if hop != start.peer { path.flow = nil }
      path.peer = hop
    }
    return path
  }
}
