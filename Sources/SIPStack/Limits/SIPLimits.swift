/// What strangers may use of an endpoint. Each has a counter in `SIPCounters`.
package struct SIPLimits: Hashable, Sendable {
  /// The longest message, in bytes; a longer one is malformed. 65,536 at most.
  package var messageLength: Int
  /// The longest header section, in bytes.
  package var headerLength: Int
  /// The most header lines. 256 at most.
  package var headerCount: Int
  /// The longest body of an INVITE or of its answer, in bytes; a longer one gets 413.
  package var bodyLength: Int
  /// Server transactions that live; more requests are dropped.
  package var serverTransactions: Int
  /// Calls that live, ours and peers'; more INVITEs get 503 with Retry-After.
  package var sessions: Int
  /// INVITEs that make a call, without the digest that an account of ours asks for, from one host in a second; more get
  /// 503 with Retry-After.
  package var invitesPerSecond: Int
  /// Other requests in no dialog that is known, without such a digest, from one host in a second; more get 503 with
  /// Retry-After.
  package var requestsPerSecond: Int
  /// Wrong digests from one host in a minute; its requests outside a dialog are dropped after that.
  package var badDigestsPerMinute: Int
  /// What Retry-After says, in seconds.
  package var retryAfter: Int

  package init(
    messageLength: Int = 65_536, headerLength: Int = 65_536, headerCount: Int = 256, bodyLength: Int = 65_536,
    serverTransactions: Int = 65_536, sessions: Int = 10_000, invitesPerSecond: Int = 200,
    requestsPerSecond: Int = 1_000, badDigestsPerMinute: Int = 20, retryAfter: Int = 5
  ) {
    (self.messageLength, self.headerLength, self.headerCount) = (messageLength, headerLength, headerCount)
    (self.bodyLength, self.serverTransactions, self.sessions) = (bodyLength, serverTransactions, sessions)
    (self.invitesPerSecond, self.requestsPerSecond) = (invitesPerSecond, requestsPerSecond)
    (self.badDigestsPerMinute, self.retryAfter) = (badDigestsPerMinute, retryAfter)
  }
}
