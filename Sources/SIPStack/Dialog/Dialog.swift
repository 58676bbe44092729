package import NetBase

/// What names a dialog at this end (RFC 3261 §12).
package struct DialogID: Hashable, Sendable {
  package var callID: String
  package var localTag: String
  /// Empty for a peer of RFC 2543, which gives none.
  package var remoteTag: String

  package init(callID: String, localTag: String, remoteTag: String) {
    (self.callID, self.localTag, self.remoteTag) = (callID, localTag, remoteTag)
  }
}

/// A dialog: who talks to whom, over which route, and how far the sequence numbers are (RFC 3261 §12).
package struct Dialog: Hashable, Sendable {
  package let id: DialogID
  package let local: NameAddress
  package let remote: NameAddress
  /// The proxies to pass, nearest first.
  package private(set) var routeSet: [NameAddress]
  /// Where requests go in the end: the peer's Contact.
  package private(set) var remoteTarget: SIPURI
  /// The number of the last request of ours.
  package private(set) var localSequence: UInt32
  /// The number of the peer's last request; nil before the first.
  package private(set) var remoteSequence: UInt32?

  /// The caller's dialog, from its INVITE and a response with a tag (RFC 3261 §12.1.2).
  package init(invite: SIPMessage, sent: SIPEssentials, response: SIPMessage, received: SIPEssentials) {
    self.id = DialogID(callID: sent.callID, localTag: sent.from.tag ?? "", remoteTag: received.to.tag ?? "")
    (self.local, self.remote) = (sent.from, received.to)
    self.localSequence = sent.cseq.number
    self.routeSet = Self.routes(response).reversed()
    var target = received.to.uri
    if case .request(_, let uri) = invite.startLine { target = uri }
    self.remoteTarget = Self.contact(response) ?? target
  }

  /// The callee's dialog, from the INVITE that it received (RFC 3261 §12.1.1).
  package init(invite: SIPMessage, received: SIPEssentials, localTag: String) {
    self.id = DialogID(callID: received.callID, localTag: localTag, remoteTag: received.from.tag ?? "")
    var local = received.to
    local.tag = localTag
    (self.local, self.remote) = (local, received.from)
    self.localSequence = 0
    self.remoteSequence = received.cseq.number
    self.routeSet = Self.routes(invite)
    self.remoteTarget = Self.contact(invite) ?? received.from.uri
  }

  /// The subscriber's dialog, from a NOTIFY that came before any response (RFC 6665 §4.4.1).
  package init(notify: SIPMessage, received: SIPEssentials, localSequence: UInt32) {
    self.init(invite: notify, received: received, localTag: received.to.tag ?? "")
    self.localSequence = localSequence
  }

  /// The 2xx has the last word on route set and target (RFC 3261 §13.2.2.4).
  package mutating func confirm(response: SIPMessage) {
    self.routeSet = Self.routes(response).reversed()
    self.refreshTarget(from: response)
  }

  /// The Contact of a target refresh, re-INVITE or UPDATE, takes effect (RFC 3261 §12.2).
  package mutating func refreshTarget(from message: SIPMessage) {
    if let target = Self.contact(message) { self.remoteTarget = target }
  }

  /// Whether a request with this number is in order; if so it is noted (RFC 3261 §12.2.2).
  package mutating func accepts(sequence: UInt32) -> Bool {
    if let last = self.remoteSequence, sequence < last { return false }
    self.remoteSequence = sequence
    return true
  }

  /// Goes on after requests that were sent when this dialog was an early one, and forgotten since.
  mutating func resume(after sequence: UInt32) { self.localSequence = max(self.localSequence, sequence) }

  /// Takes the number of the next request of ours.
  package mutating func nextSequence() -> UInt32 {
    self.localSequence += 1
    return self.localSequence
  }

  /// A request inside the dialog without its Via (RFC 3261 §12.2.1.1).
  ///
  /// - Parameter sequence: the number of the INVITE, for its ACK; nil takes the next one.
  package mutating func request(_ method: SIPMethod, sequence: UInt32? = nil) -> SIPMessage {
    if sequence == nil { self.localSequence += 1 }
    var uri = self.remoteTarget
    var routes = self.routeSet.map(\.description)
    if let first = self.routeSet.first, !first.uri.parameters.contains("lr") {
      // A strict router wants its own URI in the request line and the target at the end of the route.
      uri = first.uri
      uri.headers = nil
      routes = Array(routes.dropFirst()) + [NameAddress(uri: self.remoteTarget).description]
    }
    var headers = SIPHeaders()
    headers.append("Max-Forwards", "70")
    headers.append("From", self.local.description)
    headers.append("To", self.remote.description)
    headers.append("Call-ID", self.id.callID)
    headers.append("CSeq", CSeq(number: sequence ?? self.localSequence, method: method).description)
    for route in routes { headers.append("Route", route) }
    return SIPMessage(.request(method, uri), headers: headers)
  }

  /// Where a request goes first, when that URI holds an address: no name is resolved here.
  package var nextHop: SocketAddress? {
    let uri = self.routeSet.first?.uri ?? self.remoteTarget
    let named = uri.parameters["transport"].flatMap { SIPTransportKind(name: $0) }
    let defaultPort = (uri.scheme == .sips ? .tls : named ?? .udp).defaultPort
    return SocketAddress(host: uri.host, port: uri.port ?? defaultPort)
  }

  /// The URI of the first sound Contact of `message`.
  static func contact(_ message: SIPMessage) -> SIPURI? {
    message.headers.list("Contact").lazy.compactMap { try? NameAddress($0) }.first { contact in
      contact.uri.scheme == .sip || contact.uri.scheme == .sips
    }?.uri
  }

  private static func routes(_ message: SIPMessage) -> [NameAddress] {
    message.headers.list("Record-Route").compactMap { try? NameAddress($0) }
  }
}
