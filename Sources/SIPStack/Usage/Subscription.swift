internal import NetBase

/// One subscription at this end: SUBSCRIBE's usage of its dialog, or that of a REFER (RFC 6665, RFC 3515). The endpoint
/// drives it.
final class Subscription {
  enum Role { case subscriber, notifier }

  /// A NOTIFY of ours that waits for the one before it.
  struct Notice {
    var state: SubscriptionState
    /// Of a terminated one.
    var reason: String?
    var body: SIPBody?
    var headers: [(String, String)] = []
  }

  let id: SubscriptionID
  let timer: DeadlineHeap.Slot
  let role: Role
  /// Whether a REFER made it.
  let isRefer: Bool
  /// The package with its parameters, `id` left out.
  let event: String
  /// The `id` parameter of Event.
  var eventID: String?
  var start: SIPPath
  var contact: NameAddress
  /// Whose credentials its requests carry.
  var account: SIPAccountID?
  /// At the subscriber nil until the first response or NOTIFY.
  var record: DialogRecord?
  /// The SUBSCRIBE, REFER or NOTIFY of ours that has no final response.
  var request: ClientTransaction?
  /// At the notifier: the SUBSCRIBE or REFER that the user has not answered.
  var pending: ServerTransaction?
  /// At the notifier: what waits until the NOTIFY before it is answered.
  var notices: [Notice] = []
  var state = SubscriptionState.pending
  /// The last body that was sent, for a refresh.
  var lastBody: SIPBody?
  /// Seconds that are asked for, or granted.
  var expires = 0
  /// Until when the last 2xx has granted it.
  var grantedUntil: Instant?
  var refreshAt: Instant?
  /// When it is over without more words.
  var expiresAt: Instant?
  var accept: [String] = []
  var headers: [(String, String)] = []
  /// The name under which a first NOTIFY finds it.
  var halfDialog: DialogID?
  /// Whether SUBSCRIBE was refused as too brief already.
  var wasTooBrief = false
  /// Whether the first NOTIFY has come.
  var isNotified = false
  /// Over for the user; only what is in flight is waited for.
  var hasEnded = false

  init(
    id: SubscriptionID, timer: DeadlineHeap.Slot, role: Role, isRefer: Bool, event: String, eventID: String?,
    start: SIPPath, contact: NameAddress
  ) {
    (self.id, self.timer, self.role, self.isRefer) = (id, timer, role, isRefer)
    (self.event, self.eventID, self.start, self.contact) = (event, eventID, start, contact)
  }

  /// How many NOTIFY may wait; the oldest that says nothing final is left out then.
  static let maximumNotices = 8

  var refer: ReferID { ReferID(value: self.id.value) }

  var nextDeadline: Instant? { [self.refreshAt, self.expiresAt].compactMap(\.self).min() }

  /// The value of Event.
  var eventValue: String { self.event + (self.eventID.map { ";id=\($0)" } ?? "") }

  /// The package's name, without parameters.
  var package: String { Self.split(self.event).package }

  /// Takes Event apart: the package, its parameters without `id`, and the id.
  static func split(_ value: String) -> (package: String, event: String, id: String?) {
    var scanner = TextScanner(value)
    scanner.skipWhitespace()
    let name = scanner.take(while: \.isToken)
    var parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter }) ?? SIPParameters()
    let id = parameters["id"]
    parameters["id"] = nil
    return (name, name + parameters.description, id)
  }
}

/// The value of Subscription-State (RFC 6665 §8.2.3).
struct SubscriptionStateValue {
  var state: SubscriptionState
  var expires: Int?
  var reason: String?
  var retryAfter: Int?

  /// Nil without a state; an unknown one counts as active.
  init?(_ text: String) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    let word = scanner.take(while: \.isToken)
    guard !word.isEmpty else { return nil }
    let parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter }) ?? SIPParameters()
    if word.isSame(ignoringCaseOf: "terminated") {
      self.state = .terminated
    } else {
      self.state = word.isSame(ignoringCaseOf: "pending") ? .pending : .active
    }
    self.expires = parameters["expires"]?.decimal(upTo: Int(Int32.max))
    self.retryAfter = parameters["retry-after"]?.decimal(upTo: Int(Int32.max))
    self.reason = parameters["reason"]
  }
}
