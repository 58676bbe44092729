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
    var backoff: Backoff
    var limit: Instant
    /// Whether it carries the offer, so that the ACK brings the answer.
    var isOffer: Bool
    var isReoffer: Bool
  }

  /// Our re-INVITE.
  enum OutgoingReoffer {
    case sent(ClientTransaction, SIPBody, attempt: Int)
    /// 491 came: again at that time (RFC 3261 §14.1).
    case backingOff(until: Instant, SIPBody, attempt: Int)
  }

  let id: SessionID
  let timer: DeadlineHeap.Slot
  /// Whether the INVITE was ours, and with it the Call-ID.
  let isCaller: Bool
  let contact: NameAddress
  var path: SIPPath
  var state: State
  /// The dialog, from the INVITE on at the callee, from the 2xx on at the caller.
  var dialog: Dialog?
  /// The caller's dialogs before the 2xx, one for each fork that answered so far.
  var earlyDialogs: [Dialog] = []
  var answer: UnacknowledgedAnswer?
  var outgoingReoffer: OutgoingReoffer?
  /// The peer's re-INVITE or UPDATE that the user has not answered.
  var incomingReoffer: ServerTransaction?
  /// When the last provisional response is repeated, lest proxies give up (RFC 3261 §13.3.1.1).
  var provisionalRefresh: Instant?
  var hasEnded = false
  /// Whose credentials its requests carry.
  var account: SIPAccountID?

  init(
    id: SessionID, timer: DeadlineHeap.Slot, isCaller: Bool, contact: NameAddress, path: SIPPath, state: State,
    dialog: Dialog? = nil
  ) {
    (self.id, self.timer, self.isCaller, self.contact) = (id, timer, isCaller, contact)
    (self.path, self.state, self.dialog) = (path, state, dialog)
  }

  /// Interval between copies of a provisional response.
  static let provisionalInterval = Duration.seconds(60)
  /// How often one re-INVITE is tried before its 491 counts as a refusal.
  static let maximumReofferAttempts = 8
  /// How many forks of one INVITE are followed; more are ignored.
  static let maximumForks = 32

  var nextDeadline: Instant? {
    var deadlines = [self.provisionalRefresh, self.answer.map { min($0.backoff.next, $0.limit) }]
    if case .backingOff(let until, _, _)? = self.outgoingReoffer { deadlines.append(until) }
    return deadlines.compactMap(\.self).min()
  }

}

extension Dialog {
  /// Where the next request goes: the address in its next hop, else where the call began.
  func path(from start: SIPPath) -> SIPPath {
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
