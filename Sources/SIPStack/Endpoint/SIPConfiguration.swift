/// What an endpoint says about itself, and its base timers.
package struct SIPConfiguration: Sendable {
  /// The value of User-Agent and Server.
  package var userAgent: String
  /// The methods that are answered by more than 405.
  package var allow: [SIPMethod]
  /// The option tags for Supported; a Require that names another gets 420.
  package var supported: [String]
  /// The body types that are understood; an INVITE with another gets 415.
  package var accept: [String]
  /// 100rel and session timers of calls for which nothing else is said.
  package var policy: CallPolicy
  /// The event packages that peers may subscribe to; others get 489.
  package var eventPackages: [String]
  /// What the answer to OPTIONS carries.
  package var optionsBody: SIPBody?
  /// What stands for our address in the Via of requests over WebSocket (RFC 7118 §5.1); nil for the address.
  package var webSocketHost: String?
  package var t1: Duration
  package var t2: Duration
  package var t4: Duration
  /// What strangers may use.
  package var limits: SIPLimits
  /// Computes the hashes of digests; without it no challenge is answered and none is made.
  package var digest: DigestFunction?
  /// How long a nonce of ours may be used.
  package var nonceLifetime: Duration
  /// The longest request that goes by UDP, in bytes (RFC 3261 §18.1.1).
  package var maximumDatagram: Int
  /// Whether a longer one goes over TCP, and over UDP all the same only when that fails.
  package var usesTCPForLargeRequests: Bool
  /// Whether a MESSAGE outside a call waits for the user's answer (`incomingRequest`); else it gets 200 at once and is
  /// told by `instantMessage`.
  package var messagesAwaitAnswer: Bool
  /// Where no redirect leads us.
  package var tollNumbers: TollNumbers

  package init(
    userAgent: String = "Apus",
    allow: [SIPMethod] = [
      .invite, .ack, .cancel, .bye, .options, .update, .prack, .info, .message, .refer, .subscribe, .notify,
    ],
    supported: [String] = ["replaces", "norefersub"], accept: [String] = ["application/sdp"],
    optionsBody: SIPBody? = nil, policy: CallPolicy = CallPolicy(), eventPackages: [String] = [],
    t1: Duration = .milliseconds(500), t2: Duration = .seconds(4), t4: Duration = .seconds(5),
    limits: SIPLimits = SIPLimits(), digest: DigestFunction? = nil, nonceLifetime: Duration = .seconds(300),
    maximumDatagram: Int = 1_300, usesTCPForLargeRequests: Bool = false,
    messagesAwaitAnswer: Bool = false, tollNumbers: TollNumbers = .standard
  ) {
    (self.userAgent, self.allow, self.supported, self.accept) = (userAgent, allow, supported, accept)
    (self.optionsBody, self.t1, self.t2, self.t4) = (optionsBody, t1, t2, t4)
    (self.limits, self.digest, self.nonceLifetime) = (limits, digest, nonceLifetime)
    (self.maximumDatagram, self.usesTCPForLargeRequests) = (maximumDatagram, usesTCPForLargeRequests)
    self.messagesAwaitAnswer = messagesAwaitAnswer
    (self.policy, self.eventPackages, self.tollNumbers) = (policy, eventPackages, tollNumbers)
  }

  func timers(_ transport: SIPTransportKind) -> TransactionTimers {
    TransactionTimers(t1: self.t1, t2: self.t2, t4: self.t4, isReliable: transport.isReliable)
  }
}

/// What an endpoint has seen, sent and dropped since it was made.
package struct SIPCounters: Hashable, Sendable {
  package var requestsReceived = 0
  package var responsesReceived = 0
  package var requestsSent = 0
  package var responsesSent = 0
  /// Copies of our own messages that timers or copies of the peer's messages called for.
  package var retransmissionsSent = 0
  /// Copies of requests that a transaction knew already.
  package var retransmissionsReceived = 0
  /// Messages that were not SIP, or not sound; some were answered with 400.
  package var malformed = 0
  /// Datagrams of line ends only, and answers to our STUN requests.
  package var keepAlives = 0
  /// STUN messages that nobody had asked for: dropped.
  package var strayKeepAlives = 0
  /// Responses that belong to no transaction: dropped.
  package var unmatchedResponses = 0
  /// ACKs that belong to no dialog: dropped.
  package var unmatchedAcknowledgements = 0
  /// Requests that were refused before any session saw them.
  package var refusedRequests = 0
  /// Requests dropped because too many transactions live.
  package var overloaded = 0
  /// INVITEs refused with 503 because too many calls live.
  package var refusedSessions = 0
  /// Requests refused with 503 because one host sent too many in a second.
  package var rateLimited = 0
  /// Requests whose body was too long, refused with 413.
  package var bodiesTooLong = 0
  /// Requests with a digest that is wrong.
  package var badDigests = 0
  /// Requests dropped because their host had sent too many wrong digests.
  package var blockedSources = 0
  /// Requests of ours that a peer refused whatever password or digest we have.
  package var refusedPasswords = 0
  /// Redirects that were followed.
  package var redirects = 0
  /// Targets of redirects that were left out because they are toll numbers.
  package var tollRedirects = 0
  /// Requests that went over TCP because they were too large for a datagram.
  package var enlarged = 0
  /// Pings of ours that keep a flow alive, and those that brought no pong.
  package var pingsSent = 0
  package var missedPongs = 0
  /// 2xx of forks that lost: acknowledged, then hung up.
  package var forkedAnswers = 0
  /// Client transactions that ended because the transport could not reach the peer.
  package var transportFailures = 0
  /// Requests that went to their next target because one failed, did not answer, or said 503.
  package var failovers = 0

  package init() {}

  /// Everything that was thrown away without effect.
  package var dropped: Int {
    self.malformed + self.strayKeepAlives + self.unmatchedResponses + self.unmatchedAcknowledgements + self.overloaded
      + self.blockedSources
  }
}

/// How much an endpoint holds at this moment; all zero when it has nothing left to do.
package struct SIPCensus: Hashable, Sendable {
  package var clientTransactions: Int
  package var serverTransactions: Int
  package var sessions: Int
  package var subscriptions: Int
  package var dialogs: Int
  package var timers: Int
  package var mergeKeys: Int
  package var registrations: Int
  /// Requests that wait for the user's answer.
  package var incomingRequests: Int
  /// Questions for the place of a URI.
  package var locations: Int

  package init(
    clientTransactions: Int = 0, serverTransactions: Int = 0, sessions: Int = 0, subscriptions: Int = 0,
    dialogs: Int = 0, timers: Int = 0, mergeKeys: Int = 0, registrations: Int = 0, incomingRequests: Int = 0,
    locations: Int = 0
  ) {
    (self.clientTransactions, self.serverTransactions, self.sessions) = (
      clientTransactions, serverTransactions, sessions
    )
    (self.subscriptions, self.dialogs, self.timers, self.mergeKeys) = (subscriptions, dialogs, timers, mergeKeys)
    (self.registrations, self.incomingRequests, self.locations) = (registrations, incomingRequests, locations)
  }
}
