package import ICEAgent
package import NetBase

/// A way of media through NATs (`medianat=ID`): what SDP carries, and where media goes because of it.
package protocol MediaNAT: Sendable {
  /// The account's word: `ice`.
  var id: String { get }
  /// What each description says of all its sections.
  var sessionAttributes: [DescriptionAttribute] { get }
  /// The negotiation of one media section of one call.
  ///
  /// - Parameter trust: whom servers that are asked over TLS have to prove their names by.
  func makeSession(trust: SIPSecurity) throws(ModuleError) -> any MediaNATSession
}

/// Where one media section is received.
package struct MediaSockets: Hashable, Sendable {
  package let rtp: SocketAddress
  package let rtcp: SocketAddress

  package init(rtp: SocketAddress, rtcp: SocketAddress) { (self.rtp, self.rtcp) = (rtp, rtcp) }

  package subscript(component: Component) -> SocketAddress {
    switch component {
    case .rtp: self.rtp
    case .rtcp: self.rtcp
    }
  }
}

/// At which of this host's addresses a section has further sockets, where it has any.
package enum FurtherAddresses: Sendable {
  case all
  /// At the best one of the other family only.
  case otherFamily
}

/// One of the sockets of a path.
package struct MediaSocket: Hashable, Sendable {
  package let component: Component
  /// Of which pair of sockets: 0 is the one that the section has anyway, then come the further ones in their order.
  package let pair: Int

  package init(_ component: Component, of pair: Int = 0) { (self.component, self.pair) = (component, pair) }
}

/// What the peer's description says of how one media section is reached, session-level attributes merged in.
package struct RemoteConnectivity: Sendable {
  package let attributes: [DescriptionAttribute]
  /// Where the section itself says that the peer receives RTP; nil where that says nothing.
  package let address: SocketAddress?
  /// Whether both sides agree to rtcp-mux.
  package let sharesSocket: Bool

  package init(attributes: [DescriptionAttribute], address: SocketAddress?, sharesSocket: Bool) {
    (self.attributes, self.address, self.sharesSocket) = (attributes, address, sharesSocket)
  }

  package func values(of name: String) -> [String] {
    self.attributes.compactMap { $0.name == name ? $0.value : nil }
  }

  package func has(_ name: String) -> Bool { self.attributes.contains { $0.name == name } }
}

/// The negotiation of one media section's connectivity; lives on main, and gives the transport values only.
///
/// It changes nothing that is in use before the answer: an offer that is refused leaves everything as it was.
package protocol MediaNATSession: AnyObject {
  /// Where sockets are of use besides those that the section has anyway; nil for nowhere.
  var furtherAddresses: FurtherAddresses? { get }
  /// Sockets that the next description names instead of those before it, and further ones at other addresses of this
  /// host, the best first; `isForNextAssociation` where those before stay in use until the next association is secured,
  /// and for good when the offer is refused.
  func use(_ sockets: MediaSockets, further: [MediaSockets], isForNextAssociation: Bool) throws(ModuleError)
  /// Begins to gather from `servers` what the next description names, where that is not known yet.
  ///
  /// - Returns: whether the description had better wait for `gathered`.
  func gather(from servers: [ICEServer], for description: GatheringPurpose) throws(ModuleError) -> Bool
  /// The transport has asked the servers: what it found counts from the next description on.
  func gathered(_ report: GatheringReport)
  /// Where the next description says that the section is received; nil for the sockets themselves.
  var described: MediaSockets? { get }
  /// Whether other sockets would have servers to ask, which an answer in a call can't wait for.
  var asksServers: Bool { get }
  /// Attributes of the next offer; the same again while nothing changed.
  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute]
  /// Makes the next offer begin the checks anew; false where there is nothing to begin anew.
  func requestRestart() -> Bool
  /// Takes the peer's offer and returns the attributes of our answer.
  func answer(to offer: RemoteConnectivity) throws(ModuleError) -> [DescriptionAttribute]
  /// Takes the answer to our last offer.
  func receive(answer: RemoteConnectivity) throws(ModuleError)
  /// Takes candidates that the peer has found since its description (RFC 8838 §11).
  ///
  /// - Parameters:
  ///   - candidates: values of the attribute `candidate`; what can't be used is passed over.
  ///   - fragment: the `ice-ufrag` that they belong to; nil for that of the last description.
  /// - Returns: false where they belong to nothing that is in force.
  func add(candidates: [String], of fragment: String?) -> Bool
  /// What was found since our last description, which did not say that it has everything; given once.
  func takeLateCandidates() -> LateCandidates?
  /// Candidates of the peer's last description, or told since, whose names are to be resolved; each given once.
  func takeNamedCandidates() -> [NamedCandidate]
  /// What a name stands for. One that stands for several addresses is not used, for a peer could have any of them tried.
  func resolved(_ candidate: NamedCandidate, to addresses: [SocketAddress])
  /// Candidates of the peer's that are not used.
  var unusedCandidates: UnusedCandidates { get }
  /// Our last offer was refused, or our answer could not be made.
  func rollback()
  /// Our answer was made: what it says holds.
  func settle()
  /// The transport has found its way, or another one.
  func connected(_ report: ConnectivityReport)
  /// From which of our addresses RTP and RTCP leave, as far as the transport has told: none before it has.
  var localAddresses: [SocketAddress] { get }
  /// What the transport must be told, in order, until nil; taken after each of the calls above.
  func nextCommand() -> ConnectivityCommand?
}

/// The last candidates of a description that has left (RFC 8838 §10).
package struct LateCandidates: Hashable, Sendable {
  /// The description's `ice-ufrag`.
  package let fragment: String
  /// Its `ice-pwd`.
  package let password: String
  /// Values of the attribute `candidate`; none where nothing else was found.
  package let candidates: [String]

  package init(fragment: String, password: String, candidates: [String]) {
    (self.fragment, self.password, self.candidates) = (fragment, password, candidates)
  }
}

/// Candidates of a peer's that are not used, by why.
package struct UnusedCandidates: Hashable, Sendable {
  /// For TCP (RFC 6544): media goes by UDP only.
  package var tcp = 0
  /// Names that stand for no address, as far as we know, or for several.
  package var named = 0
  /// What can't be read, and types that nobody knows.
  package var unreadable = 0

  package init() {}

  package static func + (left: Self, right: Self) -> Self {
    var sum = left
    sum.tcp += right.tcp
    sum.named += right.named
    sum.unreadable += right.unreadable
    return sum
  }
}

/// What candidates are gathered for.
package enum GatheringPurpose: Sendable {
  case offer
  case answer(RemoteConnectivity)
}

/// What came of the gathering on one path.
package struct GatheringReport: Sendable {
  /// The path's sockets.
  package let sockets: MediaSockets
  package let candidates: [ICECandidate]
  /// What could not be had: a sentence each, for the user.
  package let problems: [String]

  package init(sockets: MediaSockets, candidates: [ICECandidate], problems: [String]) {
    (self.sockets, self.candidates, self.problems) = (sockets, candidates, problems)
  }
}

/// Where data for the peer goes.
package struct MediaRoute: Hashable, Sendable {
  /// Where the peer is.
  package let peer: SocketAddress
  /// What passes it on to the peer; nil where nothing has to.
  package let relay: TURNFraming?
  /// Which pair of sockets it leaves by.
  package let pair: Int

  package init(peer: SocketAddress, relay: TURNFraming? = nil, pair: Int = 0) {
    (self.peer, self.relay, self.pair) = (peer, relay, pair)
  }

  /// Where datagrams are sent.
  package var address: SocketAddress { self.relay?.server ?? self.peer }
}

/// What main tells a transport about its way to the peer; meant for the newest path.
package enum ConnectivityCommand: ~Copyable, Sendable {
  /// Makes the path's agent: from now on only its checks say where anything goes, and from where it is taken.
  case begin(@Sendable (Instant) -> sending any ConnectivityAgent)
  /// What the peer's description says: the checks begin, or know more.
  case remote(ICERemote)
  /// Our offer has other credentials, with which the peer may check before its answer is here.
  case expect(ICECredentials)
  /// Both sides have other credentials: the checks begin anew, while what is in use stays in use.
  case restart(ICECredentials, ICERemote)
  /// The peer has no part in it: the described addresses count.
  case withdraw
}

/// The checks of one path: sans I/O, owned by the transport's executor.
///
/// After each call the owner takes every action until nil, in order.
package protocol ConnectivityAgent: AnyObject {
  /// Takes a datagram that looks like STUN (RFC 7983).
  ///
  /// - Parameter relayed: what it came in, where a relay has passed it on; then `source` is the peer.
  func receive(
    _ datagram: RawSpan, from source: SocketAddress, on socket: MediaSocket, in relayed: RelayedDatagram?,
    now: Instant)
  /// What a relay of ours passes on in a datagram. Asked for ChannelData and what looks like STUN.
  func unwrap(_ datagram: RawSpan, from source: SocketAddress, on socket: MediaSocket) -> RelayReading
  /// A connection that was asked for stands, secured where it was to be.
  func connected(_ link: RelayLink, now: Instant)
  /// It is gone, or never was.
  ///
  /// - Parameter reason: goes on a sentence that begins with the server.
  func disconnected(_ link: RelayLink, _ reason: String, now: Instant)
  /// Takes what came over a connection and is no peer's.
  func receive(_ message: RawSpan, over link: RelayLink, now: Instant)
  /// What a relay passes on in a message that came over a connection.
  func unwrap(_ message: RawSpan, over link: RelayLink) -> RelayReading
  func setRemote(_ remote: ICERemote, now: Instant)
  func expect(_ local: ICECredentials)
  func restart(_ local: ICECredentials, _ remote: ICERemote, now: Instant)
  /// What the peer's checks may name, of ours: `ice-ufrag`s of descriptions. Those before them hold for a while longer.
  var fragments: [String] { get }
  func timeout(now: Instant)
  /// When `timeout` wants to be called; asked after every packet.
  var nextDeadline: Instant? { get }
  func nextAction() -> ConnectivityAction?
  /// Whether a check vouches for `source`: nothing else is taken from anywhere.
  func isValidated(_ source: SocketAddress) -> Bool
  /// Where a component's data goes; nil while there is no way.
  func route(_ component: Component) -> MediaRoute?
  /// Whether `component` has checks of its own.
  func covers(_ component: Component) -> Bool
  /// The path ends: what is asked to be sent from now on gives back what servers relay for it.
  func close(now: Instant)
  /// Whether, after `close`, a server has still to say that it took something back.
  var isReleasing: Bool { get }
  var counters: ConnectivityCounters { get }
}

/// A connection to a server that relays.
package struct RelayConnection {
  /// What it stands for: a message that comes over it counts as if it had come to that socket.
  package let component: Component
  /// At whose host it begins.
  package let local: SocketAddress
  package let server: SocketAddress
  /// Makes what secures it; nil for nothing.
  package let makeCipher: () throws(ModuleError) -> (any StreamCipher)?

  package init(
    _ component: Component, from local: SocketAddress, to server: SocketAddress,
    makeCipher: @escaping () throws(ModuleError) -> (any StreamCipher)?
  ) {
    (self.component, self.local, self.server, self.makeCipher) = (component, local, server, makeCipher)
  }
}

/// What an agent asks of its transport.
package enum ConnectivityAction {
  case send(datagram: [UInt8], to: SocketAddress, on: MediaSocket)
  case connect(RelayLink, RelayConnection)
  /// A message for the server.
  case sendOver(RelayLink, [UInt8])
  case disconnect(RelayLink)
  /// `route` says something else than before.
  case routeChanged
  /// The servers have answered, or were given time enough.
  case gathered(GatheringReport)
  /// Every component has its nominated pair; once more for another one of any.
  case connected(ConnectivityReport)
  /// The reason is a sentence for the user.
  case failed(String)
}

/// The pairs in use.
package struct ConnectivityReport: Hashable, Sendable {
  package let isControlling: Bool
  /// The peer's.
  package let rtp: SocketAddress?
  package let rtcp: SocketAddress?
  /// Which of our addresses RTP leaves from.
  package let local: SocketAddress?
  /// The same of RTCP, where it does not share RTP's way.
  package let localRTCP: SocketAddress?

  package init(
    isControlling: Bool, rtp: SocketAddress?, rtcp: SocketAddress?, local: SocketAddress?,
    localRTCP: SocketAddress? = nil
  ) {
    (self.isControlling, self.rtp, self.rtcp) = (isControlling, rtp, rtcp)
    (self.local, self.localRTCP) = (local, localRTCP)
  }
}

/// What became of the datagrams that an agent was given.
package struct ConnectivityCounters: Hashable, Sendable {
  package var accepted = 0
  /// Without or with wrong credentials, unasked for, malformed, or above the rate.
  package var refused = 0
  package var relays = RelayCounters()

  package init(accepted: Int = 0, refused: Int = 0, relays: RelayCounters = RelayCounters()) {
    (self.accepted, self.refused, self.relays) = (accepted, refused, relays)
  }

  package mutating func add(_ other: ConnectivityCounters) {
    self.accepted += other.accepted
    self.refused += other.refused
    self.relays += other.relays
  }
}
