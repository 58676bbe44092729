internal import ModuleKit
internal import SIPStack

/// The keys that say what strangers may use of the SIP endpoint; the names are ours, for baresip has no such limits.
///
/// `sipstat` has the counter of each, `config` the limits in force.
enum LimitKeys {
  struct Limit: Sendable {
    let key: ConfigKey
    let path: any WritableKeyPath<SIPLimits, Int> & Sendable

    init(
      _ name: String, _ range: ClosedRange<Int>, _ path: any WritableKeyPath<SIPLimits, Int> & Sendable, _ help: String
    ) {
      self.key = ConfigKey(name, .integer(range), default: String(SIPLimits()[keyPath: path]), help: help)
      self.path = path
    }
  }

  static let all = [
    Limit("sip_max_message", 1_000...65_536, \.messageLength, "Longest SIP message, in bytes; a longer one gets 400."),
    Limit("sip_max_header", 1_000...65_536, \.headerLength, "Longest header section of a SIP message, in bytes."),
    Limit("sip_max_headers", 20...256, \.headerCount, "Most header lines of a SIP message."),
    Limit("sip_max_body", 500...65_536, \.bodyLength, "Longest body of a SIP request, SDP too, in bytes; then 413."),
    Limit("sip_max_transactions", 1...1_000_000, \.serverTransactions, "Requests at work; more are dropped."),
    Limit(
      "sip_max_sessions", 1...1_000_000, \.sessions,
      "Calls at work, ringing ones too; more INVITEs get 503 with Retry-After."),
    Limit(
      "sip_max_invites", 1...1_000_000, \.invitesPerSecond,
      "INVITEs without a right digest that one host may send in a second; then 503."),
    Limit(
      "sip_max_requests", 1...1_000_000, \.requestsPerSecond,
      "Other requests without a right digest that one host may send in a second; then 503."),
    Limit(
      "sip_max_bad_digests", 1...1_000_000, \.badDigestsPerMinute,
      "Wrong digests that one host may send in a minute; then its requests are dropped."),
    Limit("sip_retry_after", 1...3_600, \.retryAfter, "Seconds that Retry-After of a 503 says."),
  ]

  static func limits(_ values: CoreValues) -> SIPLimits {
    var limits = SIPLimits()
    for limit in self.all { limits[keyPath: limit.path] = values.integer(limit.key) }
    return limits
  }
}

extension Configuration {
  /// As many calls as come, for a program that measures them: what one host may ask for is not what is looked for.
  package mutating func liftCallLimits() {
    (self.sipLimits.invitesPerSecond, self.sipLimits.sessions) = (1_000_000, 1_000_000)
    self.sipLimits.serverTransactions = 1_000_000
  }
}
