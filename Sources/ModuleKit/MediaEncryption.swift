package import NetBase
package import SRTPEngine

/// An attribute line of SDP, `a=name:value`.
public struct DescriptionAttribute: Hashable, Sendable {
  /// Before the colon.
  public let name: String
  /// After it; nil for a flag.
  public let value: String?

  public init(_ name: String, _ value: String? = nil) {
    self.name = name
    self.value = value
  }
}

/// What the peer's description says about the security of one media section, session-level attributes merged in.
package struct RemoteSecurity: Sendable {
  /// The media line's protocol, for example `RTP/SAVP`.
  package let protocolToken: String
  package let attributes: [DescriptionAttribute]
  /// Where the peer receives RTP and RTCP, as its description has it.
  package let rtpAddress: SocketAddress
  package let rtcpAddress: SocketAddress?

  package init(
    protocolToken: String, attributes: [DescriptionAttribute], rtpAddress: SocketAddress, rtcpAddress: SocketAddress?
  ) {
    self.protocolToken = protocolToken
    self.attributes = attributes
    self.rtpAddress = rtpAddress
    self.rtcpAddress = rtcpAddress
  }

  package func values(of name: String) -> [String] {
    self.attributes.compactMap { $0.name == name ? $0.value : nil }
  }
}

/// A way to encrypt media (`mediaenc=ID`): what SDP carries, and where the keys come from.
package protocol MediaEncryption: Sendable {
  /// The account's word: `srtp`, `srtp-mand`, `srtp-mandf`, `dtls_srtp`.
  var id: String { get }
  /// The media line's protocol in an offer of ours.
  var offeredProtocol: String { get }
  /// The protocols that an offer of the peer's may have.
  var acceptedProtocols: [String] { get }
  /// Whether nothing may cross in the clear, either way.
  var isMandatory: Bool { get }
  /// The negotiation of one media section of one call.
  func makeSession() throws(ModuleError) -> any MediaEncryptionSession
}

/// The negotiation of one media section's keys; lives on main, and gives the transport values only.
///
/// A session survives re-offers. It never changes what is in force before the answer: an offer that is rejected leaves
/// the old keys at work.
package protocol MediaEncryptionSession: AnyObject {
  /// Attributes of the next offer; the same again while nothing changed.
  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute]
  /// Makes the next offer carry new keys; false where the method can't.
  func requestRekey() -> Bool
  /// Takes the peer's offer and returns the attributes of our answer.
  func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute]
  /// Takes the answer to our last offer; it may still turn out to be of no use, for another media section's sake.
  func receive(answer: RemoteSecurity) throws(ModuleError)
  /// Our last offer was refused, or the answer to it, ours or the peer's, could not be used.
  func rollback()
  /// Our answer was acknowledged (ACK), so the peer has it.
  func answerConfirmed()
  /// The answer can't be taken back: the peer's, which every media section took, or ours, which left in a response that
  /// nothing acknowledges (UPDATE, PRACK), so that what the peer sends will tell that it has it.
  func answerStands()
  /// Where another association runs that the attributes just made are for; nil where they are for none. Once for each.
  func takeAssociationPath() -> AssociationPath?
  /// What came of the last offer's or answer's new association: nothing. The next offer is to ask for another one.
  func associationFailed()
  /// Whether keys belong to the pair of addresses between which they were agreed (RFC 8842 §3.1): another address of
  /// ours needs other keys.
  var isBoundToAddress: Bool { get }
  /// What the transport must be told, in order, until nil; taken after each of the calls above.
  func nextCommand() -> KeyingCommand?
}

/// Which sockets an association has.
package enum AssociationPath: Sendable {
  /// Those in use: its records are told from those of the one before.
  case inUse
  /// Its own.
  case another
}

extension MediaEncryptionSession {
  /// Keys that signalling brings need no other sockets.
  package func takeAssociationPath() -> AssociationPath? { nil }
  package func associationFailed() { _ = self.requestRekey() }
  package var isBoundToAddress: Bool { false }
}

/// How an inbound or outbound context relates to the one before it.
package enum KeyContinuity: Sendable {
  /// The rollover counter and the SRTCP index go on (SDES re-key, RFC 3711 §3.3.1).
  case carried
  /// Everything starts anew (a new DTLS association).
  case fresh
}

/// What main tells a transport about its keys.
package enum KeyingCommand: ~Copyable, Sendable {
  /// No encryption was negotiated.
  case plain
  case installInbound(SRTPKeyMaterial, KeyContinuity)
  /// `switchNow` false: wait for `switchOutbound`, or until the peer is heard under the new inbound key.
  case installOutbound(SRTPKeyMaterial, KeyContinuity, switchNow: Bool)
  case switchOutbound
  /// Whether an offer of ours is open, which the peer may answer with a new key, and use that before the answer is here
  /// (RFC 3264 §5.1): what no key opens waits for it.
  case expectInbound(Bool)
  /// Makes the transport's key exchange, or the next one where there is one; packets for it are accepted from now on.
  case makeKeyExchange(@Sendable () throws(ModuleError) -> sending any KeyExchange)
  /// What the peer's description says to it.
  case startKeyExchange(KeyExchangeRemote)
  /// The next key exchange will not be: the one in force stays.
  case withdrawKeyExchange
}

/// What a key exchange learns from the peer's description.
package struct KeyExchangeRemote: Sendable {
  /// Whether this side sends the first message (RFC 4145 `active`).
  package let isActive: Bool
  /// RFC 8122: hash function in lower case, and the certificate's hash.
  package let fingerprints: [Fingerprint]
  package let rtpAddress: SocketAddress
  /// Nil when RTCP shares the RTP socket.
  package let rtcpAddress: SocketAddress?

  package struct Fingerprint: Hashable, Sendable {
    package let function: String
    package let digest: [UInt8]
    package init(function: String, digest: [UInt8]) {
      self.function = function
      self.digest = digest
    }
  }

  package init(
    isActive: Bool, fingerprints: [Fingerprint], rtpAddress: SocketAddress, rtcpAddress: SocketAddress?
  ) {
    self.isActive = isActive
    self.fingerprints = fingerprints
    self.rtpAddress = rtpAddress
    self.rtcpAddress = rtcpAddress
  }
}

/// Which of a transport's sockets: with rtcp-mux there is only `rtp`.
package enum Component: Int, CaseIterable, Sendable { case rtp, rtcp }

/// A key exchange in the media path (DTLS): sans I/O, owned by the transport's executor.
///
/// After each call the owner takes every action until nil, in order.
package protocol KeyExchange: AnyObject {
  func start(_ remote: KeyExchangeRemote, now: Instant)
  /// Whether `datagram` is this exchange's, where there are several on one path.
  func claims(_ datagram: RawSpan) -> Bool
  func receive(_ datagram: RawSpan, from source: SocketAddress, on component: Component, now: Instant)
  func timeout(now: Instant)
  /// When `timeout` wants to be called.
  var nextDeadline: Instant? { get }
  func nextAction() -> KeyExchangeAction?
  /// Says good-bye (close-notify); the last actions follow.
  func close(now: Instant)
  var counters: KeyExchangeCounters { get }
}

/// What a key exchange asks of its transport. Keys come before the datagrams that make the peer use them.
package enum KeyExchangeAction: ~Copyable {
  case send(datagram: [UInt8], to: SocketAddress, on: Component)
  case secured(Component, inbound: SRTPKeyMaterial, outbound: SRTPKeyMaterial, SecuredBy)
  /// The reason is a sentence for the user.
  case failed(String)
  /// The peer closed the association.
  case closed(Component)
}

/// How a component was secured.
package struct SecuredBy: Sendable {
  /// The peer's address that was authenticated.
  package let source: SocketAddress
  /// For example `DTLSv1.2`.
  package let version: String
  /// Whether this side began the handshake: then the peer had the keys first.
  package let isClient: Bool
  package init(source: SocketAddress, version: String, isClient: Bool) {
    self.source = source
    self.version = version
    self.isClient = isClient
  }
}

/// What a key exchange dropped, and how often it had to repeat itself.
package struct KeyExchangeCounters: Sendable {
  /// Datagrams that a handshake, or the association that came of it, was given.
  package var taken = 0
  /// Datagrams from addresses that are not, or no longer, part of the handshake.
  package var strangers = 0
  /// Malformed datagrams, or more than the bounds allow.
  package var dropped = 0
  package var retransmissions = 0
  /// Datagrams that wait for the peer's description.
  package var waiting = 0
  /// Those that still waited when the exchange was over.
  package var ended = 0
  package init() {}

  package mutating func add(_ other: KeyExchangeCounters) {
    self.taken += other.taken
    self.waiting += other.waiting
    self.ended += other.ended
    self.strangers += other.strangers
    self.dropped += other.dropped
    self.retransmissions += other.retransmissions
  }
}
