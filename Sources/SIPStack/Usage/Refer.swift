package import NetBase

/// One REFER, sent or received, until the last that is heard of it. Transfers are REFERs (RFC 3515, RFC 5589).
package struct ReferID: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64
  init(value: UInt64) { self.value = value }
  package var description: String { "refer \(self.value)" }
}

/// A REFER of the peer: the user owes `acceptRefer` or `rejectRefer`.
package struct IncomingRefer: Sendable {
  /// The call in whose dialog it came; nil outside of any.
  package let session: SessionID?
  package let from: NameAddress
  package let to: NameAddress
  /// Refer-To as written, without the header fields that its URI asks for.
  package let target: NameAddress
  /// The call that the new one is to replace: an attended transfer (RFC 3891).
  package let replaces: Replaces?
  /// Referred-By as written: it goes into the INVITE that follows (RFC 3892).
  package let referredBy: String?
  /// The method that Refer-To asks for: INVITE unless it names another.
  package let method: SIPMethod
  /// What the INVITE that follows must carry: Replaces, Referred-By, and nothing else of what the URI asks for.
  package let inviteHeaders: [(String, String)]
  package let headers: SIPHeaders
}

/// A REFER to be sent outside a call.
package struct OutgoingRefer: Sendable {
  package var from: NameAddress
  package var to: NameAddress
  package var requestURI: SIPURI
  package var contact: SIPURI
  /// Where the request goes, in the order in which they are tried: at least one.
  package var targets: [SIPTarget]
  package var local: SocketAddress
  /// Whom the receiver is to call.
  package var target: NameAddress
  /// The dialog that its INVITE is to replace.
  package var replaces: Replaces?
  package var referredBy: NameAddress?
  /// False asks for no news of the outcome (RFC 4488).
  package var isObserved: Bool
  package var headers: [(String, String)]
  package var routeSet: [NameAddress]
  /// Whose credentials it carries.
  package var account: SIPAccountID?

  /// - Parameters:
  ///   - requestURI: the URI of `to` when nil.
  ///   - targets: at least one.
  package init(
    from: NameAddress, to: NameAddress, requestURI: SIPURI? = nil, contact: SIPURI, targets: [SIPTarget],
    local: SocketAddress, target: NameAddress, replaces: Replaces? = nil,
    referredBy: NameAddress? = nil, isObserved: Bool = true, headers: [(String, String)] = [],
    routeSet: [NameAddress] = [], account: SIPAccountID? = nil
  ) {
    (self.from, self.to, self.requestURI, self.contact) = (from, to, requestURI ?? to.uri, contact)
    precondition(!targets.isEmpty, "a REFER without a target")
    (self.targets, self.local, self.target) = (targets, local, target)
    (self.replaces, self.referredBy, self.isObserved) = (replaces, referredBy, isObserved)
    (self.headers, self.routeSet, self.account) = (headers, routeSet, account)
  }
}

/// How the request that a REFER caused is getting on, as its NOTIFY tells (message/sipfrag, RFC 3420).
package struct ReferProgress: Hashable, Sendable {
  package let status: Int
  package let reason: String
}

/// The last that is heard of a REFER of ours.
package enum ReferEnd: Hashable, Sendable {
  /// The referred request had this final response; 200 is a transfer that succeeded.
  case completed(status: Int, reason: String)
  /// The REFER itself was refused, 603 for example.
  case refused(status: Int, reason: String)
  /// The peer accepted, and will tell nothing of the outcome (RFC 4488).
  case unobserved
  /// The subscription ended, or the peer fell silent, before a final response was told.
  case lost
}

/// The dialog that an INVITE takes the place of (RFC 3891 §6.1).
package struct Replaces: Hashable, Sendable, CustomStringConvertible {
  package var callID: String
  /// The tag of the side that receives the INVITE.
  package var toTag: String
  package var fromTag: String
  /// Only a dialog that nobody has answered may be replaced.
  package var isEarlyOnly: Bool

  package init(callID: String, toTag: String, fromTag: String, isEarlyOnly: Bool = false) {
    (self.callID, self.toTag, self.fromTag, self.isEarlyOnly) = (callID, toTag, fromTag, isEarlyOnly)
  }

  /// Parses the value of a Replaces header field; nil when a tag is missing, or there twice.
  package init?(_ text: some StringProtocol) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    let callID = scanner.take(while: { $0 != .semicolon && $0 != .comma && $0 > .space })
    guard !callID.isEmpty, let parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter }) else {
      return nil
    }
    scanner.skipWhitespace()
    guard scanner.isAtEnd, let to = parameters["to-tag"], let from = parameters["from-tag"],
      parameters.names.count(where: { $0.isSame(ignoringCaseOf: "to-tag") }) == 1,
      parameters.names.count(where: { $0.isSame(ignoringCaseOf: "from-tag") }) == 1
    else { return nil }
    self.init(callID: callID, toTag: to, fromTag: from, isEarlyOnly: parameters.contains("early-only"))
  }

  package var description: String {
    "\(self.callID);to-tag=\(self.toTag);from-tag=\(self.fromTag)" + (self.isEarlyOnly ? ";early-only" : "")
  }
}
