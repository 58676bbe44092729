package import NetBase

/// One call, for its life; never used again by the same endpoint.
package struct SessionID: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64
  init(value: UInt64) { self.value = value }
  package var description: String { "session \(self.value)" }
}

/// One request outside a dialog.
package struct RequestID: Hashable, Sendable {
  package let value: UInt64
}

/// What the endpoint wants done. Drain `nextAction()` until nil after each call.
package enum SIPAction: Sendable {
  /// One whole message. With a flow it goes over that connection and no other; without one over the connection to the
  /// same peer, transport and server name that is open, else over a new one.
  case send(bytes: [UInt8], SIPPath)
  /// A connection is dead, though it looks open: it is closed, and the endpoint told nothing of it. Without a flow,
  /// each connection to the same peer and transport.
  case close(SIPPath)
  case event(SIPEvent)
}

/// What the transaction user is told.
package enum SIPEvent: Sendable {
  /// An INVITE; 100 was sent. The user calls `ring`, `accept`, `reject` or `hangUp`.
  case incomingCall(SessionID, IncomingInvite)
  /// A provisional response above 100; a body is early media's description. One that was asked to be confirmed is
  /// (RFC 3262).
  case progress(SessionID, CallProgress)
  /// A reliable provisional response with the offer, to an INVITE without: the user owes
  /// `acknowledgeProgress(_:dialog:body:now:)`.
  case earlyOffer(SessionID, CallProgress)
  /// The PRACK of a reliable `ring` has come, with the answer when the ring carried an offer.
  case progressAcknowledged(SessionID, SIPBody?)
  /// The 2xx to an INVITE without offer, with the peer's offer: the user owes `acknowledge(_:body:now:)`.
  case answered(SessionID, offer: SIPBody?)
  /// The call stands. Caller: its ACK is sent; the body is the 2xx's, or the answer that a reliable provisional response
  /// of this dialog brought before (nil after `acknowledge`, and where an UPDATE came since). Callee: the ACK has come,
  /// with its body when the offer was in our 2xx.
  case established(SessionID, SIPBody?)
  /// A re-INVITE, or an UPDATE or a PRACK with a body: the user owes `acceptReinvite` or `rejectReinvite`. Without a
  /// body the peer asks for an offer.
  case reoffer(SessionID, SIPBody?, method: SIPMethod)
  /// The peer took the re-INVITE back, or hung up: no answer is owed any more.
  case reofferCancelled(SessionID)
  /// The ACK of a re-INVITE that was accepted here has come, with a body when the offer was in our 2xx.
  case reofferAcknowledged(SessionID, SIPBody?)
  /// The peer accepted our re-INVITE or UPDATE; an ACK is sent.
  case reofferAnswered(SessionID, SIPBody?)
  /// Our re-INVITE or UPDATE was refused or not possible now; the session stays as it was.
  case reofferFailed(SessionID, status: Int, reason: String)
  /// A refresh of ours went through (RFC 4028); a re-INVITE's answer is here, and as before unless the peer changes:
  /// then the user offers again, for nothing of this one is in force here.
  case sessionRefreshed(SessionID, SIPBody?)
  /// A refresh of ours was refused, and is tried again later: what waited for its end may go on.
  case sessionRefreshFailed(SessionID)
  /// The header fields of the peer's final response to an INVITE, of its re-INVITE or of its BYE or CANCEL: always ahead
  /// of the event that the message leads to. `status` is nil for a request.
  case headers(SessionID, SIPMethod, status: Int?, SIPHeaders)
  /// INFO in a call, answered.
  case info(SessionID, IncomingInfo)
  /// MESSAGE, answered; without a session it came outside a call.
  case instantMessage(SessionID?, IncomingMessage)
  /// The peer asks us to call someone: the user owes `acceptRefer` or `rejectRefer`, and `notifyRefer` after accepting.
  case referRequested(ReferID, IncomingRefer)
  /// At the REFER's receiver: nobody listens for `notifyRefer` any more.
  case referAbandoned(ReferID)
  /// The peer accepted our REFER (2xx); what follows is told by `referProgress` and `referEnded`.
  case referAccepted(ReferID, status: Int)
  case referProgress(ReferID, ReferProgress)
  /// The last of a REFER of ours: exactly once for each.
  case referEnded(ReferID, ReferEnd)
  /// A peer subscribes to a package of `SIPConfiguration.eventPackages`.
  case subscriptionRequested(SubscriptionID, IncomingSubscription)
  /// At the notifier: the subscriber refreshed; the last body was sent again.
  case subscriptionRefreshed(SubscriptionID)
  /// Our SUBSCRIBE was accepted, or refreshed, for so many seconds.
  case subscriptionAccepted(SubscriptionID, expires: Int)
  case notified(SubscriptionID, SIPNotification)
  /// The subscription is over: exactly once for each, at either end.
  case subscriptionEnded(SubscriptionID, SubscriptionEnd)
  /// The session is over: exactly once for each.
  case ended(SessionID, EndReason)
  /// The final response to a request outside a dialog, or to an INFO or MESSAGE in one.
  case requestResult(RequestID, status: Int, reason: String, headers: SIPHeaders, body: SIPBody?)
  /// Such a request got no response.
  case requestFailed(RequestID, EndReason)
  /// A request outside a dialog, such as MESSAGE: the user owes `respond(_:status:)`.
  case incomingRequest(IncomingRequestID, IncomingRequest)
  /// The user owes `located(_:targets:now:)`: where requests to this URI go (RFC 3263, `SIPLocator`).
  case locate(LocationID, SIPURI)
  /// How a registration stands.
  case registration(RegistrationID, RegistrationEvent)
  /// A peer sees our messages come from another address than Via says, or from a new one: a NAT is on the way
  /// (RFC 3581).
  case publicAddress(SocketAddress, path: SIPPath)
}

/// Why a session is over.
package enum EndReason: Hashable, Sendable {
  /// `hangUp` ended a call that stood, or refused an incoming one.
  case localHangup
  case remoteHangup
  /// The caller, at either end, took the INVITE back before it was answered.
  case cancelled
  /// A final response above 399; at the callee the one that `reject` sent.
  case rejected(status: Int, reason: String)
  /// A 3xx, with its contacts in order.
  case redirected([NameAddress])
  /// No response (timers B and F, 408 in a dialog), or no ACK.
  case timeout
  /// Another call took its place (RFC 3891).
  case replaced(by: SessionID)
  /// The transport said that the peer cannot be reached.
  case unreachable(String)
}

/// An INVITE that came from a peer.
package struct IncomingInvite: Sendable {
  package let from: NameAddress
  package let to: NameAddress
  package let requestURI: SIPURI
  package let callID: String
  package let headers: SIPHeaders
  /// The offer; nil when the peer asks for ours.
  package let body: SIPBody?
  package let source: SocketAddress
  package let local: SocketAddress
  package let transport: SIPTransportKind
  /// The connection that it came on; nil for UDP.
  package let flow: SIPFlow?
  /// The account that `accountOfRequest` named.
  package let account: SIPAccountID?
  /// The call whose place it takes when it is accepted; that one is hung up by itself (RFC 3891).
  package let replaces: SessionID?
}

/// An INVITE to be sent.
package struct OutgoingInvite: Sendable {
  package var from: NameAddress
  package var to: NameAddress
  package var requestURI: SIPURI
  /// Where the peer reaches us.
  package var contact: SIPURI
  /// Where the request goes; the next is tried when one fails (RFC 3263 §4.3).
  package var targets: [SIPTarget]
  /// Our own address as the peer sees it: it stands in Via, unless the target names another.
  package var local: SocketAddress
  /// More header fields, after ours.
  package var headers: [(String, String)]
  /// The offer; nil asks the peer for one.
  package var body: SIPBody?
  /// Proxies to pass, nearest first; the targets must lead to the first of them.
  package var routeSet: [NameAddress]
  /// Whose credentials the call carries, and whether redirects are followed.
  package var account: SIPAccountID?
  /// 100rel and session timers; nil for what the configuration says.
  package var policy: CallPolicy?

  /// - Parameters:
  ///   - requestURI: the URI of `to` when nil.
  ///   - targets: at least one, in the order in which they are tried.
  package init(
    from: NameAddress, to: NameAddress, requestURI: SIPURI? = nil, contact: SIPURI, targets: [SIPTarget],
    local: SocketAddress, headers: [(String, String)] = [], body: SIPBody? = nil, routeSet: [NameAddress] = [],
    account: SIPAccountID? = nil, policy: CallPolicy? = nil
  ) {
    precondition(!targets.isEmpty, "an INVITE without a target")
    (self.from, self.to, self.requestURI, self.contact) = (from, to, requestURI ?? to.uri, contact)
    (self.targets, self.local) = (targets, local)
    (self.headers, self.body, self.routeSet) = (headers, body, routeSet)
    (self.account, self.policy) = (account, policy)
  }

  /// An INVITE with one target.
  package init(
    from: NameAddress, to: NameAddress, requestURI: SIPURI? = nil, contact: SIPURI, destination: SocketAddress,
    local: SocketAddress, transport: SIPTransportKind = .udp, headers: [(String, String)] = [], body: SIPBody? = nil,
    routeSet: [NameAddress] = [], account: SIPAccountID? = nil, policy: CallPolicy? = nil
  ) {
    self.init(
      from: from, to: to, requestURI: requestURI, contact: contact,
      targets: [SIPTarget(address: destination, transport: transport)], local: local, headers: headers, body: body,
      routeSet: routeSet, account: account, policy: policy)
  }
}
