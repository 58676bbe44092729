internal import NetBase

/// One binding in the endpoint's table; the endpoint drives it.
final class Registration {
  enum State {
    /// A REGISTER is on its way, or its target is looked for; `attempt` tells which answers are stale.
    case registering
    /// The binding stands until its refresh.
    case registered
    /// The next try waits.
    case waiting
    /// Nothing more by itself: the password is wrong.
    case stopped
    /// REGISTER with `expires=0` is on its way.
    case leaving
  }

  let id: RegistrationID
  let timer: DeadlineHeap.Slot
  var settings: RegistrationSettings
  var state = State.registering
  let callID: String
  let fromTag: String
  var sequence: UInt32 = 0
  /// What is asked for, in seconds; a 423 raises it.
  var interval: Int
  /// Counts every new try, so that the end of an old one is told apart.
  var attempt = 0
  /// Which of the servers is tried.
  var server = 0
  /// How many servers in a row have failed in this round.
  var failedServers = 0
  /// Rounds that failed one after another (RFC 5626 §4.5).
  var failures = 0
  /// Since when the binding stands.
  var boundSince: Instant?
  /// Bindings whose flow broke before `baseWait` was over, one after another.
  var briefBindings = 0
  /// 423 in a row.
  var tooBrief = 0
  var isBound = false
  /// Whether REGISTER has to be taken back once what is on its way has ended.
  var wantsToLeave = false
  var contact: NameAddress?
  /// Contacts that were bound by mistake, or before we moved; each REGISTER takes them back until one succeeds.
  var formerContacts: [NameAddress] = []
  /// The contact that was bound when the user, or a change of network, asked for a new REGISTER.
  var boundContact: NameAddress?
  var hasCorrected = false
  /// The REGISTER of ours that has no final response; another one was overtaken, and its end says nothing.
  var request: ClientTransaction?
  /// The path that the binding, or the try, uses.
  var path: SIPPath?
  /// Refresh, or next try.
  var due: Instant?
  /// The next ping, and until when its pong must come.
  var ping: (interval: Duration, next: Instant)?
  var pongBy: Instant?
  var expectsPong = false
  /// Over UDP with outbound, what asks in place of line ends where the edge knows it; of this flow.
  var probe: FlowProbe?

  /// How long a pong may take (RFC 5626 §4.4.1).
  static let pongPatience = Duration.seconds(10)
  /// Waits after failures: the first, and the longest (RFC 5626 §4.5).
  static let baseWait = Duration.seconds(30)
  static let maximumWait = Duration.seconds(1_800)
  /// A registrar that always wants longer gets no more than this.
  static let maximumInterval = 7 * 86_400

  init(id: RegistrationID, timer: DeadlineHeap.Slot, settings: RegistrationSettings, callID: String, fromTag: String) {
    (self.id, self.timer, self.settings) = (id, timer, settings)
    (self.callID, self.fromTag, self.interval) = (callID, fromTag, settings.interval)
  }

  var nextDeadline: Instant? { [self.due, self.ping?.next, self.pongBy, self.probe?.next].compactMap(\.self).min() }

  /// The binding, or the try, uses `path` from now on; what was probed is the flow of that, or nothing.
  func leads(over path: SIPPath) {
    if self.path?.isElsewhere(than: path) == true { self.probe = nil }
    self.path = path
  }

  /// Whether the binding has stood for `baseWait`.
  func hasLasted(until now: Instant) -> Bool { self.boundSince.map { now >= $0.advanced(by: Self.baseWait) } ?? false }

  /// The upper bound of the wait after so many failed rounds (RFC 5626 §4.5).
  static func wait(afterFailures failures: Int) -> Duration {
    min(self.maximumWait, self.baseWait * (1 << min(failures, 6)))
  }
}
