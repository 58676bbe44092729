package import NetBase

/// One subscription, made or received, for its life (RFC 6665).
package struct SubscriptionID: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64
  init(value: UInt64) { self.value = value }
  package var description: String { "subscription \(self.value)" }
}

/// A SUBSCRIBE of a peer for a package that the configuration names: the user owes `acceptSubscription` or
/// `rejectSubscription`.
package struct IncomingSubscription: Sendable {
  package let from: NameAddress
  package let to: NameAddress
  package let requestURI: SIPURI
  /// The event package, with its parameters but `id` left out.
  package let event: String
  /// Seconds that the peer asks for; 0 fetches the state once.
  package let expires: Int
  package let headers: SIPHeaders
  package let body: SIPBody?
  package let source: SocketAddress
}

/// A SUBSCRIBE to be sent.
package struct OutgoingSubscription: Sendable {
  package var from: NameAddress
  package var to: NameAddress
  package var requestURI: SIPURI
  package var contact: SIPURI
  /// Where the request goes, in the order in which they are tried: at least one.
  package var targets: [SIPTarget]
  package var local: SocketAddress
  /// The event package: `message-summary`, `presence`, `dialog` …
  package var event: String
  /// The body types that a NOTIFY may have.
  package var accept: [String]
  /// Seconds; 0 fetches the state once.
  package var expires: Int
  package var headers: [(String, String)]
  package var body: SIPBody?
  package var routeSet: [NameAddress]

  /// - Parameters:
  ///   - requestURI: the URI of `to` when nil.
  ///   - targets: at least one.
  package init(
    from: NameAddress, to: NameAddress, requestURI: SIPURI? = nil, contact: SIPURI, targets: [SIPTarget],
    local: SocketAddress, event: String, accept: [String] = [],
    expires: Int = 3600, headers: [(String, String)] = [], body: SIPBody? = nil, routeSet: [NameAddress] = []
  ) {
    (self.from, self.to, self.requestURI, self.contact) = (from, to, requestURI ?? to.uri, contact)
    precondition(!targets.isEmpty, "a SUBSCRIBE without a target")
    (self.targets, self.local) = (targets, local)
    (self.event, self.accept, self.expires) = (event, accept, expires)
    (self.headers, self.body, self.routeSet) = (headers, body, routeSet)
  }
}

/// The value of Subscription-State (RFC 6665 §4.1.3).
package enum SubscriptionState: Hashable, Sendable {
  /// The notifier has not decided yet.
  case pending
  case active
  case terminated
}

/// A NOTIFY of a subscription of ours; its body is whatever the package defines.
package struct SIPNotification: Sendable {
  package let event: String
  package let state: SubscriptionState
  package let body: SIPBody?
  package let headers: SIPHeaders
}

/// Why a subscription is over.
package enum SubscriptionEnd: Hashable, Sendable {
  /// We ended it, or it was a fetch that has brought its state.
  case local
  /// The notifier ended it: its reason (`deactivated`, `rejected`, `noresource` …), and after how many seconds it asks
  /// to be tried again.
  case terminated(reason: String, retryAfter: Int?)
  /// At the notifier: the subscriber ended it.
  case unsubscribed
  /// A SUBSCRIBE or a NOTIFY was refused.
  case refused(status: Int, reason: String)
  /// It ran out, or there was no response or no first NOTIFY in time.
  case timeout
  case unreachable(String)
}
