package import NetBase

/// Who nominates (RFC 8445 §6.1.1).
package enum ICERole: Hashable, Sendable {
  case controlling, controlled

  var other: ICERole { self == .controlling ? .controlled : .controlling }
}

/// A socket that candidates are gathered on, or an address at a relay: what checks leave from.
package struct ICEBase: Hashable, Sendable {
  package let component: Int
  package let address: SocketAddress
  /// 65535 for the only one; the higher the better (RFC 8445 §5.1.2.1, RFC 8421 §4).
  package let localPreference: UInt16
  /// Whether a description waits for what servers see of it; of other bases it has what is there soon.
  let isAwaited: Bool
  /// Which of the session's allocations it is the address of; nil for a socket.
  let relay: Int?

  package init(component: Int, address: SocketAddress, localPreference: UInt16 = 65535, isAwaited: Bool = true) {
    (self.component, self.address, self.localPreference) = (component, address, localPreference)
    (self.isAwaited, self.relay) = (isAwaited, nil)
  }

  /// The address that `base` has at a relay, which is a base of its own (RFC 8445 §5.1.1.2).
  init(of base: ICEBase, at relayed: SocketAddress, relay: Int, localPreference: UInt16) {
    (self.component, self.address, self.localPreference) = (base.component, relayed, localPreference)
    (self.isAwaited, self.relay) = (base.isAwaited, relay)
  }

  var kind: ICECandidate.Kind { self.relay == nil ? .host : .relayed }
}

/// A STUN or TURN server, with the long-term credentials it may ask for (RFC 8489 §9.2).
package struct ICEServer: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: String, Sendable {
    /// Says what it sees of a socket.
    case stun
    /// Relays, too.
    case turn
  }

  /// How it is asked, and sent what it is to relay; what it relays is UDP all the same (RFC 8656 §3.1).
  package enum Transport: Int, Sendable {
    /// From the media's own sockets.
    case udp
    /// Over a connection of each relay's own.
    case tcp
    /// The same, secured.
    case tls
  }

  package let kind: Kind
  package let transport: Transport
  package let address: SocketAddress
  /// What its certificate is for: the host of its URI.
  package let name: String
  package let username: String?
  package let password: STUNSecret?

  package init(
    _ kind: Kind = .stun, over transport: Transport = .udp, address: SocketAddress, name: String? = nil,
    username: String? = nil, password: STUNSecret? = nil
  ) {
    (self.kind, self.transport, self.address) = (kind, transport, address)
    self.name = name ?? address.host
    (self.username, self.password) = (username, password)
  }

  /// As its URI would be.
  package var description: String {
    switch self.transport {
    case .udp: "\(self.kind.rawValue):\(self.address)"
    case .tcp: "\(self.kind.rawValue):\(self.address)?transport=tcp"
    case .tls: "\(self.kind.rawValue)s:\(self.address)"
    }
  }

  /// Nil for one that nobody has to show anything.
  func credentials(_ crypto: STUNCrypto) -> LongTermCredentials? {
    self.username.map {
      LongTermCredentials(username: $0, password: self.password ?? STUNSecret(SecretBytes(count: 0)), crypto: crypto)
    }
  }
}

/// The short-term credentials of one generation of checks (RFC 8445 §5.3).
package struct ICECredentials: Hashable, Sendable, CustomStringConvertible {
  package let fragment: String
  package let password: String

  /// Nil for what RFC 8839 §5.4 does not allow.
  package init?(fragment: String, password: String) {
    guard (4...256).contains(fragment.utf8.count), (22...256).contains(password.utf8.count),
      fragment.utf8.allSatisfy(ICECandidate.isICECharacter), password.utf8.allSatisfy(ICECandidate.isICECharacter)
    else { return nil }
    self.fragment = fragment
    self.password = password
  }

  /// 48 and 144 random bits, of which RFC 8445 §5.3 wants 24 and 128.
  package init(using random: inout some RandomNumberGenerator) {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    func text(_ count: Int) -> String {
      String(decoding: (0..<count).map { _ in alphabet[Int(random.next() >> 58)] }, as: UTF8.self)
    }
    self.fragment = text(8)
    self.password = text(24)
  }

  package var description: String { "ICECredentials(\(self.fragment))" }
  var key: [UInt8] { Array(self.password.utf8) }
}

/// What the peer's description says.
package struct ICERemote: Sendable {
  package var credentials: ICECredentials
  package var isLite: Bool
  package var candidates: [ICECandidate]
  /// 1 when both sides agreed to rtcp-mux.
  package var components: Int

  package init(credentials: ICECredentials, isLite: Bool = false, candidates: [ICECandidate], components: Int = 1) {
    (self.credentials, self.isLite) = (credentials, isLite)
    (self.candidates, self.components) = (candidates, components)
  }
}

/// What holds for a session's whole life.
package struct ICEConfiguration: Sendable {
  package var isLite = false
  package var servers: [ICEServer] = []
  /// Whether host candidates may be told to the peer.
  package var tellsHostCandidates = true
  /// Whether nothing but relays is told, used or answered on (`ice_policy relay`).
  package var isRelayOnly = false
  /// Milliseconds after which gathering is over, whether or not every server has answered.
  package var gatheringLimit: Int64 = 2_000
  package let crypto: STUNCrypto

  package init(crypto: STUNCrypto) { self.crypto = crypto }
}

/// Where a component's data goes.
package struct ICESelectedPair: Hashable, Sendable {
  package let component: Int
  /// Which of the session's bases.
  package let base: Int
  package let remote: SocketAddress
}

/// A session's connection to a TURN server that is not asked over UDP.
package struct RelayLink: Hashable, Sendable {
  /// Which of the session's allocations it is for.
  let allocation: Int
}

/// What a session asks of its owner, to be taken until nil after each call.
package enum ICEAction: Hashable, Sendable {
  case send([UInt8], base: Int, to: SocketAddress)
  /// A connection to the server, from the host of a base's.
  case connect(RelayLink, base: Int, to: ICEServer)
  /// A message for the server.
  case sendOver(RelayLink, [UInt8])
  /// The connection is not needed any more.
  case disconnect(RelayLink)
  /// For the description, or to be trickled.
  case localCandidate(ICECandidate)
  case gatheringEnded
  /// Data may leave there, though nothing is nominated (RFC 8445 §12.1).
  case validated(ICESelectedPair)
  /// The nominated pair of a component, which replaces the one before it.
  case selected(ICESelectedPair)
  /// A component's pair has been lost, and the checks of a restart look for another.
  case unselected(component: Int)
  /// Every component has its nominated pair; once more for another one of any.
  case connected
  case roleChanged(ICERole)
  /// `framing` says something else than before.
  case framingChanged
  /// The reason is a sentence for the user.
  case failed(String)
}

/// What came, by what became of it: each datagram is counted once.
package struct ICECounters: Hashable, Sendable {
  /// Requests, responses and indications of the peer's and the servers'.
  package var accepted = 0
  /// Not STUN, or a wrong FINGERPRINT.
  package var malformed = 0
  /// Without integrity, or with credentials that are not ours.
  package var strangers = 0
  /// With our name, and a wrong password.
  package var unauthentic = 0
  /// Responses to what nobody asked, or from elsewhere than it was asked.
  package var unexpected = 0
  /// Requests above the rate that checks may have.
  package var flooded = 0
  package var retransmissions = 0
  package var sent = 0

  package init() {}

  package var dropped: Int { self.malformed + self.strangers + self.unauthentic + self.unexpected + self.flooded }
  package var received: Int { self.accepted + self.dropped }
}
